package storetest

import (
	"testing"

	"github.com/pinflow/pinflow"
)

// testClock is of a broker's clock that stepped back by more than the grace: records behind a sealed period's end that the live half counted
// in that period or before it, and a worker that holds such ones when the period is installed.
func testClock(t *testing.T, env Env) {
	p := batchPlan("g1")
	w := newWorld(env, p, 16, 1)
	s := open(t, env, p, 0)
	w.period = 5
	for range 20 {
		w.post(0)
	}
	cut := int64(len(w.log[0]))
	for range 10 {
		w.post(0)
	}
	w.catchUp(t, s) // all of it in period 5, of which only the first 20 are: and it is installed as period 6
	rename := func(from, to, period int64) {
		for i := from; i < to; i++ {
			w.log[0][i].period = period
		}
	}
	rename(0, cut, 6)
	rename(cut, cut+10, 7)
	w.sealed = make([]sealed, 8)
	w.sealed[6] = sealed{start: []int64{0}, end: []int64{cut}}
	w.sealed[7] = sealed{start: []int64{cut}, end: []int64{cut + 10}}
	for n := 6; n <= 7; n++ {
		c, err := s.Install(t.Context(), w.batch(t, n))
		must(t, err)
		if c.Why != "" || c.Differing == 0 {
			t.Errorf("period %d was counted elsewhere: %+v", n, c)
		}
	}
	w.check(t, s)
	for range 5 {
		w.post(0)
	}
	stale := w.live(t, w.positions(t, s), 1000, 0)
	stale.Advances[0].First = 5
	wantKind(t, "records of a period that is over", s.Commit(t.Context(), stale), pinflow.Fenced, topic+":0")
	w.check(t, s)
	rename(cut+10, cut+15, 8)
	good := w.live(t, w.positions(t, s), 1000, 0)
	good.Advances[0].First = 8
	must(t, s.Commit(t.Context(), good))
	w.check(t, s)
}
