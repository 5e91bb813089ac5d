package refine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
	"github.com/pinflow/pinflow/refine"
)

// generations is a store of an old and a new generation whose position is all that there is of them.
type generations struct {
	*table
	mu        sync.Mutex
	old       map[pinflow.TopicPartition]pinflow.Progress
	current   string
	heldUntil time.Time
	holds     int
	switches  int
	refuse    error
}

func (s *generations) Progress(ctx context.Context, generation string) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	if generation == "g" {
		return s.table.Progress(ctx, generation)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[pinflow.TopicPartition]pinflow.Progress{tp(0): s.old[tp(0)]}, nil
}

func (s *generations) Generations(context.Context) ([]pinflow.Generation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []pinflow.Generation{{Name: "old", Current: s.current == "old"}, {Name: "g", Current: s.current == "g"}}, nil
}

func (s *generations) PlanOf(context.Context, string) (*pinflow.Plan, error) { return unkeyed, nil }
func (s *generations) DropGeneration(context.Context, string) error          { return nil }

func (s *generations) Hold(_ context.Context, _ string, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heldUntil = until
	s.holds++
	return nil
}

func (s *generations) Switch(ctx context.Context, generation string) error {
	next, _ := s.Progress(ctx, generation)
	old, _ := s.Progress(ctx, "old")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.switches++
	if s.refuse != nil {
		return s.refuse
	}
	if len(protocol.Behind(next, old)) > 0 {
		return &pinflow.Error{Op: "switch", Kind: pinflow.Unavailable}
	}
	s.current = generation
	return nil
}

// run counts so many records a second, of the old generation unless it is held, or of the new one.
func (s *generations) run(ctx context.Context, old bool, each time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(each):
		}
		s.mu.Lock()
		s.table.mu.Lock()
		at, next := s.old[tp(0)].NextOffset, s.table.progress[tp(0)].NextOffset
		switch {
		case !old && next < at+1000: // what the journal has
			s.table.progress[tp(0)] = pinflow.Progress{NextOffset: next + 1}
		case old && (!protocol.Held(at+1, next) || time.Now().After(s.heldUntil)):
			s.old[tp(0)] = pinflow.Progress{NextOffset: at + 1}
		}
		s.table.mu.Unlock()
		s.mu.Unlock()
	}
}

func TestBuild(t *testing.T) {
	for _, c := range []struct {
		name   string
		old    time.Duration // between two records
		new    time.Duration
		refuse error
		kind   pinflow.Kind
		fails  bool
		only   bool
	}{
		{name: "the old one stands", old: time.Hour, new: 10 * time.Millisecond},
		{name: "the old one is as fast as the new one", old: 10 * time.Millisecond, new: 10 * time.Millisecond},
		{name: "the new one never gets there", old: 10 * time.Millisecond, new: time.Hour, fails: true},
		{name: "the switch is refused", old: time.Hour, new: 10 * time.Millisecond, refuse: errors.New("broken"), fails: true},
		{name: "only built", old: 10 * time.Millisecond, new: 10 * time.Millisecond, only: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(t, unkeyed)
				y.vault.seal(topic, 1000, 50)
				y.vault.seal("u", 1000, 0)
				s := &generations{table: y.table, old: map[pinflow.TopicPartition]pinflow.Progress{tp(0): {NextOffset: 300}}, current: "old", refuse: c.refuse}
				y.options.Store = s
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				var all sync.WaitGroup
				defer all.Wait()
				oldCtx, stopOld := context.WithCancel(t.Context())
				defer stopOld()
				all.Go(func() { s.run(oldCtx, true, c.old) })
				live, stopLive := false, func() {}
				defer func() { stopLive() }()
				var last pinflow.Work
				err := refine.Build(ctx, refine.BuildOptions{Runner: y.runner(), Store: s, OnlyBuild: c.only, Hold: 10 * time.Second, Near: 1000, Live: func(context.Context) (func(), error) {
					liveCtx, stop := context.WithCancel(t.Context())
					live = true
					all.Go(func() { s.run(liveCtx, false, c.new) })
					stopLive = stop
					return func() { stop(); live = false }, nil
				}}, func(w pinflow.Work) { last = w })
				if (err != nil) != c.fails {
					t.Fatal(err)
				}
				if len(y.table.installed) != 1 || last.Step == "" {
					t.Errorf("%d installed, %+v", len(y.table.installed), last)
				}
				if want := map[bool]string{true: "old", false: "g"}[c.fails || c.only]; s.current != want || live != (want == "g") {
					t.Errorf("%s is current, the new one lives: %v", s.current, live)
				}
				synctest.Wait()
				if c.fails && !s.heldUntil.IsZero() {
					t.Errorf("the old one is held until %s", s.heldUntil)
				}
				stands := func() pinflow.Progress {
					s.mu.Lock()
					defer s.mu.Unlock()
					return s.old[tp(0)]
				}
				before := stands()
				<-time.After(25 * time.Second)
				if c.fails && c.old < time.Second && stands() == before {
					t.Error("the old one stands still")
				}
				stopOld()
				if !c.fails && !c.only {
					if err := refine.Build(ctx, refine.BuildOptions{Runner: y.runner(), Store: s, Live: func(context.Context) (func(), error) { panic("nothing is to be done") }}, nil); err != nil {
						t.Error(err)
					}
				}
				cancel()
			})
		})
	}
}
