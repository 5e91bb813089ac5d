package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/postgres"
)

// BenchmarkEntities commits batches of rows of a model with a key: new keys, and keys that are there.
func BenchmarkEntities(b *testing.B) {
	for _, keys := range []int64{10_000, 500_000, 1 << 40} {
		b.Run(fmt.Sprintf("%dKeys", keys), func(b *testing.B) { benchEntities(b, 20000, keys) })
	}
}

func benchEntities(b *testing.B, size, keys int64) {
	s := openStore(b, postgres.Options{URL: newDatabase(b), Instance: newFiles(b).instance})
	p := smallPlan("g1")
	must(b, s.Prepare(b.Context(), p))
	_, err := s.Claim(b.Context(), "g1", map[pinflow.TopicPartition]int64{visits: 0})
	must(b, err)
	var took []time.Duration
	var cpu time.Duration
	at := int64(0)
	for b.Loop() {
		b.StopTimer()
		d := pinflow.Delta{Generation: "g1", Close: func() {}, Advances: []pinflow.Advance{{TopicPartition: visits, Start: at, End: at + size}}}
		var all rows
		seen := map[string]bool{}
		for n := at + size - 1; n >= at; n-- {
			if guest := fmt.Sprintf("guest %d", uint64(n)*0x9E3779B97F4A7C15%uint64(keys)); !seen[guest] {
				seen[guest] = true
				all = append(all, []any{int64(0), visits.Topic, guest, int32(0), n})
			}
		}
		held := 0
		d.Changes = []pinflow.Change{{Table: "guests", Rows: all, Single: true, Before: []pinflow.Column{{Name: "guest", Type: "VARCHAR"}},
			Deltas: func(ctx context.Context, r pinflow.Relation) ([]pinflow.Addition, error) {
				return nil, r.Scan(ctx, func([]any) error { held++; return nil })
			}}}
		b.StartTimer()
		start, used := time.Now(), cpuTime(b)
		must(b, s.Commit(b.Context(), d))
		took, cpu = append(took, time.Since(start)), cpu+cpuTime(b)-used
		at += size
	}
	report(b, at, took, cpu)
}
