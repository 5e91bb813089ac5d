package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/pinflow/pinflow"
)

// everything lists the partitions of the world.
func (w *world) everything() []int32 {
	var all []int32
	for p := range w.parts {
		all = append(all, int32(p))
	}
	return all
}

// positions returns where the world's generation stands.
func (w *world) positions(t testing.TB, s Store) map[pinflow.TopicPartition]pinflow.Progress {
	t.Helper()
	at, err := s.Progress(t.Context(), w.plan.Generation)
	must(t, err)
	return at
}

// catchUp commits all that the log has, in a few deltas.
func (w *world) catchUp(t testing.TB, s Store) {
	t.Helper()
	for {
		at := w.positions(t, s)
		d := w.live(t, at, 1+w.r.IntN(40), w.everything()...)
		moved := false
		for _, a := range d.Advances {
			moved = moved || a.End > a.Start
		}
		if !moved {
			return
		}
		must(t, s.Commit(t.Context(), d))
	}
}

// testEntities commits random posts of few keys, in cuts of all sizes, over periods and restarts.
func testEntities(t *testing.T, newEnv func(testing.TB) Env) {
	for seed := range uint64(3) {
		env, p := newEnv(t), batchPlan("g1")
		w := newWorld(env, p, seed, 2)
		s := open(t, env, p, 0, 1)
		for n := range 12 {
			w.grow([]int{0, 1, 5, 60}[w.r.IntN(4)])
			if w.r.IntN(3) == 0 {
				w.seal()
			}
			d := w.live(t, w.positions(t, s), 1+w.r.IntN(80), []int32{0, 1}[w.r.IntN(2):]...)
			must(t, s.Commit(t.Context(), d))
			if w.r.IntN(3) == 0 && d.Advances[0].End > d.Advances[0].Start {
				wantKind(t, "a change committed again", s.Commit(t.Context(), d), pinflow.Fenced)
			}
			if n%4 == 3 {
				w.check(t, s)
			}
			if n == 6 {
				must(t, s.Close())
				s = env.Open(t)
			}
		}
		w.catchUp(t, s)
		w.check(t, s)
	}
}

// testFailedChange has the deltas of a change fail: nothing of the commit stays, and the same goes in after.
func testFailedChange(t *testing.T, env Env) {
	p := batchPlan("g1")
	w := newWorld(env, p, 5, 1)
	s := open(t, env, p, 0)
	w.grow(60)
	w.catchUp(t, s)
	for range 5 {
		w.post(0)
	}
	w.log[0][len(w.log[0])-1].rejected = false
	d := w.live(t, w.positions(t, s), 100, 0)
	bad := d
	for i := range d.Changes {
		bad.Changes = append([]pinflow.Change(nil), d.Changes...)
		bad.Changes[i].Deltas = func(context.Context, pinflow.Relation) ([]pinflow.Addition, error) { return nil, errBroken }
		if err := s.Commit(t.Context(), bad); !errors.Is(err, errBroken) {
			t.Errorf("deltas that fail: got %v", err)
		}
		bad.Changes[i] = d.Changes[i]
		bad.Changes[i].Table = "nothing"
		wantKind(t, "a change of an unknown table", s.Commit(t.Context(), bad), pinflow.Invalid, "nothing")
		bad.Changes[i].Table = "orders"
		wantKind(t, "a change of a table without keys", s.Commit(t.Context(), bad), pinflow.Invalid, "orders")
	}
	w.check(t, s)
	must(t, s.Commit(t.Context(), d))
	w.check(t, s)
}
