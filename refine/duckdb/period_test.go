package duckdb_test

import (
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/refine/duckdb"
	"github.com/pinflow/pinflow/refine/refinetest"
)

// openBatch makes a batch engine on a DuckDB of its own that can reach all temporary files of the test.
func openBatch(t testing.TB, o duckdb.BatchOptions, d duck.Options) *duckdb.BatchEngine {
	t.Helper()
	d.Readable = append(d.Readable, "/tmp", t.TempDir())
	i, err := duck.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	o.Instance = i
	e, err := duckdb.NewBatchEngine(t.Context(), o)
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

func TestBatchConformance(t *testing.T) {
	refinetest.BatchEngine(t, refinetest.Batch{Live: open, Open: func(t testing.TB, p *pinflow.Plan, raw pinflow.RawReader, step, chain int) pinflow.BatchEngine {
		return openBatch(t, duckdb.BatchOptions{Plan: p, Raw: raw, Step: step, Chain: chain}, duck.Options{})
	}})
}
