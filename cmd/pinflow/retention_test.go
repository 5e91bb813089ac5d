package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"testing"
	"testing/synctest"

	"github.com/pinflow/pinflow"
)

func TestRetentionKeepsWhatOneOfBothNeeds(t *testing.T) {
	tp := func(p int32) pinflow.TopicPartition { return pinflow.TopicPartition{Topic: "t", Partition: p} }
	counted := map[pinflow.TopicPartition]pinflow.Progress{tp(0): {NextOffset: 10}, tp(1): {NextOffset: 5}, tp(2): {NextOffset: 7}, tp(4): {}}
	lake := map[pinflow.TopicPartition]int64{tp(0): 5, tp(1): 10, tp(3): 7, tp(4): 9}
	want := map[pinflow.TopicPartition]int64{tp(0): 5, tp(1): 5, tp(4): 0}
	if got := floors(lake, counted); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// A writer of the lake that has just begun, or another process's, tells of no partition: nothing is deleted.
	if got := floors(nil, counted); len(got) > 0 {
		t.Errorf("without the lake's ends: %v", got)
	}
	if got := floors(lake, nil); len(got) > 0 {
		t.Errorf("without positions: %v", got)
	}
}

// TestRetentionStopped ends well when it is stopped in the middle of what it does, and not when that fails.
func TestRetentionStopped(t *testing.T) {
	fails := errors.New("it fails")
	for name, c := range map[string]struct {
		stop, atTrim bool
		want         error
	}{
		"positions fail":              {want: fails},
		"positions fail when stopped": {stop: true},
		"the trim fails":              {atTrim: true, want: fails},
		"the trim fails when stopped": {atTrim: true, stop: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				fail := func() error {
					if c.stop {
						cancel()
					}
					return fails
				}
				r := retention{lakeEnds: func() map[pinflow.TopicPartition]int64 { return nil }, log: slog.New(slog.DiscardHandler),
					positions: func(context.Context) (map[pinflow.TopicPartition]pinflow.Progress, error) {
						if c.atTrim {
							return nil, nil
						}
						return nil, fail()
					},
					trim: func(context.Context, map[pinflow.TopicPartition]int64) (int64, error) { return 0, fail() }}
				if err := r.run(ctx); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			})
		})
	}
}
