package bench

import (
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/kafka"
	"github.com/pinflow/pinflow/pipelines"
	"github.com/pinflow/pinflow/refine/plan"
)

// shipped is the definition that ships.
func shipped(b *testing.B) *pinflow.Definition {
	b.Helper()
	files, err := pipelines.Shipped(pipelines.Default)
	if err != nil {
		b.Fatal(err)
	}
	d, faults := pipelines.Load(files, pipelines.Default)
	if len(faults) > 0 {
		b.Fatal(faults)
	}
	return d
}

func compile(b *testing.B, d *pinflow.Definition) *pinflow.Plan {
	b.Helper()
	p, faults, err := plan.Compile(b.Context(), d)
	if err != nil || len(faults) > 0 {
		b.Fatal(faults, err)
	}
	return p
}

// newJournal starts an embedded broker, which syncs before it acknowledges, with the plan's topics, and
// returns a client and its address.
func newJournal(b *testing.B, p *pinflow.Plan) (*kafka.Journal, string) {
	b.Helper()
	broker, err := embedded.Open(b.Context(), embedded.Options{Dir: b.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = broker.Close() })
	j, err := kafka.Open(b.Context(), kafka.Options{Brokers: []string{broker.Addr()}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = j.Close() })
	for _, s := range p.Sources {
		if _, err := j.EnsureTopic(b.Context(), s.Topic, s.Partitions); err != nil {
			b.Fatal(err)
		}
	}
	return j, broker.Addr()
}
