package refine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine"
)

const topic = "t"

func tp(partition int) pinflow.TopicPartition {
	return pinflow.TopicPartition{Topic: topic, Partition: int32(partition)}
}

var somePlan = &pinflow.Plan{Generation: "g", Sources: []pinflow.PlannedSource{{Source: pinflow.Source{Name: "s", Topic: topic}}}}

// world is workers on one journal and one store, in virtual time.
type world struct {
	t       *testing.T
	r       *rand.Rand
	mu      sync.Mutex // of r, which many use
	journal *journal
	lake    *archive
	store   *memory
	engine  *engine
	workers sync.WaitGroup
	calm    bool // no more faults
	appends int64
}

func newWorld(t *testing.T, seed uint64, partitions int) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 3)), store: newMemory(), engine: &engine{}, appends: 1764000000000}
	w.journal = newJournal(func() int { return 1 + w.intN(40) })
	w.lake = newArchive(w.journal)
	for p := range partitions {
		w.journal.log[tp(p)] = nil
	}
	return w
}

func (w *world) intN(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.r.IntN(n)
}

// chance is true once in n times, while there are faults.
func (w *world) chance(n int) bool { return w.intN(n) == 0 && !w.isCalm() }

func (w *world) isCalm() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calm
}

// append appends n records, with gaps between offsets and a clock that steps back.
func (w *world) append(n int) {
	for range n {
		p := w.intN(len(w.journal.log))
		w.appends += int64(w.intN(2000))
		w.journal.mu.Lock()
		offset := w.journal.end(tp(p)) + int64(w.intN(20)/19)
		w.journal.mu.Unlock()
		w.journal.append(pinflow.Record{Topic: topic, Partition: int32(p), Offset: offset, Timestamp: w.appends - int64(w.intN(3000)), Value: make([]byte, w.intN(100))})
	}
}

// retain lets the lake come nearer to the end of the journal, and the journal delete some of what the lake has.
func (w *world) retain() {
	for p := range len(w.journal.log) {
		w.journal.mu.Lock()
		log, start := w.journal.log[tp(p)], w.journal.start[tp(p)]
		w.journal.mu.Unlock()
		has := w.indexOf(tp(p), w.lake.end[tp(p)])
		if has += w.intN(len(log) - has + 1); has == 0 {
			continue
		}
		end := log[has-1].Offset + 1 // it ends behind a record
		w.lake.put(tp(p), end)
		w.journal.delete(tp(p), start+int64(w.intN(3)/2*w.intN(int(end-start)+1)))
	}
}

// start runs a worker until the function that it returns is called.
func (w *world) start(o refine.Options) (*refine.Stream, context.CancelFunc) {
	o.Journal, o.Plan, o.Period = w.journal, somePlan, pinflow.PeriodLength(time.Second)
	if o.Engine == nil {
		o.Engine = w.engine
	}
	if o.Store == nil {
		o.Store = w.store
	}
	if o.History == nil {
		o.History = w.lake
	}
	s, err := refine.NewStream(o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	w.workers.Go(func() {
		if err := s.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	return s, cancel
}

// settle waits until everything is counted.
func (w *world) settle() {
	w.t.Helper()
	deadline := time.After(10 * time.Minute)
	for {
		left, changed := w.left()
		if left == 0 {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			w.t.Fatalf("%d records are never counted; the store stands at %v", left, w.store.progress)
		}
	}
}

// left is how many records are not counted yet, and what is closed when some more are.
func (w *world) left() (n int, changed chan struct{}) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.journal.mu.Lock() // a test may append while a worker reads
	defer w.journal.mu.Unlock()
	for tp, log := range w.journal.log {
		for _, r := range log {
			if r.Offset >= w.store.progress[tp].NextOffset && !w.lake.erased[r.Position()] {
				n++
			}
		}
	}
	return n, w.store.changed
}

// check holds what was counted to the log: each record once, in the period that the pure rule gives it.
func (w *world) check() {
	w.t.Helper()
	n := 0
	for tp, log := range w.journal.log {
		floor := pinflow.NoPeriod
		for i := range log {
			if w.lake.erased[log[i].Position()] {
				continue
			}
			floor = pinflow.PeriodLength(time.Second).Of(log[i].Timestamp, floor)
			if got := w.store.counted[log[i].Position()]; !slices.Equal(got, []pinflow.Period{floor}) {
				w.t.Fatalf("%s is counted in the periods %v, want once in %d", log[i].Position(), got, floor)
			}
			n++
		}
		if got := w.store.progress[tp]; len(log) > 0 && (got.NextOffset != w.journal.end(tp) || got.Period != floor) {
			w.t.Fatalf("%s stands at %+v, want %d in %d", tp, got, w.journal.end(tp), floor)
		}
	}
	if n != len(w.store.counted) {
		w.t.Fatalf("%d records are counted, %d were appended", len(w.store.counted), n)
	}
}

// mortal is a worker's way to the store. Some commits are paused, long enough for the group to move on; once dead, they
// go nowhere.
type mortal struct {
	*memory
	w    *world
	mu   sync.Mutex
	dead bool
}

func (m *mortal) Commit(ctx context.Context, d pinflow.Delta) error {
	if m.w.chance(12) {
		<-time.After(time.Duration(m.w.intN(40)) * time.Second)
	}
	m.mu.Lock()
	dead := m.dead
	m.mu.Unlock()
	if dead {
		return &pinflow.Error{Op: "commit", Kind: pinflow.Unavailable, Err: errors.New("killed")}
	}
	return m.memory.Commit(ctx, d)
}

// TestEveryRecordIsCountedOnce lets workers die, pause and lose their partitions, and the store and the engine fail.
func TestEveryRecordIsCountedOnce(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, seed) })
		})
	}
}

func chaos(t *testing.T, seed uint64) {
	w := newWorld(t, seed, 1+int(seed%4))
	w.store.fail = func() (before, after error) {
		kind := []pinflow.Kind{pinflow.Unavailable, pinflow.Unavailable, pinflow.Internal}[w.intN(3)]
		err := &pinflow.Error{Op: "commit", Kind: kind, Err: errors.New("by chance")}
		switch {
		case w.chance(10):
			return err, nil
		case w.chance(20):
			return nil, err // it was applied, but who knows
		}
		return nil, nil
	}
	w.lake.fail = func() error {
		if w.chance(80) {
			return &pinflow.Error{Op: "read the lake", Kind: []pinflow.Kind{pinflow.Unavailable, pinflow.Internal}[w.intN(2)], Err: errors.New("by chance")}
		}
		return nil
	}
	w.engine.fail = func(pinflow.Batch) error {
		if w.chance(25) {
			return errors.New("by chance")
		}
		return nil
	}
	for step := range 60 {
		w.append(w.intN(30))
		w.retain()
		if step%12 == 0 {
			store := &mortal{memory: w.store, w: w}
			_, stop := w.start(refine.Options{Store: store, MaxRecords: 1 + w.intN(60), Memory: int64(1 + w.intN(20_000)*w.intN(2))})
			defer stop()
			if step < 40 {
				time.AfterFunc(time.Duration(w.intN(90))*time.Second, func() {
					store.mu.Lock()
					store.dead = true
					store.mu.Unlock()
					stop()
				})
			}
		}
		<-time.After(time.Duration(w.intN(4000)) * time.Millisecond)
		if w.intN(3) == 0 {
			w.journal.rebalance(t.Context(), w.r2(), true)
		}
	}
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	<-time.After(2 * time.Minute) // the dead are gone
	w.journal.rebalance(t.Context(), w.r2(), false)
	w.settle()
	w.check()
}

// r2 is a source of chance for one caller.
func (w *world) r2() *rand.Rand { return rand.New(rand.NewPCG(uint64(w.intN(1<<30)), 1)) }
