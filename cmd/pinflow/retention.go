package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/pinflow/pinflow"
)

// retention deletes from the embedded journal what both the lake holds and the metrics have counted.
type retention struct {
	trim      func(ctx context.Context, floor map[pinflow.TopicPartition]int64) (int64, error)
	lakeEnds  func() map[pinflow.TopicPartition]int64
	positions func(ctx context.Context) (map[pinflow.TopicPartition]pinflow.Progress, error)
	log       *slog.Logger
}

const retentionPace = 10 * time.Second

// run trims the journal now and then until ctx ends.
func (r retention) run(ctx context.Context) error {
	tick := time.NewTicker(retentionPace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := r.once(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (r retention) once(ctx context.Context) error {
	counted, err := r.positions(ctx)
	if err != nil {
		return err
	}
	freed, err := r.trim(ctx, floors(r.lakeEnds(), counted))
	if freed > 0 {
		r.log.Info("the journal has deleted what the lake holds and the metrics have counted", "bytes", freed)
	}
	return err
}

// floors are the offsets from which on the journal is still needed. A partition that one of
// both does not know has none: nothing of it is deleted.
func floors(lakeEnds map[pinflow.TopicPartition]int64, counted map[pinflow.TopicPartition]pinflow.Progress) map[pinflow.TopicPartition]int64 {
	out := map[pinflow.TopicPartition]int64{}
	for tp, end := range lakeEnds {
		if p, ok := counted[tp]; ok {
			out[tp] = min(end, p.NextOffset)
		}
	}
	return out
}
