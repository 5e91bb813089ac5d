package duckdb_test

import (
	"fmt"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/refine/refinetest"
)

// pins is a batch of n made-up pins.
func pins(p *pinflow.Plan, n int) pinflow.Batch {
	s := pinflow.Slice{TopicPartition: pinflow.TopicPartition{Topic: p.Sources[0].Topic}, End: int64(n)}
	for i, v := range emulate.Pins(1, n) {
		s.Records = append(s.Records, pinflow.Record{Topic: s.Topic, Offset: int64(i), Timestamp: 1764010000000 + int64(i), Value: v, Key: fmt.Append(nil, i)})
		s.Periods = append(s.Periods, 1764009600000)
	}
	s.Floor = 1764009600000
	return pinflow.Batch{Slices: []pinflow.Slice{s}}
}

// BenchmarkRefine is the engine by itself: from records in memory to the delta's tables.
func BenchmarkRefine(b *testing.B) {
	for _, rows := range []string{"all", "none"} {
		p := refinetest.Cases(b)[0].WithRows(b, rows).Plan
		e := open(b, p)
		for _, n := range []int{10, 20_000} {
			in := pins(p, n)
			b.Run(fmt.Sprintf("rows=%s/%d", rows, n), func(b *testing.B) {
				for b.Loop() {
					d, err := e.Refine(b.Context(), in)
					if err != nil {
						b.Fatal(err)
					}
					d.Close()
				}
				b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}
