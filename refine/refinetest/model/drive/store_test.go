package drive_test

import (
	"testing"

	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/refine/refinetest/model"
	"github.com/pinflow/pinflow/refine/refinetest/model/drive"
	"github.com/pinflow/pinflow/store/duckdb"
)

func openDuckDB(t *testing.T) drive.Store {
	t.Helper()
	instance, err := duck.Open(t.Context(), duck.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := duckdb.Open(t.Context(), duckdb.Options{Instance: instance})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := instance.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestDuckDB(t *testing.T) {
	rules := model.Protocol()
	asked := 0
	var c model.Campaign
	for seed := range uint64(4) {
		f := c.TryIn(func() *model.World {
			w := model.NewWorld(model.Worlds()[seed%7], &rules)
			d, err := drive.Follow(t.Context(), w, openDuckDB(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { asked += d.Asked; t.Log(d.Asked) })
			return w
		}, seed, 300)
		if f != nil {
			t.Fatal(f)
		}
	}
	t.Logf("%+v", c)
}
