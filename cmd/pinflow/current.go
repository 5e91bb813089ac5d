package main

import (
	"context"
	"time"

	"github.com/pinflow/pinflow"
)

// currentPace is how often a process looks whether another one has switched generations.
const currentPace = 2 * time.Second

// followCurrent keeps the operator with the generation that readers see, whoever switches, until ctx ends.
func (o *operator) followCurrent(ctx context.Context) error {
	return watchCurrent(ctx, o.store, func(name string) error {
		if o.current().plan.Generation == name {
			return nil
		}
		return o.adopt(ctx)
	})
}

// adopt goes over to the current generation: its live half is started, if one runs, before the old one's ends.
func (o *operator) adopt(ctx context.Context) error {
	end, err := o.begin(ctx, "generation", func(pinflow.Work) {})
	if err != nil {
		return err
	}
	defer end()
	name, err := o.store.Current(ctx) // behind the turn: it may have been this process that switched
	if err != nil || o.current().plan.Generation == name {
		return err
	}
	plan, err := o.store.PlanOf(ctx, name)
	if err != nil {
		return err
	}
	batch, err := openBatch(ctx, o.core, plan)
	if err != nil {
		return err
	}
	var live *liveHalf
	if o.currentLive() != nil {
		if live, err = startLive(o.life, o.core, plan, o.workers); err != nil {
			_ = batch.close() // of what has not been used: the error is err
			return err
		}
	}
	o.log.Info("another process has switched generations", "generation", name)
	return o.replace(live, batch)
}

// watchCurrent calls f with the generation that readers see, now and then, until ctx ends or f fails.
func watchCurrent(ctx context.Context, s store, f func(generation string) error) error {
	pace := time.NewTicker(currentPace)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
		}
		name, err := s.Current(ctx)
		if err == nil {
			err = f(name)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}
