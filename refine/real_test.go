package refine_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/kafka"
	"github.com/pinflow/pinflow/refine"
	live "github.com/pinflow/pinflow/refine/duckdb"
	"github.com/pinflow/pinflow/refine/refinetest"
	store "github.com/pinflow/pinflow/store/duckdb"
)

// TestLiveMetricsAreTheOracles runs workers on the embedded broker and the DuckDB store while records arrive: two at a
// time, of which one is killed and replaced now and then.
func TestLiveMetricsAreTheOracles(t *testing.T) {
	for seed, c := range refinetest.Cases(t) {
		t.Run(c.Name, func(t *testing.T) { liveMetrics(t, &c, uint64(seed)) })
	}
}

func liveMetrics(t *testing.T, c *refinetest.Case, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 11))
	log := refinetest.NewLog(c, r, 600)
	j := connect(t, c.Plan)
	instance, err := duck.Open(t.Context(), duck.Options{Path: filepath.Join(t.TempDir(), "store.duckdb")})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Instance: instance})
	if err != nil {
		t.Fatal(err)
	}
	e, err := live.NewEngine(t.Context(), live.Options{Instance: instance, Plan: c.Plan})
	if err != nil {
		t.Fatal(err)
	}
	var workers sync.WaitGroup
	start := func() context.CancelFunc {
		w, err := refine.NewStream(refine.Options{Journal: j, Engine: e, Store: s, Plan: c.Plan, Period: refinetest.Hour, MaxRecords: 100})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		workers.Go(func() {
			if err := w.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		return cancel
	}
	running := []context.CancelFunc{start(), start()}
	defer func() {
		for _, cancel := range running {
			cancel()
		}
		workers.Wait()
		_, _, _ = e.Close(), s.Close(), instance.Close()
	}()
	for round := range 4 {
		post(t, j, log, round, 4)
		if round%2 == 1 {
			running[0]()
			running = append(running[1:], start())
		}
	}
	allCounted(t, c.Plan, j, s)
	refinetest.NewOracle(t, c.Definition, c.Plan, stored(t, c.Plan, j)).Check(t, refinetest.Store(t, s))
}

// connect starts a broker with the plan's topics.
func connect(t *testing.T, p *pinflow.Plan) *kafka.Journal {
	t.Helper()
	broker, err := embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{broker.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	for _, s := range p.Sources {
		if _, err := j.EnsureTopic(t.Context(), s.Topic, max(s.Partitions, 1)); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// post appends one of several parts of a log; the journal gives offsets and times of its own.
func post(t *testing.T, j pinflow.Appender, log refinetest.Log, part, parts int) {
	t.Helper()
	for _, tp := range log.Partitions() {
		all := log[tp]
		var drafts []pinflow.Draft
		for _, r := range all[len(all)*part/parts : len(all)*(part+1)/parts] {
			drafts = append(drafts, pinflow.Draft{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers})
		}
		for _, receipt := range j.Append(t.Context(), drafts) {
			if receipt.Err != nil {
				t.Fatal(receipt.Err)
			}
		}
	}
}

// stored is what the journal holds.
func stored(t *testing.T, p *pinflow.Plan, j pinflow.JournalReader) refinetest.Log {
	t.Helper()
	log := refinetest.Log{}
	for tp, end := range ends(t, p, j) {
		for at := int64(0); at < end; {
			records, err := j.Read(t.Context(), tp, at, 1000)
			if err != nil {
				t.Fatal(err)
			}
			log[tp] = append(log[tp], records...)
			at = records[len(records)-1].Offset + 1
		}
	}
	return log
}

func ends(t *testing.T, p *pinflow.Plan, j pinflow.JournalReader) map[pinflow.TopicPartition]int64 {
	t.Helper()
	all := map[pinflow.TopicPartition]int64{}
	for _, s := range p.Sources {
		topic, err := j.Topic(t.Context(), s.Topic)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range topic.Partitions {
			all[pinflow.TopicPartition{Topic: s.Topic, Partition: b.Partition}] = b.End
		}
	}
	return all
}

// allCounted waits until the store stands at the end of the journal.
func allCounted(t *testing.T, p *pinflow.Plan, j pinflow.JournalReader, s pinflow.StoreReader) {
	t.Helper()
	for {
		changed := s.Changes()
		at, err := s.Positions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		left := int64(0)
		for tp, end := range ends(t, p, j) {
			left += end - at[tp].NextOffset
		}
		if left == 0 {
			return
		}
		<-changed
	}
}
