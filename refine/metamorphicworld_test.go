package refine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/laketest"
	"github.com/pinflow/pinflow/refine"
	live "github.com/pinflow/pinflow/refine/duckdb"
	"github.com/pinflow/pinflow/refine/refinetest"
	store "github.com/pinflow/pinflow/store/duckdb"
)

// cosmos is all of Pinflow but its HTTP in virtual time: a broker, lake writers, a sealer, live workers, batches and one store, which fail by chance.
type cosmos struct {
	t       *testing.T
	mu      sync.Mutex // of r, log, calm
	r       *rand.Rand
	calm    bool
	beyond  bool // the broker's clock steps back by more than the grace
	faults  int  // one in so many calls fails
	first   *lineage
	next    *lineage // which takes over on the way, nil for none
	ready   []pinflow.Record
	log     refinetest.Log
	length  pinflow.PeriodLength
	grace   time.Duration
	broker  *laketest.Journal // as the lake reads it
	objects *places
	late    sync.WaitGroup
	running sync.WaitGroup
	db      *duck.Instance
	store   *store.Store
	raw     *lake.Raw
	dir     string
	batches int // under way
}

// lineage is a generation and what works for it.
type lineage struct {
	*refinetest.Case
	journal *journal // as its live workers read it
	live    *live.Engine
	batch   *live.BatchEngine
}

// places are objects of which the Parquet ones are files, too.
type places struct {
	*laketest.Memory
	dir string
}

func (p *places) Path(name string) string { return filepath.Join(p.dir, filepath.FromSlash(name)) }

func (p *places) PutIfAbsent(ctx context.Context, name string, content []byte) (bool, error) {
	created, err := p.Memory.PutIfAbsent(ctx, name, content)
	if created && strings.HasSuffix(name, ".parquet") {
		if err := os.MkdirAll(filepath.Dir(p.Path(name)), 0o700); err != nil {
			return false, err
		}
		if err := os.WriteFile(p.Path(name), content, 0o600); err != nil {
			return false, err
		}
	}
	return created, err
}

func (p *places) Delete(ctx context.Context, name string) error {
	_ = os.Remove(p.Path(name))
	return p.Memory.Delete(ctx, name)
}

// near is a process's way to the objects that leaves their files in sight.
type near struct {
	*laketest.Process
	files pinflow.LocalObjects
}

func (n near) Path(name string) string { return n.files.Path(name) }

func newCosmos(t *testing.T, seed uint64, c, next *refinetest.Case, records int) *cosmos {
	w := &cosmos{t: t, r: rand.New(rand.NewPCG(seed, 17)), log: refinetest.Log{}, broker: laketest.NewJournal(seed, 0), dir: t.TempDir()}
	w.length = pinflow.PeriodLength(pickOf(w.r, 10, 20, 60)) * pinflow.PeriodLength(time.Second)
	w.grace = pickOf(w.r, 100*time.Millisecond, time.Duration(w.length)/4, time.Duration(w.length), 2*time.Duration(w.length))
	w.faults = pickOf(w.r, 3, 10, 40)
	w.objects = &places{&laketest.Memory{}, filepath.Join(w.dir, "lake")}
	w.raw = lake.NewRaw(w.objects)
	var err error
	if w.db, err = duck.Open(t.Context(), duck.Options{Threads: 1, Dir: filepath.Join(w.dir, "spool"), Readable: []string{w.objects.dir}}); err != nil {
		t.Fatal(err)
	}
	if w.store, err = store.Open(t.Context(), store.Options{Instance: w.db}); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Plan.Sources {
		w.broker.Create(s.Topic, max(s.Partitions, 1))
	}
	w.first = w.newLineage(c)
	if next != nil {
		w.next = w.newLineage(next)
	}
	log := refinetest.NewLog(c, w.r, records)
	for left := log.Partitions(); len(left) > 0; {
		i := w.r.IntN(len(left))
		tp := left[i]
		if w.ready, log[tp] = append(w.ready, log[tp][0]), log[tp][1:]; len(log[tp]) == 0 {
			left = slices.Delete(left, i, i+1)
		}
	}
	return w
}

func (w *cosmos) newLineage(c *refinetest.Case) *lineage {
	g := &lineage{Case: c, journal: newJournal(func() int { return 1 + w.intN(60) })}
	for _, tp := range w.broker.Partitions() {
		g.journal.log[tp] = nil
	}
	var err error
	if g.live, err = live.NewEngine(w.t.Context(), live.Options{Instance: w.db, Plan: c.Plan}); err != nil {
		w.t.Fatal(err)
	}
	if g.batch, err = live.NewBatchEngine(w.t.Context(), live.BatchOptions{Instance: w.db, Plan: c.Plan, Raw: w.raw, Parallel: 2, Step: pickOf(w.r, 1, 7, 0), Chain: pickOf(w.r, 2, 0)}); err != nil {
		w.t.Fatal(err)
	}
	return g
}

func (w *cosmos) close() {
	w.late.Wait()
	w.running.Wait()
	for _, g := range []*lineage{w.first, w.next} {
		if g != nil {
			_, _ = g.live.Close(), g.batch.Close()
		}
	}
	_, _ = w.store.Close(), w.db.Close()
}

func pickOf[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func (w *cosmos) intN(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.r.IntN(n)
}

func (w *cosmos) isCalm() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calm
}

// fault is what becomes of a call: it may fail before it takes effect, or after.
func (w *cosmos) fault() (before, after error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calm || w.r.IntN(w.faults) > 0 {
		return nil, nil
	}
	err := &pinflow.Error{Op: "call", Kind: pickOf(w.r, pinflow.Unavailable, pinflow.Internal), Err: errors.New("by chance")}
	if w.r.IntN(2) == 0 {
		return err, nil
	}
	return nil, err
}

// append appends some records, of which some were appended before, at what the broker's clock shows: it steps back, mostly by less than the grace.
func (w *cosmos) append(n int) {
	for range min(n, len(w.ready)) {
		r := w.ready[0]
		w.ready = w.ready[1:]
		w.appendOne(r)
		if old := w.log[r.Position().TopicPartition]; w.intN(6) == 0 {
			w.appendOne(old[w.intN(len(old))])
		}
	}
}

func (w *cosmos) appendOne(r pinflow.Record) {
	tp := r.Position().TopicPartition
	back := int(w.grace.Milliseconds())
	if w.beyond && w.intN(8) == 0 {
		back += 2 * int(time.Duration(w.length).Milliseconds())
	}
	r.Timestamp = time.Now().UnixMilli() - int64(w.intN(back))
	if w.intN(30) == 0 {
		w.broker.Skip(tp)
	}
	w.broker.Append(r)
	all := w.broker.Records(tp)
	r = all[len(all)-1]
	w.mu.Lock()
	w.log[tp] = append(w.log[tp], r)
	w.mu.Unlock()
	for _, g := range w.lineages() {
		g.journal.append(r)
	}
}

func (w *cosmos) lineages() []*lineage {
	if w.next == nil {
		return []*lineage{w.first}
	}
	return []*lineage{w.first, w.next}
}

// write runs a lake writer until what it returns is called, which may kill it.
func (w *cosmos) write() (stop func(killed bool)) {
	share := 0.0
	if !w.isCalm() {
		share = 0.5 / float64(w.faults)
	}
	client, process := w.broker.Client(), laketest.NewProcess(w.objects, &w.late, uint64(w.intN(1<<30)), share, 0)
	var topics []string
	for _, s := range w.first.Plan.Sources {
		topics = append(topics, s.Topic)
	}
	o, err := lake.NewWriter(lake.Options{Journal: client, Objects: process, Topics: topics, PeriodLength: w.length, LeaveTimeout: time.Second,
		FlushAge: time.Duration(1+w.intN([]int{100, 3000, 10_000}[w.intN(3)])) * time.Millisecond, FlushCount: w.intN(2) * w.intN(30)})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	w.running.Go(func() {
		defer close(done)
		_ = o.Run(ctx) // what it could not write is in the journal
	})
	return func(killed bool) {
		if killed {
			client.Kill()
			process.Kill()
		}
		cancel()
		<-done
	}
}

// count runs a live worker of a generation until what it returns is called.
func (w *cosmos) count(g *lineage) (stop func()) {
	s, err := refine.NewStream(refine.Options{Journal: g.journal, History: w.raw, Engine: g.live, Store: &shaky{Store: w.store, w: w}, Plan: g.Plan, Period: w.length, MaxRecords: 1 + w.intN(80)})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	w.running.Go(func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			w.t.Errorf("a live worker gave up: %v", err)
		}
	})
	w.running.Go(func() { // until everybody has what he should have
		for range 3 {
			<-time.After(100 * time.Millisecond)
			g.journal.rebalance(w.t.Context(), rand.New(rand.NewPCG(uint64(w.intN(1<<30)), 1)), false)
		}
	})
	return func() {
		cancel()
		<-done
	}
}

// runner makes a batch of a generation, as a process of its own has it.
func (w *cosmos) runner(g *lineage) *refine.Runner {
	share := 0.0
	if !w.isCalm() {
		share = 0.1 / float64(w.faults)
	}
	process := laketest.NewProcess(w.objects, &w.late, uint64(w.intN(1<<30)), share, 0)
	derived, err := lake.NewDerived(lake.DerivedOptions{Objects: near{process, w.objects}, PeriodLength: w.length})
	if err != nil {
		w.t.Fatal(err)
	}
	sealer, err := lake.NewSealer(lake.SealerOptions{Objects: process, Journal: w.broker, Topics: w.topics(), Grace: w.grace})
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := refine.NewRunner(refine.RunnerOptions{Plan: g.Plan, PeriodLength: w.length, Raw: w.raw, Derived: derived, Engine: g.batch, Store: &shaky{Store: w.store, w: w},
		Parts: live.Parts{Instance: w.db}, Scratch: filepath.Join(w.dir, "spool", "batch"), Patience: time.Minute, Seal: func(ctx context.Context) (string, error) {
			s, err := sealer.Seal(ctx)
			return s.Waiting, err
		}})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *cosmos) topics() (topics []string) {
	for _, s := range w.first.Plan.Sources {
		topics = append(topics, s.Topic)
	}
	return topics
}

// batch runs the batch of a generation beside all else; it may be killed on its way.
func (w *cosmos) batch(g *lineage) {
	w.mu.Lock()
	busy := w.batches > 1
	if !busy {
		w.batches++
	}
	w.mu.Unlock()
	if busy {
		return
	}
	r := w.runner(g)
	left := w.intN(2 * w.faults * 5)
	w.running.Go(func() {
		ctx, cancel := context.WithCancel(w.t.Context())
		defer cancel()
		_, _ = r.Run(ctx, refine.Request{}, func(refine.Progress) { // it is run again
			if left--; left == 0 && !w.isCalm() {
				cancel()
			}
		})
		w.mu.Lock()
		w.batches--
		w.mu.Unlock()
	})
}

// shaky is a process's way to the store.
type shaky struct {
	*store.Store
	w *cosmos
}

// around calls f unless it is to fail before; it may fail after.
func (s *shaky) around(f func() error) error {
	before, after := s.w.fault()
	if before != nil {
		return before
	}
	if err := f(); err != nil {
		return err
	}
	return after
}

func (s *shaky) Commit(ctx context.Context, d pinflow.Delta) error {
	return s.around(func() error { return s.Store.Commit(ctx, d) })
}

func (s *shaky) Install(ctx context.Context, in pinflow.Installation) (c *pinflow.Comparison, err error) {
	err = s.around(func() error { c, err = s.Store.Install(ctx, in); return err })
	return c, err
}

func (s *shaky) PutReport(ctx context.Context, generation, report string, asOf pinflow.Period, rows pinflow.Relation) error {
	return s.around(func() error { return s.Store.PutReport(ctx, generation, report, asOf, rows) })
}

func (s *shaky) Switch(ctx context.Context, generation string) error {
	return s.around(func() error { return s.Store.Switch(ctx, generation) })
}

func (s *shaky) Hold(ctx context.Context, generation string, until time.Time) error {
	return s.around(func() error { return s.Store.Hold(ctx, generation, until) })
}

// forget lets the journal forget what the lake has.
func (w *cosmos) forget() {
	for _, topic := range w.topics() {
		ends, err := w.raw.Ends(w.t.Context(), topic)
		if err != nil {
			continue // the lake has nothing of it yet
		}
		for tp, tail := range ends {
			w.broker.Truncate(tp, tail.End)
			for _, g := range w.lineages() {
				g.journal.mu.Lock()
				g.journal.start[tp] = min(max(g.journal.start[tp], tail.End), g.journal.end(tp))
				g.journal.mu.Unlock()
			}
		}
	}
}

// watch sees to it that readers never see fewer records than before, until what it returns is called.
func (w *cosmos) watch() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		seen := map[pinflow.TopicPartition]pinflow.Progress{}
		for {
			changed := w.store.Changes()
			at, err := w.store.Positions(ctx)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				w.t.Errorf("read positions: %v", err)
			}
			for tp, before := range seen {
				if at[tp].NextOffset < before.NextOffset {
					w.t.Errorf("readers saw %s as of %d, and then as of %d", tp, before.NextOffset, at[tp].NextOffset)
				}
			}
			seen = at
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// ends are the offsets behind the last records.
func (w *cosmos) ends() map[pinflow.TopicPartition]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	ends := map[pinflow.TopicPartition]int64{}
	for tp, log := range w.log {
		ends[tp] = log[len(log)-1].Offset + 1
	}
	return ends
}

// eventually waits until f is true.
func (w *cosmos) eventually(what string, f func() (bool, string)) {
	w.t.Helper()
	for range 2000 {
		ok, _ := f()
		if ok {
			return
		}
		<-time.After(time.Second)
	}
	_, why := f()
	w.t.Fatalf("%s: %s", what, why)
}

// counted tells whether a generation has counted everything.
func (w *cosmos) counted(g *lineage) (bool, string) {
	at, err := w.store.Progress(w.t.Context(), g.Plan.Generation)
	if err != nil {
		w.t.Fatal(err)
	}
	for tp, end := range w.ends() {
		if at[tp].NextOffset < end {
			return false, fmt.Sprintf("%s stands at %d, ends at %d", tp, at[tp].NextOffset, end)
		}
	}
	return true, ""
}
