package refine

import (
	"context"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/pinflow/pinflow"
)

// seal seals what can be sealed and, if the request says so, waits until its last period is. What keeps it from sealing does
// not keep it from what is sealed: that comes back as failed, to be told at the end.
func (b *batch) seal(ctx context.Context, q Request) (failed, err error) {
	if q.NoSeal || b.Seal == nil {
		return nil, nil
	}
	b.meter.step("seal", pinflow.NoPeriod, "")
	for {
		waiting, err := b.Seal(ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		b.outcome.Waiting = waiting
		if err != nil {
			b.Log.Warn("batch: could not seal", "error", err, "hint", pinflow.HintOf(err))
		}
		if !q.Wait || err != nil && !unavailable(err) {
			return err, nil
		}
		done, failure := b.waited(ctx, q.target(), waiting, err)
		if done || failure != nil {
			return err, failure
		}
		b.meter.note(func(p *Progress) { p.Waiting = waiting })
		if err := pauseFor(ctx, b.Clock, looks); err != nil {
			return nil, err
		}
	}
}

// waited tells whether there is nothing more to wait for: the period named is sealed, or the lake begins behind it, or all that have ended are.
func (b *batch) waited(ctx context.Context, target *pinflow.Period, waiting string, failed error) (bool, error) {
	if target == nil {
		return waiting == "" && failed == nil, nil
	}
	seals, err := b.readSeals(ctx, *target, true, nil)
	if err != nil || len(seals.all) == 0 {
		return false, err
	}
	if _, ok := seals.all[*target]; ok {
		return seals.complete(*target), nil
	}
	return seals.last > *target, nil
}

// pauseFor waits for a time, or until ctx ends: then it returns why.
func pauseFor(ctx context.Context, clock clockwork.Clock, d time.Duration) error {
	t := clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.Chan():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
