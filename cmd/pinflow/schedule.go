package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/refine"
)

// scheduleCmd runs the batch after each period's end.
type scheduleCmd struct {
	config.Settings
	monitored
}

// Help is shown by --help.
func (scheduleCmd) Help() string {
	return `Runs the batch after the end of each log period and the grace, and at once for what was missed. pinflow up does so too: this is for places that no up works with.

Example:

  pinflow schedule --seal-grace 10m`
}

// Run runs the batch on time until ctx ends.
func (c *scheduleCmd) Run(ctx context.Context, t terminal) (err error) {
	core, watched, err := openRole(ctx, &c.Settings, c.monitored, duty{}, t)
	defer func() { err = errors.Join(err, core.closers.close()) }()
	if err != nil {
		return unlessStopped(ctx, err)
	}
	o, err := newOperator(ctx, core, 1)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	core.add(o.close)
	fmt.Fprintf(t.out, "The batch runs %s after the end of each log period of %s. Ctrl-C ends it.\n", c.SealGrace, core.periodText())
	core.parts.start(ctx, "current", o.followCurrent)
	err = watched.run(ctx, o.schedule)
	core.parts.join()
	return err
}

// schedule runs the batch on time until ctx ends.
func (o *operator) schedule(ctx context.Context) error {
	grace := o.SealGrace
	if grace == 0 {
		grace = -1 // none
	}
	s, err := refine.NewScheduler(refine.SchedulerOptions{Run: o.scheduled, PeriodLength: o.period, Grace: grace, Log: o.log})
	if err != nil {
		return err
	}
	o.mu.Lock()
	o.scheduler = s
	o.mu.Unlock()
	return s.Run(ctx)
}
