package refine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/jonboulle/clockwork"
	"github.com/pinflow/pinflow"
)

// SchedulerOptions are what a Scheduler needs. Zero times take the defaults.
type SchedulerOptions struct {
	// Run runs the batch for all that is to be done.
	Run          func(ctx context.Context) (*Outcome, error)
	PeriodLength pinflow.PeriodLength
	Grace        time.Duration // after a period's end; 5 minutes, negative for none
	// Again is how soon a run that has failed, or left a period that could not be sealed yet, is tried again: 5 seconds, doubling up to 5 minutes.
	Again time.Duration
	Clock clockwork.Clock // the real one
	Log   *slog.Logger
}

func (o *SchedulerOptions) setDefaults() {
	if o.PeriodLength == 0 {
		o.PeriodLength = pinflow.DefaultPeriodLength
	}
	if o.Grace == 0 {
		o.Grace = 5 * time.Minute
	}
	o.Grace = max(o.Grace, 0)
	if o.Again <= 0 {
		o.Again = 5 * time.Second
	}
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// longestAgain is the longest time before a run is tried again.
const longestAgain = 5 * time.Minute

// Scheduler runs the batch at its start, for what was missed, and when each period's grace is over. Runs never overlap: what becomes due during
// one is done by the next, at once. A run that has failed is tried again, ever more seldom. Several schedulers, in one process or in several, do
// no harm: the store knows what is installed.
type Scheduler struct {
	SchedulerOptions
	mu     sync.Mutex
	status ScheduleStatus
}

// ScheduleStatus is where a Scheduler stands.
type ScheduleStatus struct {
	Running bool      // a run is under way
	Next    time.Time // when the next run begins at the latest
	Waiting string    // what keeps the next period from being sealed, "" if nothing does
	Last    *LastRun  // nil before the first has ended
}

// LastRun is a run that has ended.
type LastRun struct {
	Began, Ended time.Time
	Outcome      *Outcome
	Err          error // why it failed; what it had installed until then stays
	Failures     int   // how many runs have failed in a row
}

// NewScheduler makes a Scheduler.
func NewScheduler(o SchedulerOptions) (*Scheduler, error) {
	o.setDefaults()
	if o.Run == nil {
		return nil, &pinflow.Error{Op: "make a schedule", Kind: pinflow.Invalid, Err: errors.New("it needs a batch")}
	}
	return &Scheduler{SchedulerOptions: o}, nil
}

// Status returns where it stands.
func (s *Scheduler) Status() ScheduleStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Run works until ctx ends, and returns nil when the run under way has ended.
func (s *Scheduler) Run(ctx context.Context) error {
	due := make(chan struct{}, 1)
	cron, job, err := s.start(due)
	if err != nil {
		return &pinflow.Error{Op: "start the schedule", Err: err}
	}
	defer func() {
		if err := cron.Shutdown(); err != nil {
			s.Log.Warn("schedule: could not end", "error", err)
		}
	}()
	for failures := 0; ctx.Err() == nil; {
		if again := s.once(ctx, &failures); !s.await(ctx, job, due, again) {
			break
		}
	}
	return nil
}

// start has gocron fill due when each period's grace is over.
func (s *Scheduler) start(due chan<- struct{}) (gocron.Scheduler, gocron.Job, error) {
	cron, err := gocron.NewScheduler(gocron.WithClock(s.Clock), gocron.WithLocation(time.UTC))
	if err != nil {
		return nil, nil, err
	}
	// The batch itself is not gocron's to run: what becomes due meanwhile is to be remembered, not dropped.
	job, err := cron.NewJob(gocron.DurationJob(time.Duration(s.PeriodLength)), gocron.NewTask(func() {
		select {
		case due <- struct{}{}:
		default:
		}
	}), gocron.WithStartAt(gocron.WithStartDateTimePast(s.next(s.Clock.Now()))))
	if err != nil {
		return nil, nil, errors.Join(err, cron.Shutdown())
	}
	cron.Start()
	return cron, job, nil
}

// next is when a period's grace is next over.
func (s *Scheduler) next(now time.Time) time.Time {
	running := s.PeriodLength.Of(now.Add(-s.Grace).UnixMilli(), pinflow.NoPeriod)
	return time.UnixMilli(int64(s.PeriodLength.Next(running))).UTC().Add(s.Grace)
}

// once runs the batch and returns after which time to do so again although nothing is due, 0 for not before.
func (s *Scheduler) once(ctx context.Context, failures *int) (again time.Duration) {
	s.change(func(st *ScheduleStatus) { st.Running = true })
	last := &LastRun{Began: s.Clock.Now()}
	last.Outcome, last.Err = s.SchedulerOptions.Run(ctx)
	last.Ended = s.Clock.Now()
	if last.Outcome == nil {
		last.Outcome = &Outcome{}
	}
	switch {
	case ctx.Err() != nil:
		last.Err = nil
	case last.Err != nil:
		*failures++
		again = s.after(*failures)
		s.Log.Error("schedule: the batch failed", "error", last.Err, "hint", pinflow.HintOf(last.Err), "again_in", again)
	case last.Outcome.Waiting != "":
		*failures = 0
		again = s.Again
	default:
		*failures = 0
	}
	last.Failures = *failures
	s.change(func(st *ScheduleStatus) { st.Running, st.Last, st.Waiting = false, last, last.Outcome.Waiting })
	return again
}

// after is how long to wait after a number of failures in a row.
func (s *Scheduler) after(failures int) time.Duration {
	return min(s.Again<<min(failures-1, 20), max(longestAgain, s.Again))
}

// await waits until a run is due, or again, and returns false if ctx ends.
func (s *Scheduler) await(ctx context.Context, job gocron.Job, due <-chan struct{}, again time.Duration) bool {
	next, err := job.NextRun()
	if err != nil {
		next = s.next(s.Clock.Now())
	}
	var retry <-chan time.Time
	if again > 0 {
		t := s.Clock.NewTimer(again)
		defer t.Stop()
		retry = t.Chan()
		if at := s.Clock.Now().Add(again); at.Before(next) {
			next = at
		}
	}
	s.change(func(st *ScheduleStatus) { st.Next = next })
	select {
	case <-due:
	case <-retry:
	case <-ctx.Done():
		return false
	}
	return true
}

func (s *Scheduler) change(f func(*ScheduleStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.status)
}
