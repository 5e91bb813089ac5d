package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
)

// install installs a period and checks that live and batch agreed wherever they were compared.
func (w *world) install(t testing.TB, s Store, in pinflow.Installation) *pinflow.Comparison {
	t.Helper()
	c, err := s.Install(t.Context(), in)
	must(t, err)
	if c.Differing != 0 {
		t.Errorf("period %d: %d of %d rows differ: %+v", in.Period, c.Differing, c.Rows, c.Tables)
	}
	return c
}

// testInstalls lets the live half run ahead, behind and not at all while periods are installed, in order and out of it, once and again.
func testInstalls(t *testing.T, newEnv func(testing.TB) Env) {
	compared, overtaken, refused, again := 0, 0, 0, 0
	for seed := range uint64(6) {
		env, p := newEnv(t), batchPlan("g1")
		w := newWorld(env, p, seed+100, 2)
		s := env.Open(t)
		must(t, s.Prepare(t.Context(), p))
		if seed%3 != 0 {
			claim(t, s, p, 0, 1)
		}
		installed := map[int]bool{}
		for step := 0; step < 25; step++ {
			switch at := w.positions(t, s); w.r.IntN(6) {
			case 0, 1:
				w.grow([]int{0, 3, 40}[w.r.IntN(3)])
				w.seal()
			case 2:
				w.grow(30)
			case 3:
				if len(at) == w.parts && w.r.IntN(2) == 0 {
					w.catchUp(t, s)
				} else if len(at) == w.parts {
					must(t, s.Commit(t.Context(), w.live(t, at, 1+w.r.IntN(100), []int32{0, 1}[w.r.IntN(2):]...)))
				}
			default:
				if len(w.sealed) == 0 {
					break
				}
				n := w.r.IntN(len(w.sealed))
				if w.r.IntN(3) == 0 {
					n = len(w.sealed) - 1
				}
				for next := range w.sealed {
					if !installed[next] && w.r.IntN(2) == 0 {
						n = next
						break
					}
				}
				in := w.batch(t, n)
				in.Again = w.r.IntN(3) == 0
				early, behind := false, false
				for _, r := range in.Ranges {
					next := at[r.TopicPartition].NextOffset
					early, behind = early || next < r.Start, behind || next < r.End
				}
				c, err := s.Install(t.Context(), in)
				switch {
				case installed[n] && !in.Again:
					if err != nil || !c.Unchanged {
						t.Errorf("period %d, installed already: %+v, %v", n, c, err)
					}
					again++
				case early:
					wantKind(t, fmt.Sprintf("period %d too early", n), err, pinflow.Fenced)
					refused++
				default:
					must(t, err)
					if (c.Why == "") != (!behind && !installed[n]) || c.Differing != 0 || c.Unchanged {
						t.Errorf("period %d: compared %v, differing %d of %d in %+v; behind %v, installed %v", n, c.Why, c.Differing, c.Rows, c.Tables, behind, installed[n])
					}
					if c.Why == "" && c.Rows > 0 {
						compared++
					}
					if behind {
						overtaken++
					}
					installed[n] = true
				}
			}
			if step%8 == 7 {
				w.check(t, s)
			}
			if step == 13 {
				must(t, s.Close())
				s = env.Open(t)
			}
		}
		w.check(t, s)
		claim(t, s, p, 0, 1)
		w.catchUp(t, s)
		w.check(t, s)
		w.checkInstalled(t, s, installed)
	}
	if compared < 4 || overtaken < 4 || refused < 2 || again < 4 {
		t.Errorf("%d compared, %d overtaken, %d refused, %d again: the test tells nothing", compared, overtaken, refused, again)
	}
}

func (w *world) checkInstalled(t testing.TB, s Store, installed map[int]bool) {
	t.Helper()
	all, err := s.Installed(t.Context(), w.plan.Generation)
	must(t, err)
	if len(all) != len(installed) {
		t.Errorf("%d periods are installed, want %d", len(all), len(installed))
	}
	for i, one := range all {
		want := w.batch(t, int(one.Period))
		if !installed[int(one.Period)] || i > 0 && all[i-1].Period >= one.Period || !reflect.DeepEqual(one.Ranges, want.Ranges) {
			t.Errorf("installed %+v, want the ranges %+v", one, want.Ranges)
		}
		if len(one.Parts) != len(want.Parts) || len(one.Parts) > 0 && (one.Parts[0].Name != want.Parts[0].Name || one.Parts[0].File == "" || one.Parts[0].Rows != want.Parts[0].Rows) {
			t.Errorf("installed from %+v", one.Parts)
		}
	}
}

// testOvertaken installs a period of which a live half holds uncommitted records.
func testOvertaken(t *testing.T, env Env) {
	p := batchPlan("g1")
	w := newWorld(env, p, 7, 2)
	s := open(t, env, p, 0, 1)
	w.grow(50)
	must(t, s.Commit(t.Context(), w.live(t, w.positions(t, s), 9, 0)))
	w.post(0)
	w.post(1)
	w.seal()
	w.grow(20)
	held := w.live(t, w.positions(t, s), 1000, 0, 1)
	c := w.install(t, s, w.batch(t, 0))
	if !strings.Contains(c.Why, topic) || c.Rows != 0 || len(c.Tables) != 0 {
		t.Errorf("an overtaken period was compared: %+v", c)
	}
	w.check(t, s)
	wantKind(t, "what the live half held", s.Commit(t.Context(), held), pinflow.Fenced)
	w.check(t, s)
	at := claim(t, s, p, 0, 1)
	for n := range int32(2) {
		if want := (pinflow.Progress{NextOffset: w.sealed[0].end[n], Period: 1}); at[partition(n)] != want {
			t.Errorf("claimed at %+v, want %+v", at[partition(n)], want)
		}
	}
	w.catchUp(t, s)
	w.check(t, s)
}

// testAgain replaces an old period: what is newer stays, and what the old one lacks goes back to what stood before.
func testAgain(t *testing.T, env Env) {
	p := batchPlan("g1")
	w := newWorld(env, p, 8, 1)
	s := open(t, env, p, 0)
	for range 4 {
		w.grow(60)
		w.catchUp(t, s)
		w.seal()
	}
	for n := range 4 {
		w.install(t, s, w.batch(t, n))
	}
	w.check(t, s)
	for _, n := range []int{1, 0, 3, 2} {
		in := w.batch(t, n)
		in.Again = true
		if c := w.install(t, s, in); c.Why == "" || c.Unchanged {
			t.Errorf("a period installed again: %+v", c)
		}
		w.check(t, s)
	}
	// The last period again, without its last orders: their keys are given back.
	from := w.sealed[3].start[0]
	for i := from; i < int64(len(w.log[0])); i++ {
		w.log[0][i].rejected = w.log[0][i].rejected || i%2 == 0
	}
	in := w.batch(t, 3)
	in.Again = true
	w.install(t, s, in)
	w.check(t, s)
}

// testEmptyPeriods installs periods without records, at the start, between and at the end.
func testEmptyPeriods(t *testing.T, env Env) {
	p := batchPlan("g1")
	w := newWorld(env, p, 9, 2)
	s := env.Open(t)
	must(t, s.Prepare(t.Context(), p))
	w.seal()
	w.seal()
	w.post(1)
	w.seal()
	w.seal()
	for n := range 4 {
		c := w.install(t, s, w.batch(t, n))
		if (c.Why == "") != (n != 2) {
			t.Errorf("period %d: %q", n, c.Why)
		}
		for tp, at := range w.positions(t, s) {
			if at.Period != pinflow.Period(n+1) {
				t.Errorf("after period %d %s stands at %+v", n, tp, at)
			}
		}
		w.check(t, s)
	}
	claim(t, s, p, 0, 1)
	w.grow(30)
	w.catchUp(t, s)
	w.check(t, s)
}

// testFailedInstall breaks an install in every part of it.
func testFailedInstall(t *testing.T, env Env) {
	p := batchPlan("g1")
	w := newWorld(env, p, 10, 1)
	s := open(t, env, p, 0)
	w.grow(80)
	w.post(0)
	w.log[0][0].id, w.log[0][0].rejected = "lonely", false
	must(t, s.Commit(t.Context(), w.live(t, w.positions(t, s), len(w.log[0])/2, 0)))
	w.seal()
	good := w.batch(t, 0)
	changed := s.Changes()
	for i := range good.Added {
		bad := good
		bad.Added = append([]pinflow.Addition(nil), good.Added...)
		bad.Added[i].Rows = broken{}
		if _, err := s.Install(t.Context(), bad); !errors.Is(err, errBroken) {
			t.Errorf("rows of %s that break: got %v", bad.Added[i].Table, err)
		}
		bad.Added[i].Rows = rows{{int64(1)}}
		if _, err := s.Install(t.Context(), bad); err == nil {
			t.Errorf("rows of %s with too few values were taken", bad.Added[i].Table)
		}
	}
	// The batch rejects the only order of a key that the store has: what stands for it is asked for.
	w.log[0][0].rejected = true
	good = w.batch(t, 0)
	bad := good
	bad.StateOf = func(context.Context, string, pinflow.Relation) (pinflow.Relation, error) { return nil, errBroken }
	if _, err := s.Install(t.Context(), bad); !errors.Is(err, errBroken) {
		t.Errorf("a state that cannot be read: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Install(ctx, good)
	wantKind(t, "an install that was given up", err, pinflow.Unavailable)
	if closed(changed) {
		t.Error("a failed install was told as a change")
	}
	if all, err := s.Installed(t.Context(), p.Generation); err != nil || len(all) != 0 {
		t.Errorf("installed %v, %v", all, err)
	}
	if all, err := s.Comparisons(t.Context(), p.Generation); err != nil || len(all) != 0 {
		t.Errorf("compared %v, %v", all, err)
	}
	w.install(t, s, good)
	w.check(t, s)
	if !closed(changed) {
		t.Error("an install was not told as a change")
	}
}

func testInstallRefusals(t *testing.T, env Env) {
	p := batchPlan("g1")
	w := newWorld(env, p, 11, 1)
	s := open(t, env, p, 0)
	for range 2 {
		w.grow(20)
		w.post(0)
		w.seal()
	}
	in := w.batch(t, 0)
	in.Generation = "g9"
	_, err := s.Install(t.Context(), in)
	wantKind(t, "an unknown generation", err, pinflow.Invalid, "g9")
	in = w.batch(t, 0)
	in.Added = append(in.Added, pinflow.Addition{Table: "nothing", Rows: rows{}})
	_, err = s.Install(t.Context(), in)
	wantKind(t, "an unknown table", err, pinflow.Invalid, "nothing")
	in.Added[len(in.Added)-1] = in.Added[0]
	_, err = s.Install(t.Context(), in)
	wantKind(t, "a table twice", err, pinflow.Invalid)
	_, err = s.Install(t.Context(), w.batch(t, 1))
	wantKind(t, "the second period first", err, pinflow.Fenced, topic+":0", "before first")
	w.install(t, s, w.batch(t, 0))
	w.install(t, s, w.batch(t, 1))
	w.check(t, s)
}
