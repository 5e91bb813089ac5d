package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestSupervisor starts parts that end by themselves again, with the metrics that they register, and tells in the end of those that
// did not end well.
func TestSupervisor(t *testing.T) {
	fails := errors.New("it fails")
	for name, c := range map[string]struct {
		ends, atEnd error // what the first run returns by itself, and the second when it is stopped
		paused      bool  // stopped before there is a second run
		want        error
	}{
		"fails once":              {ends: fails},
		"ends by itself":          {},
		"fails when stopped":      {ends: fails, atEnd: fails, want: fails},
		"stopped while it waits":  {ends: fails, paused: true, want: fails},
		"ends well and is paused": {paused: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				metrics := prometheus.NewRegistry()
				s, err := newSupervisor(slog.New(slog.DiscardHandler), metrics)
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				runs := 0
				s.start(ctx, "part", func(ctx context.Context) error {
					runs++
					own := &registration{Registerer: metrics}
					defer own.drop()
					if err := own.Register(prometheus.NewCounter(prometheus.CounterOpts{Name: "part_total"})); err != nil {
						t.Error(err)
					}
					if runs == 1 {
						return c.ends
					}
					<-ctx.Done()
					return c.atEnd
				})
				synctest.Wait()
				if failed := testutil.ToFloat64(s.failed.WithLabelValues("part")); (failed == 1) != (c.ends != nil) {
					t.Errorf("after the first run failed is %v", failed)
				}
				wantRuns := 1
				if !c.paused {
					time.Sleep(firstPause)
					synctest.Wait()
					wantRuns = 2
					if failed := testutil.ToFloat64(s.failed.WithLabelValues("part")); failed != 0 {
						t.Errorf("while it runs again failed is %v", failed)
					}
				}
				stop()
				if got := s.join()["part"]; !errors.Is(got, c.want) || runs != wantRuns {
					t.Errorf("%d runs, the last ended with %v, want %d and %v", runs, got, wantRuns, c.want)
				}
			})
		})
	}
}
