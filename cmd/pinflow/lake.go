package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/lake"
)

// lakeCmd is the lake's writer alone.
type lakeCmd struct {
	config.Settings
	monitored
}

// Help is shown by --help.
func (lakeCmd) Help() string {
	return `With the default journal it reads that of the running Pinflow of --data, or the one at rest in --data. Several that write to the same lake share the partitions; Ctrl-C flushes and ends.

Examples:

  pinflow lake --lake file:///var/backups/lake
  pinflow lake --journal kafka://127.0.0.1:9092 --lake file:///var/backups/lake`
}

// Run writes until ctx ends, then flushes.
func (c *lakeCmd) Run(ctx context.Context, t terminal) (err error) {
	var w *lake.Writer
	defer func() {
		if w == nil {
			err = unlessStopped(ctx, err)
		}
	}()
	plan, err := mustCompile(ctx, c.Pipeline, t.err)
	if err != nil {
		return err
	}
	var opened closers
	defer func() { err = errors.Join(err, opened.close()) }()
	log, metrics := newLog(c.Logging, t), newMetrics()
	watched, err := c.monitored.open(&c.Settings, log, metrics)
	if err != nil {
		return err
	}
	objects, err := openLake(ctx, &c.Settings, log, metrics, &opened)
	if err != nil {
		return err
	}
	j, err := joinJournal(ctx, &c.Settings, log, metrics, &opened)
	if err != nil {
		return err
	}
	period, err := openTopics(ctx, j, objects, plan, pinflow.PeriodLength(c.LogPeriod))
	if err != nil {
		return err
	}
	w, err = newWriter(&c.Settings, j, objects, plan, period, log, metrics)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "Writing the records of Kafka at %s to %s. Ctrl-C flushes and ends.\n", j.addr, objects)
	return watched.run(ctx, w.Run)
}
