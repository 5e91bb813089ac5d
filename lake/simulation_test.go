package lake_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake/laketest"
)

// TestSimulation runs 100 schedules; PINFLOW_SEEDS=n runs n.
func TestSimulation(t *testing.T) {
	n := 100
	if v, err := strconv.Atoi(os.Getenv("PINFLOW_SEEDS")); err == nil {
		n = v
	}
	for seed := range uint64(n) {
		if err := laketest.Simulate(t, seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestWriterOnMemory(t *testing.T) {
	laketest.Writer(t, func(testing.TB) pinflow.Objects { return &laketest.Memory{} })
}
