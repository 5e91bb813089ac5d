package refine_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine"
)

// calm runs a test in virtual time in a world without faults.
func calm(t *testing.T, partitions int, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, partitions)
		w.calm = true
		f(t, w)
	})
}

func TestPartitionOutOfRangeStopsAlone(t *testing.T) {
	calm(t, 3, func(t *testing.T, w *world) {
		w.append(100)
		w.journal.start[tp(1)] = 5
		s, stop := w.start(refine.Options{})
		defer stop()
		<-time.After(time.Second)
		w.journal.rebalance(t.Context(), w.r2(), false)
		<-time.After(time.Minute)
		for _, p := range s.Partitions() {
			if p.Partition == 1 {
				if pinflow.KindOf(p.Err) != pinflow.OutOfRange || pinflow.HintOf(p.Err) == "" || p.Next != 0 {
					t.Errorf("partition 1: %+v, %v", p, p.Err)
				}
			} else if p.Err != nil || p.Next != p.End {
				t.Errorf("beside a stopped partition: %+v, %v", p, p.Err)
			}
		}
	})
}

// TestPoisonIsFound: a record that no engine takes holds up what is behind it in its partition, and nothing else.
func TestPoisonIsFound(t *testing.T) {
	calm(t, 3, func(t *testing.T, w *world) {
		w.append(300)
		poison := w.journal.log[tp(1)][50].Offset
		var cured atomic.Bool
		w.engine.fail = func(b pinflow.Batch) error {
			for _, s := range b.Slices {
				if !cured.Load() && s.Partition == 1 && slices.ContainsFunc(s.Records, func(r pinflow.Record) bool { return r.Offset == poison }) {
					return errors.New("poison")
				}
			}
			return nil
		}
		s, stop := w.start(refine.Options{})
		defer stop()
		<-time.After(time.Second)
		w.journal.rebalance(t.Context(), w.r2(), false)
		<-time.After(5 * time.Minute)
		for _, p := range s.Partitions() {
			if want := map[bool]int64{true: poison, false: p.End}[p.Partition == 1]; p.Next != want {
				t.Errorf("%s stands at %d, want %d", p.TopicPartition, p.Next, want)
			}
		}
		if s.LastError() == nil {
			t.Error("nobody is told")
		}
		cured.Store(true)
		w.settle()
		w.check()
	})
}

// bounded notes what is in hand.
type bounded struct {
	*engine
	open, most atomic.Int32
	largest    atomic.Int64
	records    atomic.Int32
}

func (b *bounded) Refine(ctx context.Context, in pinflow.Batch) (pinflow.Delta, error) {
	var size, n int64
	for _, s := range in.Slices {
		n += int64(len(s.Records))
		for _, r := range s.Records {
			size += int64(len(r.Value))
		}
	}
	b.largest.Store(max(b.largest.Load(), size))
	b.records.Store(max(b.records.Load(), int32(n)))
	b.most.Store(max(b.most.Load(), b.open.Add(1)))
	d, err := b.engine.Refine(ctx, in)
	d.Close = func() { b.open.Add(-1) }
	return d, err
}

func TestBatchesAreBounded(t *testing.T) {
	calm(t, 3, func(t *testing.T, w *world) {
		w.append(2000)
		w.store.during = func(context.Context, pinflow.Delta) { <-time.After(time.Second) } // the next is refined meanwhile
		e := &bounded{engine: w.engine}
		_, stop := w.start(refine.Options{Engine: e, MaxRecords: 25, Memory: 20_000})
		defer stop()
		<-time.After(time.Second)
		w.journal.rebalance(t.Context(), w.r2(), false)
		w.settle()
		w.check()
		if e.most.Load() != 2 || e.records.Load() != 25 || e.largest.Load() > 2500 {
			t.Errorf("at once %d batches, of up to %d records and %d bytes; want 2, 25 and 2500", e.most.Load(), e.records.Load(), e.largest.Load())
		}
		<-time.After(2 * time.Second)
		if n := e.open.Load(); n != 0 {
			t.Errorf("%d deltas are still open", n)
		}
		m := w.journal.members[0]
		for tp, end := range map[pinflow.TopicPartition]int64{tp(0): w.journal.end(tp(0)), tp(1): w.journal.end(tp(1)), tp(2): w.journal.end(tp(2))} {
			if m.hints[tp] != end {
				t.Errorf("the group was told %d of %s, want %d", m.hints[tp], tp, end)
			}
		}
	})
}

// TestLargeRecordsMakeSmallBatches holds the bound in bytes, which one record may pass.
func TestLargeRecordsMakeSmallBatches(t *testing.T) {
	calm(t, 1, func(t *testing.T, w *world) {
		for i := range int64(20) {
			w.journal.append(pinflow.Record{Topic: topic, Offset: i, Timestamp: w.appends, Value: make([]byte, 1000+5000*(i/19))})
		}
		e := &bounded{engine: w.engine}
		_, stop := w.start(refine.Options{Engine: e, Memory: 6000})
		defer stop()
		<-time.After(time.Second)
		w.journal.rebalance(t.Context(), w.r2(), false)
		w.settle()
		w.check()
		if e.records.Load() != 3 || e.largest.Load() != 6000 && e.largest.Load() != 7000 && e.largest.Load() != 8000 {
			t.Errorf("up to %d records and %d bytes in a batch", e.records.Load(), e.largest.Load())
		}
	})
}

// TestCommitFailsWhileIdle: nothing else comes that would wake the worker.
func TestCommitFailsWhileIdle(t *testing.T) {
	for _, kind := range []pinflow.Kind{pinflow.Internal, pinflow.Fenced} {
		calm(t, 1, func(t *testing.T, w *world) {
			_, stop := w.start(refine.Options{})
			defer stop()
			<-time.After(time.Second)
			w.journal.rebalance(t.Context(), w.r2(), false)
			var commits atomic.Int32
			w.store.during = func(context.Context, pinflow.Delta) {
				commits.Add(1)
				<-time.After(time.Second) // the worker is idle again
			}
			w.store.fail = func() (error, error) {
				if commits.CompareAndSwap(1, 2) {
					return &pinflow.Error{Op: "commit", Kind: kind}, nil
				}
				return nil, nil
			}
			w.append(1)
			<-time.After(20 * time.Second)
			w.settle()
			w.check()
		})
	}
}

// TestRevokedWaitsForTheCommit: when it returns, nothing of the partition can be committed any more.
func TestRevokedWaitsForTheCommit(t *testing.T) {
	calm(t, 1, func(t *testing.T, w *world) {
		_, stop := w.start(refine.Options{})
		defer stop()
		<-time.After(time.Second)
		w.journal.rebalance(t.Context(), w.r2(), false)
		w.store.during = func(context.Context, pinflow.Delta) { <-time.After(30 * time.Second) }
		w.append(1)
		<-time.After(time.Second)
		m := w.journal.members[0]
		m.gate <- struct{}{}
		m.revoke(m.owned())
		<-m.gate
		if w.store.commits != 1 {
			t.Errorf("Revoked has returned, %d batches are committed", w.store.commits)
		}
	})
}

func TestWhatTricklesInIsGathered(t *testing.T) {
	calm(t, 1, func(t *testing.T, w *world) {
		_, stop := w.start(refine.Options{Gather: 20 * time.Millisecond})
		defer stop()
		<-time.After(time.Second)
		w.journal.rebalance(t.Context(), w.r2(), false)
		for range 500 { // a second at 500 a second
			<-time.After(2 * time.Millisecond)
			w.append(1)
		}
		w.settle()
		w.check()
		if n := w.store.commits; n < 40 || n > 51 {
			t.Errorf("%d commits in a second, gathered for 20 ms each", n)
		}
	})
}

func TestEndsWhileTheStoreIsAway(t *testing.T) {
	calm(t, 2, func(t *testing.T, w *world) {
		w.append(50)
		_, stop := w.start(refine.Options{})
		<-time.After(time.Second)
		w.journal.rebalance(t.Context(), w.r2(), false)
		w.settle()
		w.store.fail = func() (error, error) { return &pinflow.Error{Op: "commit", Kind: pinflow.Unavailable}, nil }
		w.append(50)
		<-time.After(time.Minute)
		before := time.Now()
		stop()
		w.workers.Wait()
		if took := time.Since(before); took > time.Second {
			t.Errorf("it took %s to end", took)
		}
	})
}

// TestBrokenStoreIsAskedSeldom: a store that takes nothing any more is tried ever more seldom, and for ever.
func TestBrokenStoreIsAskedSeldom(t *testing.T) {
	calm(t, 1, func(t *testing.T, w *world) {
		_, stop := w.start(refine.Options{})
		defer stop()
		<-time.After(time.Second)
		w.journal.rebalance(t.Context(), w.r2(), false)
		w.settle()
		var asked atomic.Int32
		var mended atomic.Bool
		w.store.fail = func() (error, error) {
			if mended.Load() {
				return nil, nil
			}
			asked.Add(1)
			return &pinflow.Error{Op: "commit", Kind: pinflow.Internal}, nil
		}
		w.append(5)
		<-time.After(10 * time.Minute)
		if n := asked.Load(); n < 30 || n > 80 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		mended.Store(true)
		w.settle()
		w.check()
	})
}

func TestInvalidStoreEndsTheWorker(t *testing.T) {
	calm(t, 1, func(t *testing.T, w *world) {
		s, err := refine.NewStream(refine.Options{Journal: w.journal, Engine: w.engine, Store: foreign{w.store}, Plan: somePlan})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context()); pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("Run: %v", err)
		}
		if _, err := refine.NewStream(refine.Options{}); pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("without anything: %v", err)
		}
	})
}

type foreign struct{ *memory }

func (foreign) Prepare(context.Context, *pinflow.Plan) error {
	return &pinflow.Error{Op: "prepare", Kind: pinflow.Invalid, Err: errors.New("the store of another pipeline")}
}
