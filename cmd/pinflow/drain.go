package main

import (
	"context"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
)

// drainPace is how often a lake that is being brought up to the journal is looked at.
const drainPace = 50 * time.Millisecond

// drain brings the lake up to the journal's end when no other process can be doing so: the embedded journal is at rest, and
// its last owner may have been killed before it had flushed.
func (c *core) drain(ctx context.Context) error {
	if c.journal.broker == nil {
		return nil
	}
	if behind, err := c.lakeLags(ctx); err != nil || !behind {
		return err
	}
	metrics := &registration{Registerer: c.metrics}
	defer metrics.drop()
	settings := *c.Settings
	settings.LakeFlush = drainPace
	w, err := newWriter(&settings, c.journal, c.objects, c.plans.newest(), c.period, c.log, metrics)
	if err != nil {
		return err
	}
	writing, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(writing) }()
	pace := time.NewTicker(drainPace)
	defer pace.Stop()
	for behind := true; behind && err == nil; {
		select {
		case err = <-ended: // it has met what it cannot keep
			stop()
			return err
		case <-ctx.Done():
			err = ctx.Err()
		case <-pace.C:
			behind, err = c.lakeLags(ctx)
		}
	}
	stop()
	if last := <-ended; err == nil {
		err = last
	}
	return err
}

// lakeLags tells whether the journal has a record that the lake lacks.
func (c *core) lakeLags(ctx context.Context) (bool, error) {
	for _, topic := range topicsOf(c.plans.newest()) {
		kept, err := lake.OpenTopic(ctx, c.objects, topic)
		if err != nil {
			return false, err
		}
		ends, err := kept.Ends(ctx)
		if err != nil {
			return false, err
		}
		for partition, tail := range ends {
			records, err := c.journal.Read(ctx, pinflow.TopicPartition{Topic: topic, Partition: partition}, tail.End, 1)
			if err != nil && pinflow.KindOf(err) != pinflow.OutOfRange {
				return false, err
			}
			if len(records) > 0 {
				return true, nil
			}
		}
	}
	return false, nil
}
