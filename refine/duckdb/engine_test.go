package duckdb_test

import (
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/refine/duckdb"
	"github.com/pinflow/pinflow/refine/refinetest"
)

// open makes an engine on a DuckDB of its own.
func open(t testing.TB, p *pinflow.Plan) pinflow.LiveEngine {
	t.Helper()
	i, err := duck.Open(t.Context(), duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := duckdb.NewEngine(t.Context(), duckdb.Options{Instance: i, Plan: p, Batches: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestConformance(t *testing.T) { refinetest.Engine(t, open) }
