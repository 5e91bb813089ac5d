package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
)

// secondPlan is a plan of other views and one metric less.
func secondPlan(generation string) *pinflow.Plan {
	p := batchPlan(generation)
	for i := range p.Views {
		if p.Views[i].Name == "accepted" {
			p.Views[i] = view("accepted", "SELECT coalesce(sum(n), 0)::BIGINT AS n, '"+generation+"' AS generation FROM {gen}.orders__accepted")
		}
	}
	p.Reports = nil
	p.Sources[0].Schema = json.RawMessage(`{"type":"object","maximum":1.10}`)
	return p
}

// testSwitch builds a second generation beside the first, moves readers to it and back.
func testSwitch(t *testing.T, env Env) {
	first, second := batchPlan("g1"), secondPlan("g2")
	w := newWorld(env, first, 60, 2)
	s := open(t, env, first, 0, 1)
	for range 3 {
		w.grow(30)
		w.post(0)
		w.catchUp(t, s)
		w.seal()
	}
	w.post(1)
	w.catchUp(t, s)
	wantKind(t, "an unknown generation", s.Switch(t.Context(), "g2"), pinflow.NotFound, "g2")
	must(t, s.Prepare(t.Context(), second))
	builds := *w
	builds.plan = second
	for n := range 3 {
		wantKind(t, "a generation that is behind", s.Switch(t.Context(), "g2"), pinflow.Unavailable, "behind", topic+":0")
		w.check(t, s)
		builds.install(t, s, builds.batch(t, n))
	}
	wantKind(t, "one record behind", s.Switch(t.Context(), "g2"), pinflow.Unavailable, "1 records in "+topic+":1")
	w.check(t, s)
	builds.catchUp(t, s)
	changed := s.Changes()
	must(t, s.Switch(t.Context(), "g2"))
	if !closed(changed) {
		t.Error("a switch was not told as a change")
	}
	checkSecond(t, &builds, s)
	must(t, s.Switch(t.Context(), "g2"))
	must(t, s.Prepare(t.Context(), first))
	checkSecond(t, &builds, s)
	must(t, s.Close())
	s = env.Open(t)
	checkSecond(t, &builds, s)
	generations, err := s.Generations(t.Context())
	must(t, err)
	if len(generations) != 2 || generations[0].Name != "g1" || generations[0].Current || !generations[1].Current || generations[1].Installed != 3 || generations[0].Installed != 0 ||
		!reflect.DeepEqual(generations[1].Positions, builds.positions(t, s)) || generations[0].MadeAt.IsZero() {
		t.Errorf("generations %+v", generations)
	}
	for _, p := range []*pinflow.Plan{first, second} {
		got, err := s.PlanOf(t.Context(), p.Generation)
		must(t, err)
		if len(got.Sources[0].Schema) == 0 || string(got.Sources[0].Schema) == "null" {
			got.Sources[0].Schema = p.Sources[0].Schema
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", p) {
			t.Errorf("got plan %+v\nwant %+v", got, p)
		}
	}
	_, err = s.PlanOf(t.Context(), "g9")
	wantKind(t, "the plan of an unknown generation", err, pinflow.NotFound, "g9")
	w.grow(10)
	w.post(0)
	builds.log = w.log
	builds.catchUp(t, s)
	wantKind(t, "the old one, which is behind by now", s.Switch(t.Context(), "g1"), pinflow.Unavailable)
	w.catchUp(t, s)
	must(t, s.Switch(t.Context(), "g1"))
	w.check(t, s)
}

func checkSecond(t *testing.T, w *world, s Store) {
	t.Helper()
	result := query(t, s, pinflow.Query{View: "accepted"})
	if len(result.Columns) != 2 || result.Rows[0][1] != "g2" || result.Generation != "g2" {
		t.Errorf("got %+v", result)
	}
	_, err := s.Query(t.Context(), pinflow.Query{View: "best"})
	wantKind(t, "a report of the old definition", err, pinflow.NotFound)
	for _, view := range []string{"latest", "first"} {
		ends := make([]int64, w.parts)
		for tp, at := range w.positions(t, s) {
			ends[tp.Partition] = at.NextOffset
		}
		w.checkRows(t, s, view, values(standing(w.before(ends), view)))
	}
}

// testHold keeps the current generation from running away.
func testHold(t *testing.T, env Env) {
	first, second := batchPlan("g1"), batchPlan("g2")
	w := newWorld(env, first, 61, 2)
	w.env.Native = nil
	s := open(t, env, first, 0, 1)
	for range 30 {
		w.post(0)
		w.post(1)
	}
	until := time.Now().Add(time.Hour)
	wantKind(t, "a hold for an unknown generation", s.Hold(t.Context(), "g2", until), pinflow.NotFound)
	wantKind(t, "a hold for the current one", s.Hold(t.Context(), "g1", until), pinflow.Invalid)
	must(t, s.Prepare(t.Context(), second))
	claim(t, s, second, 0, 1)
	builds := *w
	builds.plan = second
	must(t, s.Commit(t.Context(), w.live(t, w.positions(t, s), 20, 0)))
	must(t, s.Commit(t.Context(), builds.live(t, builds.positions(t, s), 10, 0, 1)))
	must(t, s.Hold(t.Context(), "g2", until))
	if err := s.Commit(t.Context(), w.live(t, w.positions(t, s), 5, 0)); !errors.Is(err, pinflow.ErrHeld) {
		t.Errorf("a commit that is held: %v", err)
	}
	for range 2 {
		wantKind(t, "a commit beyond", s.Commit(t.Context(), w.live(t, w.positions(t, s), 5, 0, 1)), pinflow.Unavailable, "g2")
		wantKind(t, "a commit just beyond", s.Commit(t.Context(), w.live(t, w.positions(t, s), 11, 1)), pinflow.Unavailable, "g2")
		w.check(t, s)
		must(t, s.Close())
		s = env.Open(t)
	}
	must(t, s.Commit(t.Context(), w.live(t, w.positions(t, s), 0, 0))) // goes nowhere
	must(t, s.Commit(t.Context(), w.live(t, w.positions(t, s), 10, 1)))
	w.check(t, s)
	must(t, s.Hold(t.Context(), "g2", time.Now().Add(-time.Second)))
	must(t, s.Commit(t.Context(), w.live(t, w.positions(t, s), 5, 0, 1)))
	must(t, s.Hold(t.Context(), "g2", until))
	must(t, s.Commit(t.Context(), builds.live(t, builds.positions(t, s), 20, 0, 1)))
	must(t, s.Switch(t.Context(), "g2"))
	must(t, s.Commit(t.Context(), w.live(t, w.positions(t, s), 1000, 0, 1))) // it is no longer the current one
	builds.check(t, s)
	w.catchUp(t, s)
	must(t, s.Switch(t.Context(), "g1"))
	w.post(0)
	w.catchUp(t, s) // the hold has ended with the switch
	w.check(t, s)
}

// testDrop drops a generation while it is read.
func testDrop(t *testing.T, env Env) {
	first, second := batchPlan("g1"), batchPlan("g2")
	w := newWorld(env, first, 62, 1)
	s := open(t, env, first, 0)
	w.grow(40)
	w.catchUp(t, s)
	w.seal()
	wantKind(t, "an unknown generation", s.DropGeneration(t.Context(), "g2"), pinflow.NotFound)
	must(t, s.Prepare(t.Context(), second))
	builds := *w
	builds.plan = second
	builds.install(t, s, builds.batch(t, 0))
	wantKind(t, "the current generation", s.DropGeneration(t.Context(), "g1"), pinflow.Invalid, "Switch")
	must(t, s.Hold(t.Context(), "g2", time.Now().Add(time.Hour)))
	must(t, s.DropGeneration(t.Context(), "g2"))
	w.grow(9)
	w.catchUp(t, s)
	for range 2 {
		generations, err := s.Generations(t.Context())
		must(t, err)
		if len(generations) != 1 || generations[0].Name != "g1" {
			t.Errorf("generations %+v", generations)
		}
		for what, n := range map[string]int{"installed": lengthOf(s.Installed(t.Context(), "g2")), "comparisons": lengthOf(s.Comparisons(t.Context(), "g2"))} {
			if n != 0 {
				t.Errorf("%d %s are left", n, what)
			}
		}
		wantKind(t, "a commit to it", s.Commit(t.Context(), builds.live(t, nil, 9, 0)), pinflow.Invalid, "g2")
		w.check(t, s)
		must(t, s.Close())
		s = env.Open(t)
	}
	must(t, s.Prepare(t.Context(), second))
	if at := builds.positions(t, s); len(at) != 0 {
		t.Errorf("made anew, it stands at %v", at)
	}
	builds.install(t, s, builds.batch(t, 0))
	builds.catchUp(t, s)
	must(t, s.Switch(t.Context(), "g2"))
	builds.check(t, s)
}

func lengthOf[T any](all []T, err error) int {
	if err != nil {
		return -1
	}
	return len(all)
}

// testTwoSwitches lets two generations take over at once while the current one goes on.
func testTwoSwitches(t *testing.T, env Env) {
	plans := []*pinflow.Plan{batchPlan("g1"), batchPlan("g2"), batchPlan("g3")}
	w := newWorld(env, plans[0], 63, 1)
	w.env.Native = nil
	s := open(t, env, plans[0], 0)
	worlds := make([]*world, 3)
	for i, p := range plans {
		must(t, s.Prepare(t.Context(), p))
		claim(t, s, p, 0)
		mine := *w
		mine.plan = p
		worlds[i] = &mine
	}
	for range 30 {
		w.post(0)
	}
	for i, one := range worlds {
		one.log = w.log
		must(t, s.Commit(t.Context(), one.live(t, one.positions(t, s), []int{20, 25, 22}[i], 0)))
	}
	done := make(chan struct{})
	var group, readers sync.WaitGroup
	readers.Go(func() { readOn(t, s, done) })
	kinds := make([]error, 3)
	for i, one := range worlds {
		d := one.live(t, one.positions(t, s), 3, 0)
		group.Go(func() {
			if i == 0 {
				kinds[i] = s.Commit(t.Context(), d)
			} else {
				kinds[i] = s.Switch(t.Context(), one.plan.Generation)
			}
		})
	}
	group.Wait()
	close(done)
	readers.Wait()
	must(t, kinds[0])
	must(t, kinds[1]) // it is ahead of both others, whatever comes first
	if kinds[2] != nil {
		wantKind(t, "the one that came late", kinds[2], pinflow.Unavailable)
	}
	generations, err := s.Generations(t.Context())
	must(t, err)
	if !generations[1].Current {
		t.Errorf("generations %+v", generations)
	}
	worlds[1].check(t, s)
}
