package refine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine"
)

// ticks runs a scheduler for a time, and returns after how long runs began.
func ticks(t *testing.T, o refine.SchedulerOptions, d time.Duration, run func(n int) (*refine.Outcome, error)) (began []time.Duration, last refine.ScheduleStatus) {
	t.Helper()
	start := time.Now()
	o.Run = func(context.Context) (*refine.Outcome, error) {
		began = append(began, time.Since(start))
		return run(len(began))
	}
	s, err := refine.NewScheduler(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	go func() {
		<-time.After(d - time.Millisecond)
		last = s.Status()
	}()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	synctest.Wait()
	return began, last
}

func done(int) (*refine.Outcome, error) { return &refine.Outcome{}, nil }

// TestRunsWhenTheGraceIsOver: bubbles begin at midnight UTC, 2000-01-01.
func TestRunsWhenTheGraceIsOver(t *testing.T) {
	for _, c := range []struct {
		length pinflow.PeriodLength
		grace  time.Duration
		shift  time.Duration // after which it starts
		take   time.Duration
		want   []time.Duration
		next   time.Duration
	}{
		{pinflow.DefaultPeriodLength, 5 * time.Minute, 0, 80 * time.Hour, []time.Duration{0, 5 * time.Minute, 24*time.Hour + 5*time.Minute, 48*time.Hour + 5*time.Minute, 72*time.Hour + 5*time.Minute}, 96*time.Hour + 5*time.Minute},
		{pinflow.DefaultPeriodLength, 5 * time.Minute, 10 * time.Hour, 20 * time.Hour, []time.Duration{0, 14*time.Hour + 5*time.Minute}, 38*time.Hour + 5*time.Minute},
		{pinflow.PeriodLength(time.Hour), 90 * time.Minute, 0, 3 * time.Hour, []time.Duration{0, 30 * time.Minute, 90 * time.Minute, 150 * time.Minute}, 210 * time.Minute},
		{pinflow.PeriodLength(90 * time.Second), -1, time.Second, 4 * time.Minute, []time.Duration{0, 89 * time.Second, 179 * time.Second}, 269 * time.Second},
		{pinflow.PeriodLength(time.Second), 300 * time.Millisecond, 0, 3 * time.Second, []time.Duration{0, 300 * time.Millisecond, 1300 * time.Millisecond, 2300 * time.Millisecond}, 3300 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(time.Duration(c.length), c.grace), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				<-time.After(c.shift)
				start := time.Now()
				got, last := ticks(t, refine.SchedulerOptions{PeriodLength: c.length, Grace: c.grace}, c.take, done)
				if !slices.Equal(got, c.want) {
					t.Errorf("runs began after %v, want %v", got, c.want)
				}
				if last.Running || !last.Next.Equal(start.Add(c.next)) || last.Last == nil || last.Last.Err != nil {
					t.Errorf("status %+v, want the next after %s", last, c.next)
				}
			})
		})
	}
}

// TestLongRunsDoNotOverlap: what becomes due meanwhile is done at once afterwards, and not more than once.
func TestLongRunsDoNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, _ := ticks(t, refine.SchedulerOptions{PeriodLength: second, Grace: -1}, 9*time.Second, func(n int) (*refine.Outcome, error) {
			if n == 2 {
				<-time.After(3500 * time.Millisecond)
			}
			return &refine.Outcome{}, nil
		})
		s := time.Second
		if want := []time.Duration{0, s, 4500 * time.Millisecond, 5 * s, 6 * s, 7 * s, 8 * s}; !slices.Equal(got[:7], want) {
			t.Errorf("runs began after %v, want %v", got, want)
		}
	})
}

// TestFailedRunIsTriedAgain ever more seldom.
func TestFailedRunIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, last := ticks(t, refine.SchedulerOptions{Grace: -1}, 23*time.Hour, func(n int) (*refine.Outcome, error) {
			if n < 10 {
				return nil, errors.New("down")
			}
			return &refine.Outcome{}, nil
		})
		s := time.Second
		if want := []time.Duration{0, 5 * s, 15 * s, 35 * s, 75 * s, 155 * s, 315 * s, 615 * s, 915 * s, 1215 * s}; !slices.Equal(got, want) {
			t.Errorf("runs began after %v, want %v", got, want)
		}
		if last.Last.Failures != 0 || last.Last.Err != nil {
			t.Errorf("%+v", last.Last)
		}
		_, last = ticks(t, refine.SchedulerOptions{Grace: -1}, time.Minute, func(int) (*refine.Outcome, error) { return nil, errors.New("down") })
		if last.Last.Failures != 4 || last.Last.Err == nil {
			t.Errorf("%+v", last.Last)
		}
	})
}

// TestUnsealedPeriodIsTriedAgain soon.
func TestUnsealedPeriodIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var during refine.ScheduleStatus
		got, last := ticks(t, refine.SchedulerOptions{Grace: time.Minute}, 2*time.Minute, func(n int) (*refine.Outcome, error) {
			if n > 1 && n < 5 {
				return &refine.Outcome{Waiting: "t:0"}, nil
			}
			return &refine.Outcome{}, nil
		})
		if want := []time.Duration{0, 60 * time.Second, 65 * time.Second, 70 * time.Second, 75 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("runs began after %v, want %v", got, want)
		}
		if during.Waiting != "" || last.Waiting != "" {
			t.Errorf("waits for %q, %q", during.Waiting, last.Waiting)
		}
	})
}

// TestTwoSchedulers run the same periods once.
func TestTwoSchedulers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, keyed())
		y.vault.seal(topic, 1000, 2)
		y.vault.seal("u", 1000, 2)
		y.counter.pause = 100 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 2 {
			r := y.runner()
			s, err := refine.NewScheduler(refine.SchedulerOptions{PeriodLength: second, Grace: 200 * time.Millisecond, Run: func(ctx context.Context) (*refine.Outcome, error) {
				return r.Run(ctx, refine.Request{}, nil)
			}})
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				if err := s.Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		for p := pinflow.Period(2000); p < 12000; p += 1000 {
			<-time.After(time.Second)
			y.vault.seal(topic, p, 3)
			y.vault.seal("u", p, 1)
		}
		<-time.After(1500 * time.Millisecond)
		cancel()
		all.Wait()
		y.whole()
		if y.table.skips == 0 {
			t.Error("they never met")
		}
	})
}
