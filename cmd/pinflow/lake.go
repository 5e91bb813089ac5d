package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/internal/datalock"
	"github.com/pinflow/pinflow/lake"
)

// lakeCmd is the lake's writer alone.
type lakeCmd struct {
	config.Settings
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
	lock, err := c.findJournal(&opened)
	if err != nil {
		return err
	}
	log, metrics := newLog(c.Logging, t), prometheus.NewRegistry()
	objects, err := openLake(&c.Settings, &opened)
	if err != nil {
		return err
	}
	j, err := openJournal(ctx, &c.Settings, log, metrics, &opened)
	if err != nil {
		return err
	}
	if lock != nil {
		if err := lock.Update(datalock.Info{Kafka: j.addr}); err != nil {
			return err
		}
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
	return w.Run(ctx)
}

// findJournal takes the data folder for the embedded journal, or points to the process that holds it; then there is no lock.
func (c *lakeCmd) findJournal(opened *closers) (*datalock.Lock, error) {
	isEmbedded, _, err := config.ParseJournal(c.Journal)
	if err != nil || !isEmbedded {
		return nil, err
	}
	holder, err := datalock.Holder(c.Data)
	if err != nil {
		return nil, err
	}
	if holder != nil && holder.Kafka != "" {
		c.Journal = "kafka://" + holder.Kafka
		return nil, nil
	}
	lock, err := datalock.Acquire(c.Data, datalock.Info{})
	if err != nil {
		return nil, err
	}
	opened.add(lock.Release)
	return lock, nil
}
