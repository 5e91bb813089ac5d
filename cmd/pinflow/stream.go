package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/pinflow/pinflow/config"
)

// streamCmd is the live half alone.
type streamCmd struct {
	config.Settings
	monitored
	StreamWorkers int `help:"How many workers of this process share the partitions. By default one per processor, and 4 at the most." env:"PINFLOW_STREAM_WORKERS" placeholder:"N" group:"Limits"`
}

// Help is shown by --help.
func (streamCmd) Help() string {
	return `Counts what arrives in the journal into the store's metrics, and nothing else. Those that count into the same store share the partitions; when one ends, or is killed, the others take over what it had.

Example:

  pinflow stream --journal kafka://127.0.0.1:9092 --lake 's3://bucket/lake?region=eu-west-1' --store postgres://pinflow@127.0.0.1/pinflow`
}

// Run counts until ctx ends.
func (c *streamCmd) Run(ctx context.Context, t terminal) (err error) {
	if c.StreamWorkers == 0 {
		c.StreamWorkers = min(runtime.GOMAXPROCS(0), 4)
	}
	if err := checkWorkers(c.StreamWorkers); err != nil {
		return err
	}
	core, watched, err := openRole(ctx, &c.Settings, c.monitored, duty{workers: c.StreamWorkers}, t)
	defer func() { err = errors.Join(err, core.closers.close()) }()
	if err != nil {
		return unlessStopped(ctx, err)
	}
	roomFor(int64(core.workers) * core.workerMemory(core.workers))
	fmt.Fprintf(t.out, "Counting the records of Kafka at %s into %s. Ctrl-C ends it.\n", core.journal.addr, core.shownStore())
	return watched.run(ctx, func(ctx context.Context) error { return core.count(ctx, c.StreamWorkers) })
}

// count runs the live half of the generation that readers see until ctx ends.
func (c *core) count(ctx context.Context, workers int) error {
	life := context.WithoutCancel(ctx) // the workers end when they are stopped
	live, err := startLive(life, c, c.plans.current, workers)
	if err != nil {
		return err
	}
	ended := c.parts.start(ctx, "current", func(ctx context.Context) error {
		return watchCurrent(ctx, c.store, func(name string) error {
			if name == live.plan.Generation {
				return nil
			}
			plan, err := c.store.PlanOf(ctx, name)
			if err != nil {
				return err
			}
			next, err := startLive(life, c, plan, workers)
			if err != nil {
				return err
			}
			c.log.Info("another process has switched generations", "generation", name)
			before := live
			live = next
			return before.stop()
		})
	})
	<-ended
	err = live.stop()
	c.parts.join()
	return err
}
