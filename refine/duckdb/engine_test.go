package duckdb_test

import (
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/pipelines"
	"github.com/pinflow/pinflow/refine/duckdb"
	"github.com/pinflow/pinflow/refine/plan"
)

func shipped(t testing.TB) *pinflow.Plan {
	t.Helper()
	files, err := pipelines.Shipped(pipelines.Default)
	if err != nil {
		t.Fatal(err)
	}
	d, faults := pipelines.Load(files, pipelines.Default)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	p, faults, err := plan.Compile(t.Context(), d)
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	return p
}

func pins(p *pinflow.Plan, n int) pinflow.Batch {
	s := pinflow.Slice{TopicPartition: pinflow.TopicPartition{Topic: p.Sources[0].Topic}, End: int64(n)}
	for i, v := range emulate.Pins(1, n) {
		s.Records = append(s.Records, pinflow.Record{Topic: s.Topic, Offset: int64(i), Timestamp: 1764000000000 + int64(i)*10, Value: v, Key: []byte("k")})
		s.Periods = append(s.Periods, 1764000000000/86400000*86400000)
	}
	return pinflow.Batch{Slices: []pinflow.Slice{s}}
}

func TestSmoke(t *testing.T) {
	i, err := duck.Open(t.Context(), duck.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	p := shipped(t)
	e, err := duckdb.NewEngine(t.Context(), duckdb.Options{Instance: i, Plan: p})
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.Refine(t.Context(), pins(p, 5000))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range d.Added {
		n := 0
		a.Rows.Scan(t.Context(), func(row []any) error {
			if n < 3 {
				t.Log(a.Table, row)
			}
			n++
			return nil
		})
		t.Log(a.Table, n)
	}
	d.Close()
}

func BenchmarkEngine(b *testing.B) {
	i, err := duck.Open(b.Context(), duck.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	p := shipped(b)
	e, err := duckdb.NewEngine(b.Context(), duckdb.Options{Instance: i, Plan: p})
	if err != nil {
		b.Fatal(err)
	}
	in := pins(p, 20000)
	for b.Loop() {
		d, err := e.Refine(b.Context(), in)
		if err != nil {
			b.Fatal(err)
		}
		d.Close()
	}
	b.ReportMetric(float64(20000*b.N)/b.Elapsed().Seconds(), "records/s")
}
