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
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine"
)

func at(p pinflow.Period) *pinflow.Period { return &p }

// both runs a test with a plan without a key, and with one.
func both(t *testing.T, f func(t *testing.T, y *yard)) {
	t.Run("unkeyed", func(t *testing.T) { f(t, newYard(t, unkeyed)) })
	t.Run("keyed", func(t *testing.T) { f(t, newYard(t, keyed())) })
}

func TestRunInstallsWhatIsSealed(t *testing.T) {
	both(t, func(t *testing.T, y *yard) {
		y.fill(20, 1)
		r := y.runner()
		var last refine.Progress
		out, err := r.Run(t.Context(), refine.Request{}, func(p refine.Progress) { last = p })
		if err != nil || len(out.Periods) != 20 || out.Differences {
			t.Fatalf("%+v, %v", out, err)
		}
		y.whole()
		if last.PeriodsDone != 20 || last.Periods != 20 || last.RecordsDone != last.Records || last.ObjectsDone != last.Objects || last.Records == 0 || last.Rows != last.Records {
			t.Errorf("progress ended at %+v", last)
		}
		if got := y.table.reports["top"]; got[0] != "20000" || got[1] != fmt.Sprint(last.Records) || y.counter.reports != 1 {
			t.Errorf("the report is %v, made %d times, of %d records", got, y.counter.reports, last.Records)
		}
		out, err = r.Run(t.Context(), refine.Request{}, nil)
		if err != nil || len(out.Periods) > 0 || y.counter.reports != 1 {
			t.Errorf("a second run: %+v, %v, %d reports", out, err, y.counter.reports)
		}
	})
}

func TestNothingSealed(t *testing.T) {
	y := newYard(t, unkeyed)
	if out, err := y.runner().Run(t.Context(), refine.Request{}, nil); err != nil || len(out.Periods) > 0 {
		t.Errorf("%+v, %v", out, err)
	}
	_, err := y.runner().Run(t.Context(), refine.Request{Period: at(3000)}, nil)
	if pinflow.KindOf(err) != pinflow.Unavailable || pinflow.HintOf(err) == "" {
		t.Error(err)
	}
}

func TestPeriodsAreChosen(t *testing.T) {
	both(t, func(t *testing.T, y *yard) {
		y.fill(9, 2)
		run := func(q refine.Request) (string, error) {
			out, err := y.runner().Run(t.Context(), q, nil)
			var did []string
			for _, p := range out.Periods {
				name := fmt.Sprint(p.Period / 1000)
				if p.Unchanged {
					name = "-" + name
				}
				did = append(did, name)
			}
			return strings.Join(did, " "), err
		}
		for i, c := range []struct {
			q    refine.Request
			want string
			kind pinflow.Kind
			says string
		}{
			{refine.Request{Period: at(2000)}, "", pinflow.Invalid, "1970-01-01T000001 must be installed before"},
			{refine.Request{From: at(4000)}, "", pinflow.Invalid, "1970-01-01T000001 to 1970-01-01T000003 (3 periods)"},
			{refine.Request{Period: at(0)}, "", pinflow.NotFound, "begins later"},
			{refine.Request{Period: at(10000)}, "", pinflow.Unavailable, "not sealed yet"},
			{refine.Request{Period: at(1000)}, "1", 0, ""},
			{refine.Request{Period: at(1000)}, "-1", 0, ""},
			{refine.Request{To: at(3000)}, "-1 2 3", 0, ""},
			{refine.Request{Period: at(2000), Rerun: true}, "2", 0, ""},
			{refine.Request{From: at(3000), To: at(4000), Rerun: true}, "3 4", 0, ""},
			{refine.Request{From: at(5000), To: at(5000)}, "5", 0, ""},
			{refine.Request{}, "6 7 8 9", 0, ""},
		} {
			did, err := run(c.q)
			if did != c.want || (err != nil) != (c.says != "") || err != nil && (pinflow.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%d: did %q, want %q; %v", i, did, c.want, err)
			}
		}
		y.whole()
		if y.table.again != 2 {
			t.Errorf("%d installs again, want 2", y.table.again)
		}
	})
}

// TestHalfSealed: a period is taken when it is sealed in all topics that have begun.
func TestHalfSealed(t *testing.T) {
	y := newYard(t, unkeyed)
	y.vault.seal(topic, 1000, 3, 3)
	y.vault.seal(topic, 2000, 3, 3)
	count := func(want int) {
		t.Helper()
		if _, err := y.runner().Run(t.Context(), refine.Request{}, nil); err != nil || len(y.table.installed) != want {
			t.Errorf("%d installed, want %d; %v", len(y.table.installed), want, err)
		}
	}
	count(1) // u may be about to get its first seal
	y.vault.seal("u", 2000, 1)
	count(2)
	y.vault.seal("u", 3000, 1)
	count(2)
	y.vault.seal(topic, 3000, 1, 0)
	count(3)
	y.vault.seal(topic, 4000, 1, 0)
	count(3)
	y.options.Seal = func(context.Context) (string, error) { return "", errors.New("down") }
	if _, err := y.runner().Run(t.Context(), refine.Request{}, nil); err == nil || len(y.table.installed) != 3 {
		t.Errorf("%v, %d installed", err, len(y.table.installed))
	}
}

// TestKilledAnywhere fails puts, commits and engines by chance, before or after they have taken effect.
func TestKilledAnywhere(t *testing.T) {
	both(t, func(t *testing.T, y *yard) {
		r := rand.New(rand.NewPCG(4, 4))
		var mu sync.Mutex
		calm := false
		fail := func() (before, after error) {
			mu.Lock()
			defer mu.Unlock()
			killed := errors.New("killed")
			switch n := r.IntN(8); {
			case calm || n > 1:
				return nil, nil
			case n == 0:
				return killed, nil
			}
			return nil, killed
		}
		y.vault.fail, y.table.fail = func(string) (error, error) { return fail() }, fail
		y.counter.fail = func() error { before, _ := fail(); return before }
		y.fill(100, 3)
		failures := 0
		for range 100 {
			if _, err := y.runner().Run(t.Context(), refine.Request{}, nil); err != nil {
				failures++
			}
		}
		calm = true
		if _, err := y.runner().Run(t.Context(), refine.Request{}, nil); err != nil {
			t.Fatal(err)
		}
		y.whole()
		if failures < 10 {
			t.Errorf("only %d runs were killed", failures)
		}
	})
}

// TestRefinedOnce: what a killed run has put into the lake is not made again, unless it is not as it was put.
func TestRefinedOnce(t *testing.T) {
	both(t, func(t *testing.T, y *yard) {
		y.vault.seal(topic, 1000, 3, 2)
		y.vault.seal(topic, 2000, 2, 2)
		y.vault.seal("u", 2000, 1)
		down := errors.New("down")
		y.table.fail = func() (error, error) { return down, nil }
		for range 2 {
			if _, err := y.runner().Run(t.Context(), refine.Request{Period: at(1000)}, nil); !errors.Is(err, down) {
				t.Fatal(err)
			}
		}
		if len(y.counter.order) != 1 {
			t.Errorf("refined %v", y.counter.order)
		}
		spoilt := filepath.Join(y.vault.dir, y.vault.manifests[1000].Parts[0].Name)
		if err := os.WriteFile(spoilt, []byte("t:0:7\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		y.table.fail = func() (error, error) { return nil, nil }
		out, err := y.runner().Run(t.Context(), refine.Request{}, nil)
		if err != nil || len(y.counter.order) != 3 || out.Periods[0].Reused {
			t.Errorf("refined %v, %v", y.counter.order, err)
		}
		y.whole()
	})
}

// TestStateMadeAnew: what was made of a period before the one before it was made anew is not taken.
func TestStateMadeAnew(t *testing.T) {
	y := newYard(t, keyed())
	y.fill(2, 13)
	if _, err := y.runner().Run(t.Context(), refine.Request{Period: at(1000)}, nil); err != nil {
		t.Fatal(err)
	}
	down := errors.New("down")
	y.table.fail = func() (error, error) { return down, nil }
	if _, err := y.runner().Run(t.Context(), refine.Request{Period: at(2000)}, nil); !errors.Is(err, down) {
		t.Fatal(err)
	}
	y.table.fail = func() (error, error) { return nil, nil }
	if _, err := y.runner().Run(t.Context(), refine.Request{Period: at(1000), Rerun: true}, nil); err != nil {
		t.Fatal(err)
	}
	out, err := y.runner().Run(t.Context(), refine.Request{}, nil)
	if err != nil || len(out.Periods) != 1 || out.Periods[0].Reused {
		t.Errorf("%+v, %v", out, err)
	}
	y.whole()
}

// TestDiskFull: nothing is half installed, the error says so, and the next run goes on.
func TestDiskFull(t *testing.T) {
	both(t, func(t *testing.T, y *yard) {
		y.fill(6, 6)
		y.counter.fail = func() error {
			if y.counter.begun() >= 4 {
				return &pinflow.Error{Op: "write", On: "clean.parquet", Err: &os.PathError{Op: "write", Path: "clean.parquet", Err: syscall.ENOSPC}}
			}
			return nil
		}
		out, err := y.runner().Run(t.Context(), refine.Request{}, nil)
		if !errors.Is(err, syscall.ENOSPC) || pinflow.HintOf(err) == "" || len(out.Periods) != len(y.table.installed) {
			t.Errorf("%+v, %v", out, err)
		}
		y.counter.fail = nil
		if _, err := y.runner().Run(t.Context(), refine.Request{}, nil); err != nil {
			t.Error(err)
		}
		y.whole()
	})
}

func TestParallel(t *testing.T) {
	for _, p := range []*pinflow.Plan{unkeyed, keyed()} {
		synctest.Test(t, func(t *testing.T) {
			y := newYard(t, p)
			y.options.Parallel = 4
			y.counter.pause = time.Second
			y.fill(12, 7)
			if _, err := y.runner().Run(t.Context(), refine.Request{}, nil); err != nil {
				t.Fatal(err)
			}
			y.whole()
			if want := map[bool]int{true: 4, false: 1}[p == unkeyed]; y.counter.most != want {
				t.Errorf("%d periods were refined at a time, want %d", y.counter.most, want)
			}
		})
	}
}

// TestTwoAtOnce: two runners work on the same periods, one of which may be behind.
func TestTwoAtOnce(t *testing.T) {
	for _, p := range []*pinflow.Plan{unkeyed, keyed()} {
		synctest.Test(t, func(t *testing.T) {
			y := newYard(t, p)
			y.fill(15, 8)
			y.counter.pause = 100 * time.Millisecond
			var all sync.WaitGroup
			for i := range 3 {
				all.Go(func() {
					<-time.After(time.Duration(i) * 250 * time.Millisecond)
					if _, err := y.runner().Run(t.Context(), refine.Request{}, nil); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			y.whole()
			if y.table.skips == 0 {
				t.Error("they never met")
			}
		})
	}
}

func TestOneRunAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, unkeyed)
		y.fill(5, 9)
		y.options.Parallel = 1
		y.counter.pause = time.Second
		r := y.runner()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if _, err := r.Run(t.Context(), refine.Request{}, nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		y.whole()
		if len(y.counter.order) != 5 {
			t.Errorf("refined %v", y.counter.order)
		}
	})
}

func TestCancelled(t *testing.T) {
	both(t, func(t *testing.T, y *yard) {
		y.fill(8, 10)
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		_, err := y.runner().Run(ctx, refine.Request{}, func(p refine.Progress) {
			if n++; p.PeriodsDone == 3 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		left, _ := os.ReadDir(y.options.Scratch)
		if len(left) > 0 || len(y.table.installed) == 8 {
			t.Errorf("left %v, %d installed", left, len(y.table.installed))
		}
		if _, err := y.runner().Run(t.Context(), refine.Request{}, nil); err != nil {
			t.Error(err)
		}
		y.whole()
	})
}

// TestDeadScratchIsRemoved: what a killed process has left goes, what a living one has stays.
func TestDeadScratchIsRemoved(t *testing.T) {
	y := newYard(t, unkeyed)
	y.fill(3, 1)
	dead := filepath.Join(y.options.Scratch, "batch-dead", "1000")
	if err := os.MkdirAll(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := y.runner().Run(t.Context(), refine.Request{}, nil); err != nil {
		t.Fatal(err)
	}
	y.whole()
}

// TestSealing: what can be sealed is sealed first; a run that waits goes on until the period is.
func TestSealing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, unkeyed)
		began := time.Now()
		sealed := pinflow.Period(0)
		y.options.Seal = func(context.Context) (string, error) {
			for p := sealed + 1000; p <= pinflow.Period(time.Since(began).Milliseconds()-1000); p += 1000 {
				y.vault.seal(topic, p, 2)
				sealed = p
			}
			return "the grace", nil
		}
		if out, err := y.runner().Run(t.Context(), refine.Request{}, nil); err != nil || len(out.Periods) != 0 || out.Waiting != "the grace" {
			t.Errorf("%+v, %v", out, err)
		}
		waited := false
		out, err := y.runner().Run(t.Context(), refine.Request{To: at(4000), Wait: true}, func(p refine.Progress) { waited = waited || p.Waiting == "the grace" })
		if err != nil || len(out.Periods) != 4 || !waited || time.Since(began) > 6*time.Second {
			t.Errorf("%+v, %v, waited %v, %s", out, err, waited, time.Since(began))
		}
		if out, err := y.runner().Run(t.Context(), refine.Request{NoSeal: true}, nil); err != nil || len(out.Periods) > 0 {
			t.Errorf("%+v, %v", out, err)
		}
		y.whole()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := y.runner().Run(ctx, refine.Request{Period: at(1e9), Wait: true}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// TestManifestGone: the state before a keyed period is needed.
func TestManifestGone(t *testing.T) {
	y := newYard(t, keyed())
	y.fill(4, 5)
	if _, err := y.runner().Run(t.Context(), refine.Request{To: at(3000)}, nil); err != nil {
		t.Fatal(err)
	}
	delete(y.vault.manifests, 3000)
	_, err := y.runner().Run(t.Context(), refine.Request{}, nil)
	if pinflow.KindOf(err) != pinflow.NotFound || !strings.Contains(pinflow.HintOf(err), "1970-01-01T000003") {
		t.Error(err)
	}
	if _, err := y.runner().Run(t.Context(), refine.Request{From: at(3000), Rerun: true}, nil); err != nil {
		t.Error(err)
	}
	y.whole()
}

// TestMadeAnewAndNotInstalled: a run that makes old periods anew ends between what it has put into the lake and its install; the next one has the
// manifests name again what is installed.
func TestMadeAnewAndNotInstalled(t *testing.T) {
	both(t, func(t *testing.T, y *yard) {
		y.fill(15, 8)
		if _, err := y.runner().Run(t.Context(), refine.Request{}, nil); err != nil {
			t.Fatal(err)
		}
		before := y.vault.manifests[2000].Parts
		works := y.table.fail
		y.table.fail = func() (error, error) { return &pinflow.Error{Op: "install", Kind: pinflow.Invalid}, nil }
		if _, err := y.runner().Run(t.Context(), refine.Request{From: at(2000), Rerun: true}, nil); err == nil {
			t.Error("nothing has failed")
		}
		if slices.EqualFunc(before, y.vault.manifests[2000].Parts, func(a, b pinflow.Part) bool { return a.Name == b.Name }) {
			t.Error("nothing was made anew")
		}
		y.table.fail = works
		if _, err := y.runner().Run(t.Context(), refine.Request{}, nil); err != nil {
			t.Error(err)
		}
		y.whole()
		if len(y.vault.replacing) == 0 {
			t.Error("nobody waits for the run any more")
		}
		for n, note := range y.vault.replacing {
			note.Began = note.Began.Add(-25 * time.Hour)
			y.vault.replacing[n] = note
		}
		if _, err := y.runner().Run(t.Context(), refine.Request{From: at(3000), Rerun: true}, nil); err != nil {
			t.Error(err)
		}
		y.whole()
		if len(y.vault.replacing) > 0 {
			t.Errorf("%d notes are left", len(y.vault.replacing))
		}
	})
}

// TestSweeping: replaced files go when the next run begins, or when somebody says that nobody reads them.
func TestSweeping(t *testing.T) {
	y := newYard(t, keyed())
	y.fill(4, 5)
	r := y.runner()
	for i, c := range []struct {
		q    refine.Request
		want []pinflow.Period
	}{
		{refine.Request{}, nil},
		{refine.Request{Period: at(2000), Rerun: true}, nil},
		{refine.Request{From: at(3000), Rerun: true}, []pinflow.Period{2000}},
		{refine.Request{}, []pinflow.Period{2000, 3000, 4000}},
		{refine.Request{Period: at(1000), Rerun: true}, []pinflow.Period{2000, 3000, 4000}},
	} {
		if _, err := r.Run(t.Context(), c.q, nil); err != nil {
			t.Error(err)
		}
		if !slices.Equal(y.vault.swept, c.want) {
			t.Errorf("%d: swept %v, want %v", i, y.vault.swept, c.want)
		}
	}
	if err := r.Sweep(t.Context()); err != nil || len(y.vault.swept) != 4 {
		t.Errorf("%v, swept %v", err, y.vault.swept)
	}
	y.whole()
}

func TestReportAsOf(t *testing.T) {
	both(t, func(t *testing.T, y *yard) {
		y.fill(8, 11)
		r := y.runner()
		if _, err := r.Run(t.Context(), refine.Request{To: at(7000)}, nil); err != nil {
			t.Fatal(err)
		}
		records, keys := 0, map[string]bool{}
		for p := pinflow.Period(1000); p <= 7000; p += 1000 {
			records += len(y.table.rows[p])
			for _, row := range y.table.rows[p] {
				at, _ := pinflow.ParsePosition(row)
				keys[fmt.Sprint(at.TopicPartition, "/", at.Offset%residues)] = true
			}
			got, err := r.Report(t.Context(), "top", p, 0)
			if err != nil || fmt.Sprint(got.Rows) != fmt.Sprintf("[[%d] [%d]]", records, len(keys)) {
				t.Errorf("as of %d: %+v, %v, want %d, %d", p, got, err, records, len(keys))
			}
		}
		for _, c := range []struct {
			name string
			asOf pinflow.Period
			most int
			kind pinflow.Kind
		}{{"top", 8000, 0, pinflow.NotFound}, {"none", 7000, 0, pinflow.NotFound}, {"top", 7000, 1, pinflow.TooLarge}} {
			if _, err := r.Report(t.Context(), c.name, c.asOf, c.most); pinflow.KindOf(err) != c.kind || pinflow.HintOf(err) == "" {
				t.Errorf("%+v: %v", c, err)
			}
		}
	})
}

func TestRunnerNeedsItsParts(t *testing.T) {
	if _, err := refine.NewRunner(refine.RunnerOptions{}); pinflow.KindOf(err) != pinflow.Invalid {
		t.Error(err)
	}
}
