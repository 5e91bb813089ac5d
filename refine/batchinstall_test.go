package refine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine"
)

// TestLiveHalfIsWaitedFor as long as it moves.
func TestLiveHalfIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name     string
		begins   int64         // where the live half stands, -1 if it never ran
		every    time.Duration // that it moves one record
		until    int64
		compared bool
		least    time.Duration
		most     time.Duration
	}{
		{"is there", 10, 0, 10, true, 0, 0},
		{"never ran", -1, 0, 0, false, 0, 0},
		{"stands", 4, 0, 4, false, 10 * time.Second, 11 * time.Second},
		{"comes", 0, 5 * time.Second, 10, true, 50 * time.Second, 52 * time.Second},
		{"stops on its way", 0, 5 * time.Second, 4, false, 29 * time.Second, 31 * time.Second},
		{"is slow", 0, 8 * time.Second, 10, false, 60 * time.Second, 61 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(t, unkeyed)
				y.options.Patience = time.Minute
				y.vault.seal(topic, 1000, 10)
				y.vault.seal("u", 1000, 0)
				y.vault.seal(topic, 2000, 0)
				y.vault.seal("u", 2000, 0)
				if c.begins >= 0 {
					y.table.progress[tp(0)] = pinflow.Progress{NextOffset: c.begins}
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() {
					for n := max(c.begins, 0); n < c.until && c.every > 0 && ctx.Err() == nil; n++ {
						select {
						case <-time.After(c.every):
						case <-ctx.Done():
							return
						}
						y.table.mu.Lock()
						if y.table.progress[tp(0)].NextOffset == n {
							y.table.progress[tp(0)] = pinflow.Progress{NextOffset: n + 1}
						}
						y.table.mu.Unlock()
					}
				}()
				began := time.Now()
				out, err := y.runner().Run(t.Context(), refine.Request{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < c.least || took > c.most {
					t.Errorf("it took %s", took)
				}
				if got := out.Periods[0].Comparison.Why == ""; got != c.compared {
					t.Errorf("compared is %v: %s", got, out.Periods[0].Comparison.Why)
				}
				y.whole()
			})
		})
	}
}

func TestDifferenceIsTold(t *testing.T) {
	y := newYard(t, unkeyed)
	y.vault.seal(topic, 1000, 3)
	y.vault.seal("u", 1000, 0)
	y.table.progress[tp(0)] = pinflow.Progress{NextOffset: 3}
	y.table.doubt = true
	out, err := y.runner().Run(t.Context(), refine.Request{}, nil)
	if err != nil || !out.Differences {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestDifferenceIsToldAfterDoubt: the install took effect, but the call failed.
func TestDifferenceIsToldAfterDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, unkeyed)
		y.vault.seal(topic, 1000, 3)
		y.vault.seal("u", 1000, 0)
		y.table.progress[tp(0)] = pinflow.Progress{NextOffset: 3}
		y.table.doubt = true
		fails := 1
		y.table.fail = func() (before, after error) {
			if fails--; fails == 0 {
				return nil, &pinflow.Error{Kind: pinflow.Unavailable}
			}
			return nil, nil
		}
		out, err := y.runner().Run(t.Context(), refine.Request{}, nil)
		if err != nil || !out.Differences || !out.Periods[0].Unchanged {
			t.Errorf("%+v, %v", out, err)
		}
		y.whole()
	})
}
