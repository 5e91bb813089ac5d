package storetest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/pinflow/pinflow"
)

// testConcurrency commits to several partitions at once while readers compare what is counted with the positions of the
// same snapshot.
func testConcurrency(t *testing.T, env Env) {
	p := plan("g1")
	s := open(t, env, p, 0, 1, 2)
	const commits = 15
	done := make(chan struct{})
	var writers, readers sync.WaitGroup
	models := make([]*model, 3)
	for n := range models {
		models[n] = newModel(p)
		makes := newMaker(Env{}, p, uint64(n+50))
		writers.Go(func() {
			for range commits {
				d := makes.delta(t, 60, int32(n))
				if err := s.Commit(t.Context(), d.Delta); err != nil {
					t.Error(err)
					return
				}
				models[n].apply(d)
			}
		})
	}
	for _, q := range []pinflow.Query{{View: "totals"}, {SQL: "SELECT (SELECT count(*) FROM things) + (SELECT count(*) FROM shop.rejects)"},
		{SQL: "SELECT (SELECT sum(n) FROM sales) + (SELECT count(*) FROM rejects)"}} {
		readers.Go(func() {
			for {
				changed := s.Changes()
				if err := countsAgree(t, s, q); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-done:
					return
				case <-changed:
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	whole := newModel(p)
	for _, m := range models {
		whole.total += m.total
		for tp, at := range m.positions {
			whole.positions[tp] = at
		}
	}
	whole.checkView(t, s, "totals", [][]any{{whole.total}})
}

func countsAgree(t testing.TB, s Store, q pinflow.Query) error {
	result, err := s.Query(t.Context(), q)
	if err != nil {
		return err
	}
	var sum int64
	for _, at := range result.Positions {
		sum += at.NextOffset
	}
	counted := fmt.Sprint(result.Rows[0][0])
	if result.Rows[0][0] == nil {
		counted = "0"
	}
	if counted != fmt.Sprint(sum) {
		return fmt.Errorf("%+v counts %s, the positions of the same snapshot are %v", q, counted, result.Positions)
	}
	return nil
}

// testTwice prepares and claims again: positions stay, and a start is only for who has none.
func testTwice(t *testing.T, env Env) {
	p := plan("g1")
	s := open(t, env, p, 0)
	m, makes := newModel(p), newMaker(env, p, 31)
	for range 3 {
		d := makes.delta(t, 20, 0)
		must(t, s.Commit(t.Context(), d.Delta))
		m.apply(d)
		must(t, s.Prepare(t.Context(), p))
		claimed, err := s.Claim(t.Context(), p.Generation, map[pinflow.TopicPartition]int64{partition(0): 99, partition(1): 42})
		must(t, err)
		if claimed[partition(0)] != m.positions[partition(0)] {
			t.Errorf("claimed at %+v, committed to %+v", claimed[partition(0)], m.positions[partition(0)])
		}
		if want := (pinflow.Progress{NextOffset: 42, Period: pinflow.NoPeriod}); claimed[partition(1)] != want {
			t.Errorf("claimed at %+v, want %+v", claimed[partition(1)], want)
		}
		if len(claimed) != 2 {
			t.Errorf("claimed %v, asked for two", claimed)
		}
		m.check(t, s)
	}
	must(t, s.Close())
	s = env.Open(t)
	positions, err := s.Positions(t.Context())
	must(t, err)
	if len(positions) != 2 || positions[partition(0)] != m.positions[partition(0)] || positions[partition(1)].NextOffset != 42 {
		t.Errorf("positions after reopening are %v", positions)
	}
	must(t, s.Prepare(t.Context(), p))
	m.check(t, s)
}

func testRefusals(t *testing.T, env Env) {
	p := plan("g1")
	s := env.Open(t)
	_, err := s.Query(t.Context(), pinflow.Query{View: "sales"})
	wantKind(t, "a view before anything is prepared", err, pinflow.NotFound)
	must(t, s.Prepare(t.Context(), p))
	claim(t, s, p, 0)
	other := plan("g1")
	other.Pipeline = "garden"
	wantKind(t, "another pipeline", s.Prepare(t.Context(), other), pinflow.Invalid, "shop", "--store")
	other = plan("g1")
	other.Tables = other.Tables[1:]
	wantKind(t, "the same generation with other tables", s.Prepare(t.Context(), other), pinflow.Invalid)
	_, err = s.Claim(t.Context(), "g9", map[pinflow.TopicPartition]int64{partition(0): 0})
	wantKind(t, "claim in an unknown generation", err, pinflow.Invalid, "g9")
	d := newMaker(env, p, 1).delta(t, 9, 0).Delta
	d.Generation = "g9"
	wantKind(t, "commit to an unknown generation", s.Commit(t.Context(), d), pinflow.Invalid, "g9")
	d.Generation = "g1"
	d.Added = append(d.Added, pinflow.Addition{Table: "nothing", Rows: rows{}})
	wantKind(t, "rows for an unknown table", s.Commit(t.Context(), d), pinflow.Invalid, "nothing")
	d.Added, d.Advances[0].End = nil, -1
	wantKind(t, "an advance that goes back", s.Commit(t.Context(), d), pinflow.Invalid)
	newModel(p).check(t, s)
}

// testOtherGeneration prepares a second generation: readers stay with the first.
func testOtherGeneration(t *testing.T, env Env) {
	first, second := plan("g1"), plan("g2")
	s := open(t, env, first, 0)
	m := newModel(first)
	d := newMaker(env, first, 5).delta(t, 50, 0)
	must(t, s.Commit(t.Context(), d.Delta))
	m.apply(d)
	must(t, s.Prepare(t.Context(), second))
	m.check(t, s)
	if at := claim(t, s, second, 0)[partition(0)]; at.NextOffset != 0 {
		t.Errorf("the second generation begins at %+v", at)
	}
	must(t, s.Commit(t.Context(), newMaker(env, second, 6).delta(t, 50, 0).Delta))
	m.check(t, s)
}

// testChanges waits for commits through the channel.
func testChanges(t *testing.T, env Env) {
	p := plan("g1")
	s := open(t, env, p, 0)
	makes := newMaker(env, p, 5)
	for range 3 {
		changed := s.Changes()
		if closed(changed) {
			t.Error("the channel was closed before a commit")
		}
		d := makes.delta(t, 5, 0)
		must(t, s.Commit(t.Context(), d.Delta))
		if !closed(changed) {
			t.Error("a commit did not close the channel")
		}
	}
	changed := s.Changes()
	d := newMaker(env, p, 6).delta(t, 5, 3)
	wantKind(t, "a fenced commit", s.Commit(t.Context(), d.Delta), pinflow.Fenced)
	if closed(changed) {
		t.Error("a commit that failed closed the channel")
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
