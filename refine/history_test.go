package refine_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine"
)

// past runs a test in a world whose journal has deleted most of one of three partitions, which the lake has.
func past(t *testing.T, f func(t *testing.T, w *world)) {
	calm(t, 3, func(t *testing.T, w *world) {
		w.append(1500)
		end := w.journal.end(tp(1))
		w.lake.put(tp(1), end-50)
		w.journal.delete(tp(1), end-120)
		f(t, w)
	})
}

// assign lets the group find its partitions.
func (w *world) assign() {
	<-time.After(time.Second)
	w.journal.rebalance(w.t.Context(), w.r2(), false)
}

func TestTheLakeComesBeforeTheJournal(t *testing.T) {
	past(t, func(t *testing.T, w *world) {
		s, stop := w.start(refine.Options{MaxRecords: 100})
		defer stop()
		w.assign()
		w.settle()
		w.check()
		if w.lake.read != int(w.indexOf(tp(1), w.lake.end[tp(1)])) {
			t.Errorf("%d records were read from the lake, which has %d", w.lake.read, w.indexOf(tp(1), w.lake.end[tp(1)]))
		}
		for _, p := range s.Partitions() {
			if p.Err != nil || p.Past {
				t.Errorf("%+v", p)
			}
		}
	})
}

// indexOf is how many records of a partition are before an offset.
func (w *world) indexOf(tp pinflow.TopicPartition, offset int64) (n int) {
	for _, r := range w.journal.log[tp] {
		if r.Offset < offset {
			n++
		}
	}
	return n
}

// TestErasedRecordsArePassedOver also at the end of what the lake has, behind which the journal goes on.
func TestErasedRecordsArePassedOver(t *testing.T) {
	past(t, func(t *testing.T, w *world) {
		w.lake.put(tp(1), w.journal.start[tp(1)])
		for i, r := range w.journal.log[tp(1)] {
			if end := w.lake.end[tp(1)]; r.Offset < end && (i%7 == 0 || r.Offset > end-20) {
				w.lake.erased[r.Position()] = true
			}
		}
		_, stop := w.start(refine.Options{MaxRecords: 64})
		defer stop()
		w.assign()
		w.settle()
		w.check()
	})
}

// TestOthersGoOnMeanwhile: one partition's history does not come.
func TestOthersGoOnMeanwhile(t *testing.T) {
	past(t, func(t *testing.T, w *world) {
		waits := make(chan struct{})
		w.lake.fail = func() error { <-waits; return nil }
		s, stop := w.start(refine.Options{MaxRecords: 100})
		defer stop()
		w.assign()
		<-time.After(time.Minute)
		for _, p := range s.Partitions() {
			if behind := p.Next != w.journal.end(p.TopicPartition); behind != (p.Partition == 1) || p.Past != behind || p.Err != nil {
				t.Errorf("%+v", p)
			}
		}
		close(waits)
		w.settle()
		w.check()
	})
}

// TestALongPastLeavesRoom: what comes to the journal meanwhile does not wait until all of the history is read.
func TestALongPastLeavesRoom(t *testing.T) {
	calm(t, 2, func(t *testing.T, w *world) {
		add := func(p int, n int) {
			for range n {
				w.journal.append(pinflow.Record{Topic: topic, Partition: int32(p), Offset: w.journal.end(tp(p)), Timestamp: w.appends, Value: []byte("v")})
			}
		}
		add(1, 5000)
		w.lake.put(tp(1), 5000)
		w.journal.delete(tp(1), 5000)
		w.store.during = func(context.Context, pinflow.Delta) { <-time.After(100 * time.Millisecond) }
		s, stop := w.start(refine.Options{MaxRecords: 50})
		defer stop()
		w.assign()
		<-time.After(time.Second)
		add(0, 20)
		<-time.After(time.Second)
		if all := s.Partitions(); all[0].Next != 20 || all[1].Next == 0 || all[1].Next == 5000 {
			t.Errorf("%+v", all)
		}
		w.settle()
		w.check()
	})
}

// TestNeitherHasIt: the partition counts what there is, and stops where there is nothing.
func TestNeitherHasIt(t *testing.T) {
	for name, c := range map[string]struct {
		end, begin int64 // of the lake
		fail       error
		erased     int64 // from where on
		next       int64
	}{
		"gap":     {end: 100, next: 100},
		"erased":  {end: 100, erased: 90, next: 90},
		"nothing": {end: 0, next: 0},
		"begins":  {begin: 10, end: 450, next: 0},
		"damaged": {end: 450, fail: &pinflow.Error{Op: "read the lake", Kind: pinflow.Invalid}, next: 0},
	} {
		t.Run(name, func(t *testing.T) {
			calm(t, 3, func(t *testing.T, w *world) {
				for i := range int64(500) {
					w.journal.append(pinflow.Record{Topic: topic, Partition: 1, Offset: i, Timestamp: w.appends, Value: []byte("v")})
				}
				w.append(50)
				w.lake.put(tp(1), c.end)
				w.lake.begin[tp(1)] = c.begin
				for i := c.erased; i < c.end && c.erased > 0; i++ {
					w.lake.erased[pinflow.Position{TopicPartition: tp(1), Offset: i}] = true
				}
				w.lake.fail = func() error { return c.fail }
				w.journal.delete(tp(1), 400)
				s, stop := w.start(refine.Options{})
				defer stop()
				w.assign()
				<-time.After(time.Minute)
				for _, p := range s.Partitions() {
					if p.Partition != 1 {
						if p.Err != nil || p.Next != p.End {
							t.Errorf("beside a stopped partition: %+v", p)
						}
					} else if pinflow.KindOf(p.Err) != pinflow.OutOfRange || pinflow.HintOf(p.Err) == "" || p.Next != c.next || p.Past {
						t.Errorf("%+v, want it to stop at %d", p, c.next)
					}
				}
			})
		})
	}
}

// TestThePastIsReadAgain after errors that pass, from where it was.
func TestThePastIsReadAgain(t *testing.T) {
	for _, kind := range []pinflow.Kind{pinflow.Unavailable, pinflow.Internal} {
		past(t, func(t *testing.T, w *world) {
			var lines atomic.Int32
			w.lake.fail = func() error {
				if lines.Add(1)%60 == 0 {
					return &pinflow.Error{Op: "read the lake", Kind: kind, Err: errors.New("by chance")}
				}
				return nil
			}
			s, stop := w.start(refine.Options{MaxRecords: 100})
			defer stop()
			w.assign()
			w.settle()
			w.check()
			if s.LastError() == nil || w.lake.read > 600 {
				t.Errorf("%d lines were read; last error: %v", w.lake.read, s.LastError())
			}
		})
	}
}

// TestComesBackAfterTheRetention: a worker that was away for longer than the journal keeps its records.
func TestComesBackAfterTheRetention(t *testing.T) {
	calm(t, 2, func(t *testing.T, w *world) {
		w.append(200)
		_, stop := w.start(refine.Options{})
		w.assign()
		w.settle()
		stop()
		w.workers.Wait()
		w.append(400)
		for p := range 2 {
			w.lake.put(tp(p), w.journal.end(tp(p)))
			w.journal.delete(tp(p), w.journal.end(tp(p)))
		}
		w.append(100)
		_, stop = w.start(refine.Options{})
		defer stop()
		w.assign()
		w.settle()
		w.check()
	})
}

// TestRetentionPassesBy while the history is read: where the lake ends, the journal has deleted more, which the lake has by now.
func TestRetentionPassesBy(t *testing.T) {
	past(t, func(t *testing.T, w *world) {
		var once atomic.Bool
		w.lake.fail = func() error {
			if once.CompareAndSwap(false, true) {
				w.append(300)
				w.lake.put(tp(1), w.journal.end(tp(1)))
				w.journal.delete(tp(1), w.journal.end(tp(1)))
				w.append(30)
			}
			return nil
		}
		_, stop := w.start(refine.Options{MaxRecords: 100})
		defer stop()
		w.assign()
		w.settle()
		w.check()
	})
}

// TestThePastIsBounded: what is read ahead of a store that does not go on, and how many partitions are read at a time.
func TestThePastIsBounded(t *testing.T) {
	calm(t, 4, func(t *testing.T, w *world) {
		w.append(8000)
		for p := range 4 {
			w.lake.put(tp(p), w.journal.end(tp(p)))
			w.journal.delete(tp(p), w.journal.end(tp(p)))
		}
		waits := make(chan struct{})
		w.store.during = func(context.Context, pinflow.Delta) { <-waits }
		_, stop := w.start(refine.Options{MaxRecords: 100})
		defer stop()
		w.assign()
		<-time.After(30 * time.Minute)
		synctest.Wait()
		// Two batches in hand, what waits for the third, and chunks of an eighth of a batch: three per reader.
		if w.lake.read > 400 || w.lake.read < 200 || w.lake.most != 2 {
			t.Errorf("%d lines were read, by up to %d readers", w.lake.read, w.lake.most)
		}
		close(waits)
		w.settle()
		w.check()
	})
}

// TestRevokedWhileThePastIsRead: it ends, and who comes next begins where the store stands.
func TestRevokedWhileThePastIsRead(t *testing.T) {
	past(t, func(t *testing.T, w *world) {
		waits := make(chan struct{})
		var lines atomic.Int32
		w.lake.fail = func() error {
			if lines.Add(1) == 90 {
				<-waits
			}
			return nil
		}
		_, stop := w.start(refine.Options{MaxRecords: 100})
		w.assign()
		<-time.After(time.Minute)
		_, stop2 := w.start(refine.Options{MaxRecords: 100})
		defer stop2()
		<-time.After(time.Second)
		w.journal.rebalance(t.Context(), w.r2(), false)
		close(waits)
		stop()
		<-time.After(time.Second)
		w.journal.rebalance(t.Context(), w.r2(), false)
		w.settle()
		w.check()
	})
}

// TestAssignedAnewWhenThePastEnds: the journal is told to go on behind the history although the partition has just begun anew, where the store stands.
func TestAssignedAnewWhenThePastEnds(t *testing.T) {
	past(t, func(t *testing.T, w *world) {
		w.store.during = func(context.Context, pinflow.Delta) { <-time.After(time.Second) }
		_, stop := w.start(refine.Options{MaxRecords: 100})
		defer stop()
		synctest.Wait()
		m := w.journal.members[0]
		var once atomic.Bool
		m.sought = func(at pinflow.TopicPartition, offset int64) {
			if at == tp(1) && offset == w.lake.end[at] && once.CompareAndSwap(false, true) {
				m.assign(t.Context(), []pinflow.TopicPartition{at})
			}
		}
		w.journal.rebalance(t.Context(), w.r2(), false)
		w.settle()
		w.check()
		if !once.Load() {
			t.Error("it was never sought")
		}
	})
}

// TestAnInstallOvertakes: the worker's fence breaks; it goes on at the store's position, with the store's period as the floor.
func TestAnInstallOvertakes(t *testing.T) {
	calm(t, 1, func(t *testing.T, w *world) {
		add := func(n int) {
			for range n {
				w.journal.append(pinflow.Record{Topic: topic, Offset: w.journal.end(tp(0)), Timestamp: w.appends, Value: []byte("v")})
			}
		}
		_, stop := w.start(refine.Options{})
		defer stop()
		w.assign()
		add(10)
		w.settle()
		period := pinflow.PeriodLength(time.Second).Of(w.appends, pinflow.NoPeriod)
		floor := period + 60_000
		w.store.mu.Lock()
		w.store.progress[tp(0)] = pinflow.Progress{NextOffset: 15, Period: floor} // the records to come, as somebody else has read them
		w.store.mu.Unlock()
		add(20)
		w.settle()
		for i := range int64(30) {
			got := w.store.counted[pinflow.Position{TopicPartition: tp(0), Offset: i}]
			switch {
			case i < 10 && (len(got) != 1 || got[0] != period), i >= 10 && i < 15 && len(got) != 0, i >= 15 && (len(got) != 1 || got[0] != floor):
				t.Errorf("offset %d is counted in %v", i, got)
			}
		}
	})
}

// TestHeldIsNoFailure: a commit that another generation keeps back is tried until it may go on, and nobody is alarmed.
func TestHeldIsNoFailure(t *testing.T) {
	calm(t, 1, func(t *testing.T, w *world) {
		s, stop := w.start(refine.Options{})
		defer stop()
		w.assign()
		var asked atomic.Int32
		w.store.fail = func() (error, error) {
			if asked.Add(1) < 100 {
				return &pinflow.Error{Op: "commit", Kind: pinflow.Unavailable, Err: pinflow.ErrHeld}, nil
			}
			return nil, nil
		}
		began := time.Now()
		w.append(5)
		w.settle()
		w.check()
		if took := time.Since(began); s.LastError() != nil || took > time.Minute {
			t.Errorf("after %s: %v", took, s.LastError())
		}
	})
}
