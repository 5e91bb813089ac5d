package storetest

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
)

// hooked is a relation that calls something before it is read.
type hooked struct {
	pinflow.Relation
	before func()
}

// Scan implements pinflow.Relation.
func (h hooked) Scan(ctx context.Context, f func(row []any) error) error {
	h.before()
	return h.Relation.Scan(ctx, f)
}

// testTwoInstalls installs one period twice at once.
func testTwoInstalls(t *testing.T, env Env) {
	p := batchPlan("g1")
	w := newWorld(env, p, 20, 1)
	s := open(t, env, p, 0)
	for n := range 4 {
		w.grow(60)
		if n%2 == 0 {
			w.catchUp(t, s)
		}
		w.seal()
		ins := []pinflow.Installation{w.batch(t, n), w.batch(t, n)}
		outcomes := make([]*pinflow.Comparison, 2)
		// Each waits, while its rows are read, for the other one to have come so far.
		var both sync.WaitGroup
		both.Add(2)
		var group sync.WaitGroup
		for i := range ins {
			once := sync.OnceFunc(func() { both.Done(); both.Wait() })
			ins[i].Added = append([]pinflow.Addition(nil), ins[i].Added...)
			ins[i].Added[0].Rows = hooked{ins[i].Added[0].Rows, once}
			group.Go(func() {
				var err error
				if outcomes[i], err = s.Install(t.Context(), ins[i]); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if t.Failed() {
			return
		}
		if outcomes[0].Unchanged == outcomes[1].Unchanged {
			t.Errorf("period %d: %+v and %+v", n, outcomes[0], outcomes[1])
		}
		for _, c := range outcomes {
			if c.Differing != 0 {
				t.Errorf("period %d: %+v", n, c)
			}
		}
		w.check(t, s)
	}
	if all, err := s.Comparisons(t.Context(), p.Generation); err != nil || len(all) != 4 {
		t.Errorf("%d comparisons, %v", len(all), err)
	}
}

// testInstallBesideCommit commits while an install reads its rows, and begins a commit while the install holds the positions.
func testInstallBesideCommit(t *testing.T, newEnv func(testing.TB) Env) {
	for seed := range uint64(6) {
		env, p := newEnv(t), batchPlan("g1")
		w := newWorld(env, p, 30+seed, 1)
		s := open(t, env, p, 0)
		for range 40 {
			w.post(0)
		}
		first := w.live(t, w.positions(t, s), len(w.log[0])/2, 0)
		spoil(t, &first, "latest", func(all [][]any) [][]any { // a row that there should not be, so that what stands is asked for
			ghost := slices.Clone(all[0])
			ghost[2] = "ghost"
			return append([][]any{ghost}, all...)
		})
		must(t, s.Commit(t.Context(), first))
		w.seal()
		w.grow(20)
		in := w.batch(t, 0)
		most := []int{1, 1000, len(w.log[0]) / 4}[seed%3] // not to the end, beyond it, somewhere
		early := w.live(t, w.positions(t, s), most, 0)
		in.Added = append([]pinflow.Addition(nil), in.Added...)
		in.Added[0].Rows = hooked{in.Added[0].Rows, sync.OnceFunc(func() { must(t, s.Commit(t.Context(), early)) })}
		late := make(chan error, 1)
		state := in.StateOf
		begun := false
		var lately pinflow.Delta
		in.StateOf = func(ctx context.Context, table string, keys pinflow.Relation) (pinflow.Relation, error) {
			if !begun {
				begun = true
				go func() { late <- s.Commit(t.Context(), lately) }()
			}
			return state(ctx, table, keys)
		}
		at := map[pinflow.TopicPartition]pinflow.Progress{partition(0): {NextOffset: early.Advances[0].End, Period: early.Advances[0].Period}}
		lately = w.live(t, at, 1000, 0)
		c, err := s.Install(t.Context(), in)
		must(t, err)
		if past := early.Advances[0].End >= w.sealed[0].end[0]; past != (c.Why == "") || past != (c.Differing == 1) {
			t.Errorf("seed %d: past the end %v, got %+v", seed, past, c)
		}
		if !begun {
			t.Error("nobody asked what stands")
		} else if err := <-late; err != nil {
			wantKind(t, "a commit that the install overtook", err, pinflow.Fenced)
		}
		w.check(t, s)
		w.catchUp(t, s)
		w.check(t, s)
	}
}

// testEverythingAtOnce lets two live workers, two batches, a generation that takes over and readers loose on one store.
func testEverythingAtOnce(t *testing.T, env Env) {
	first, second := batchPlan("g1"), batchPlan("g2")
	w := newWorld(env, first, 40, 2)
	w.env.Native = nil // its tables are made by one at a time
	s := open(t, env, first, 0, 1)
	must(t, s.Prepare(t.Context(), second))
	claim(t, s, second, 0, 1)
	const periods = 5
	for range periods {
		w.grow(60)
		w.seal()
	}
	w.grow(30)
	builds := *w
	builds.plan, builds.r = second, rand.New(rand.NewPCG(41, 1))
	installs := map[string][]pinflow.Installation{}
	for n := range periods {
		installs["g1"] = append(installs["g1"], w.batch(t, n))
		installs["g2"] = append(installs["g2"], builds.batch(t, n))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // which ends a test that hangs
	defer cancel()
	done := make(chan struct{})
	var workers, readers sync.WaitGroup
	work := func(of *world, seed uint64) {
		mine := *of
		mine.r = rand.New(rand.NewPCG(seed, 2))
		workers.Go(func() {
			for ctx.Err() == nil {
				at, err := s.Progress(ctx, mine.plan.Generation)
				if err != nil {
					t.Error(err)
					return
				}
				d := mine.live(t, at, 1+mine.r.IntN(30), 0, 1)
				if d.Advances[0].End == d.Advances[0].Start && d.Advances[1].End == d.Advances[1].Start {
					return
				}
				switch err := s.Commit(ctx, d); pinflow.KindOf(err) {
				case pinflow.Fenced, pinflow.Unavailable: // held, or overtaken
				default:
					if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	work(w, 50)
	work(w, 51)
	work(&builds, 52)
	for _, g := range []string{"g1", "g1", "g2"} {
		workers.Go(func() {
			for n := 0; n < periods && ctx.Err() == nil; {
				c, err := s.Install(ctx, installs[g][n])
				if pinflow.KindOf(err) == pinflow.Fenced && err != nil {
					continue
				}
				if err != nil || c.Differing != 0 {
					t.Errorf("period %d of %s: %+v, %v", n, g, c, err)
					return
				}
				n++
			}
		})
	}
	workers.Go(func() {
		for ctx.Err() == nil {
			if err := s.Hold(ctx, "g2", time.Now().Add(time.Minute)); err != nil {
				t.Error(err)
				return
			}
			if err := s.Switch(ctx, "g2"); err == nil {
				return
			} else if pinflow.KindOf(err) != pinflow.Unavailable {
				t.Error(err)
				return
			}
		}
	})
	for range 2 {
		readers.Go(func() { readOn(t, s, done) })
	}
	workers.Wait()
	close(done)
	readers.Wait()
	if ctx.Err() != nil {
		t.Fatal("they did not come to an end")
	}
	builds.catchUp(t, s)
	builds.check(t, s)
	all, err := s.Installed(t.Context(), "g1")
	must(t, err)
	if len(all) != periods {
		t.Errorf("%d periods are installed", len(all))
	}
	w.catchUp(t, s)
	must(t, s.Switch(t.Context(), "g1"))
	w.check(t, s)
	numbers := map[int64]bool{}
	for _, g := range []string{"g1", "g2"} {
		compared, err := s.Comparisons(t.Context(), g)
		must(t, err)
		for _, c := range compared {
			numbers[c.ID] = true
		}
	}
	if len(numbers) != 2*periods {
		t.Errorf("%d numbers of %d comparisons", len(numbers), 2*periods)
	}
}

// readOn reads until done: each answer counts as many records as its positions say, in every way of counting, and positions never go back.
func readOn(t *testing.T, s Store, done <-chan struct{}) {
	const counts = `SELECT (SELECT n FROM accepted) + (SELECT count(*) FROM rejects WHERE model = 'orders') AS a,
		(SELECT sum(n)::BIGINT FROM by_category) AS b, (SELECT count(*) FROM orders) AS c, (SELECT n FROM accepted) AS d,
		(SELECT count(*) FROM latest) AS e, (SELECT coalesce(sum(n), 0)::BIGINT FROM latest_by_category) AS f,
		(SELECT coalesce(sum(amount), 0)::BIGINT FROM first) AS g, (SELECT coalesce(sum(total), 0)::BIGINT FROM first_by_category) AS h`
	last := map[pinflow.TopicPartition]int64{}
	for {
		result, err := s.Query(t.Context(), pinflow.Query{SQL: counts})
		if err != nil {
			t.Error(err)
			return
		}
		sum := int64(0)
		for tp, at := range result.Positions {
			if at.NextOffset < last[tp] {
				t.Errorf("%s went back from %d to %d", tp, last[tp], at.NextOffset)
			}
			last[tp] = at.NextOffset
			sum += at.NextOffset
		}
		row := result.Rows[0]
		if row[1] == nil {
			row[1] = int64(0)
		}
		if row[0] != sum || row[1] != row[2] || row[2] != row[3] || row[4] != row[5] || row[6] != row[7] {
			t.Errorf("a mixture: positions %v of %s, counts %v", result.Positions, result.Generation, row)
			return
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
