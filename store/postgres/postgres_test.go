package postgres_test

import (
	"testing"

	"github.com/pinflow/pinflow/store/postgres"
	"github.com/pinflow/pinflow/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]postgres.Options{"PostgreSQL": {}, "PostgreSQL/MergeAlways": {Merge: 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t testing.TB) storetest.Env { return env(t, newDatabase(t), o) })
		})
	}
}

// env is a database as a place for stores.
func env(t testing.TB, url string, o postgres.Options) storetest.Env {
	files := newFiles(t)
	return storetest.Env{
		Open: func(t testing.TB) storetest.Store {
			o.URL, o.Instance = url, files.instance
			return openStore(t, o)
		},
		Part: files.part,
	}
}
