package web

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

// await returns when all records of after are counted: the read that follows sees them. A topic that the
// pipeline does not read is an Invalid error, and what is not counted in time an Unavailable one.
func (s *Web) await(ctx context.Context, after []pinflow.Position, timeout time.Duration) error {
	if len(after) == 0 {
		return nil
	}
	if err := s.checkTopics(after); err != nil {
		return err
	}
	late := time.NewTimer(timeout)
	defer late.Stop()
	for {
		at, changed, err := s.progress.get(ctx, s.Store)
		if err != nil {
			return err
		}
		missing, ok := firstMissing(at, after)
		if !ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.hub.ctx.Done():
			return &pinflow.Error{Op: "wait until the record is counted", On: missing.String(), Kind: pinflow.Unavailable,
				Err: errors.New("this Pinflow is stopping"), Hint: "The record is in the journal: ask again when Pinflow is up."}
		case <-late.C:
			return &pinflow.Error{Op: "wait until the record is counted", On: missing.String(), Kind: pinflow.Unavailable,
				Err:  fmt.Errorf("after %s, records before offset %d are", timeout, at[missing.TopicPartition].NextOffset),
				Hint: "Ask again; if the offset does not move, GET /api/status and the log tell why."}
		}
	}
}

// firstMissing returns the first record that is not counted yet, if there is one.
func firstMissing(at map[pinflow.TopicPartition]pinflow.Progress, after []pinflow.Position) (pinflow.Position, bool) {
	i := slices.IndexFunc(after, func(p pinflow.Position) bool { return at[p.TopicPartition].NextOffset <= p.Offset })
	if i < 0 {
		return pinflow.Position{}, false
	}
	return after[i], true
}

func (s *Web) checkTopics(after []pinflow.Position) error {
	var faults problem.Faults
	sources := s.plan().Sources
	for _, p := range after {
		i := slices.IndexFunc(sources, func(src pinflow.PlannedSource) bool { return src.Topic == p.Topic })
		switch {
		case i < 0:
			faults = append(faults, problem.Detail{Path: "after", Reason: "the pipeline reads no topic " + p.Topic})
		case sources[i].Partitions > 0 && int(p.Partition) >= sources[i].Partitions:
			faults = append(faults, problem.Detail{Path: "after", Reason: fmt.Sprintf("topic %s has %d partitions, numbered from 0", p.Topic, sources[i].Partitions)})
		}
	}
	if faults != nil {
		return &pinflow.Error{Op: "wait until the record is counted", On: after[0].String(), Kind: pinflow.Invalid, Err: faults,
			Hint: "Give the position of a receipt."}
	}
	return nil
}

// progress remembers the store's positions until its next commit, so that a thousand who wait ask once.
type progress struct {
	turn    chan struct{} // held by who reads or writes the fields
	changed <-chan struct{}
	at      map[pinflow.TopicPartition]pinflow.Progress
}

func newProgress() *progress { return &progress{turn: make(chan struct{}, 1)} }

// get returns the positions and a channel that is closed when they have moved on.
func (p *progress) get(ctx context.Context, store pinflow.StoreReader) (map[pinflow.TopicPartition]pinflow.Progress, <-chan struct{}, error) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	defer func() { <-p.turn }()
	if p.at != nil && !isClosed(p.changed) {
		return p.at, p.changed, nil
	}
	changed := store.Changes() // before the positions: no commit falls between
	at, err := store.Positions(ctx)
	if err != nil {
		return nil, nil, err
	}
	p.at, p.changed = at, changed
	return at, changed, nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
