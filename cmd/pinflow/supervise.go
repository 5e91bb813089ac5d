package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// How long a part that has failed waits before it is started again, at first and at most.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// supervisor runs the parts of a process that go on for ever. One that fails is reported and started
// again after a pause; the others go on.
type supervisor struct {
	log    *slog.Logger
	failed *prometheus.GaugeVec
	wait   sync.WaitGroup

	mu     sync.Mutex
	errors map[string]error
}

// unlessStopped is err, or nil if ctx has ended: a process that is stopped while it opens its places has nothing to lose yet.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func newSupervisor(log *slog.Logger, metrics *prometheus.Registry) (*supervisor, error) {
	s := &supervisor{log: log, errors: map[string]error{}, failed: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "pinflow_part_failed",
		Help: "1 while a part of the process has failed and waits to be started again."}, []string{"part"})}
	return s, metrics.Register(s.failed)
}

// start runs the part in the background until ctx ends; then the channel is closed. Each start makes the part anew.
func (s *supervisor) start(ctx context.Context, part string, run func(context.Context) error) (ended <-chan struct{}) {
	s.failed.WithLabelValues(part).Set(0)
	done := make(chan struct{})
	s.wait.Go(func() {
		defer close(done)
		for pause := firstPause; ; pause = min(2*pause, lastPause) {
			begun := time.Now()
			err := run(ctx)
			s.report(part, err)
			if ctx.Err() != nil {
				return
			}
			if time.Since(begun) > 2*lastPause {
				pause = firstPause
			}
			s.log.Error("a part has stopped and will be started again", "part", part, "error", err, "after", pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
			s.report(part, nil)
		}
	})
	return done
}

func (s *supervisor) report(part string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.errors, part)
	s.failed.WithLabelValues(part).Set(0)
	if err != nil {
		s.errors[part] = err
		s.failed.WithLabelValues(part).Set(1)
	}
}

// join waits for all parts and returns how each ended that did not end well.
func (s *supervisor) join() map[string]error {
	s.wait.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errors
}
