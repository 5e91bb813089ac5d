package refine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// BuildOptions are what the building of a generation needs. Zero times take the defaults.
type BuildOptions struct {
	Runner *Runner // of the generation's plan; its Store is where it is built
	Store  pinflow.GenerationStore
	// Live starts a live worker of the plan; stop ends it and returns when it has ended. It is called when all that is sealed is installed. After
	// a takeover the worker goes on, and is the caller's to stop.
	Live func(ctx context.Context) (stop func(), err error)
	// OnlyBuild leaves the current generation in place: nothing is started, and nothing taken over.
	OnlyBuild bool
	// Near is how many records the generation may lack for the current one to be held: 100,000. Readers see no new records meanwhile, posts are taken.
	Near int64
	// Hold is how long the current generation is held at a time: 30 seconds. If the new one has not come up to it then, it goes on until the next try.
	Hold  time.Duration
	Clock clockwork.Clock
	Log   *slog.Logger
}

func (o *BuildOptions) setDefaults() error {
	if o.Runner == nil || o.Store == nil || o.Live == nil && !o.OnlyBuild {
		return &pinflow.Error{Op: "build a generation", Kind: pinflow.Invalid, Err: errors.New("it needs a batch, a store and a live worker")}
	}
	if o.Near <= 0 {
		o.Near = 100_000
	}
	if o.Hold <= 0 {
		o.Hold = 30 * time.Second
	}
	if o.Clock == nil {
		o.Clock = o.Runner.Clock
	}
	if o.Log == nil {
		o.Log = o.Runner.Log
	}
	return nil
}

// builder is one building.
type builder struct {
	BuildOptions
	generation string
	progress   func(pinflow.Work)
}

// Build makes the generation of the Runner's plan, or brings one up that exists: all sealed periods by the batch, the rest by its live
// worker. When it is near the current one, that one is held where the new one is to get, and once it is there, readers are
// switched to it in one step. If ctx ends or it fails, the current generation goes on as it was; another Build goes on from what is
// there. Nothing is to be done if the generation is current. progress may be nil.
func Build(ctx context.Context, o BuildOptions, progress func(pinflow.Work)) error {
	if err := o.setDefaults(); err != nil {
		return err
	}
	if progress == nil {
		progress = func(pinflow.Work) {}
	}
	b := &builder{o, o.Runner.Plan.Generation, progress}
	if _, err := o.Runner.Run(ctx, Request{}, func(p Progress) { progress(p.Work()) }); err != nil {
		return err
	}
	if o.OnlyBuild {
		return nil
	}
	current, err := b.current(ctx)
	if err != nil || current == b.generation {
		return err
	}
	stop, err := o.Live(ctx)
	if err != nil {
		return err
	}
	if err := b.takeOver(ctx, current); err != nil {
		stop()
		return err
	}
	o.Log.Info("generation: readers see the new one", "generation", b.generation, "before", current)
	return nil
}

// current returns the current generation.
func (b *builder) current(ctx context.Context) (string, error) {
	all, err := b.Store.Generations(ctx)
	if err != nil {
		return "", err
	}
	for _, g := range all {
		if g.Current {
			return g.Name, nil
		}
	}
	return "", &pinflow.Error{Op: "build generation", On: b.generation, Err: errors.New("the store has no current generation")}
}

// takeOver waits until the generation has come near the current one, holds that, and switches when nothing is missing.
func (b *builder) takeOver(ctx context.Context, current string) error {
	var heldUntil time.Time // the zero time while the current one is not held
	err := func() error {
		for {
			behind, err := b.behind(ctx, current)
			if err != nil && !unavailable(err) {
				return err
			}
			now := b.Clock.Now()
			b.progress(pinflow.Work{Step: fmt.Sprintf("%s: %d records behind %s", b.generation, behind, current)})
			switch {
			case err != nil:
				b.Log.Warn("generation: could not read positions", "error", err)
			case behind == 0:
				if err := b.Store.Switch(ctx, b.generation); err == nil || !unavailable(err) {
					return err
				}
			}
			if err == nil && behind <= b.Near && !now.Before(heldUntil) {
				if err := b.Store.Hold(ctx, b.generation, now.Add(b.Hold)); err != nil && !unavailable(err) {
					return err
				}
				heldUntil = now.Add(2 * b.Hold) // it goes on for as long before it is held again
			}
			if err := pauseFor(ctx, b.Clock, looks/5); err != nil {
				return err
			}
		}
	}()
	if err != nil && !heldUntil.IsZero() {
		// Nobody takes over: let it go on at once.
		err = errors.Join(err, b.Store.Hold(context.WithoutCancel(ctx), b.generation, time.Time{}))
	}
	return err
}

// behind is how many records the generation lacks of what the current one has counted.
func (b *builder) behind(ctx context.Context, current string) (n int64, err error) {
	next, err := b.Runner.Store.Progress(ctx, b.generation)
	if err != nil {
		return 0, err
	}
	have, err := b.Runner.Store.Progress(ctx, current)
	if err != nil {
		return 0, err
	}
	for _, missing := range protocol.Behind(next, have) {
		n += missing
	}
	return n, nil
}
