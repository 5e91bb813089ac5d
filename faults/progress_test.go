package faults

import (
	"context"
	"maps"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
)

// offsets are offsets by partition.
type offsets map[int32]int64

// reach tells whether all are at or past others.
func (o offsets) reach(others offsets) bool {
	for partition, at := range others {
		if o[partition] < at {
			return false
		}
	}
	return true
}

// journalEnds is where the journal ends.
func (w *world) journalEnds(ctx context.Context) (offsets, error) {
	topic, err := w.journal.Topic(ctx, w.name)
	if err != nil {
		return nil, err
	}
	ends := offsets{}
	for _, b := range topic.Partitions {
		ends[b.Partition] = b.End
	}
	return ends, nil
}

// lakeEnds is where the lake ends.
func (w *world) lakeEnds(ctx context.Context) (offsets, error) {
	kept, err := lake.OpenTopic(ctx, w.objects, w.name)
	if pinflow.KindOf(err) == pinflow.NotFound {
		return offsets{}, nil
	}
	if err != nil {
		return nil, err
	}
	tails, err := kept.Ends(ctx)
	if err != nil {
		return nil, err
	}
	ends := offsets{}
	for partition, tail := range tails {
		ends[partition] = tail.End
	}
	return ends, nil
}

// counted is how far the store has counted, in the generation that readers see.
func (w *world) counted(ctx context.Context) (offsets, error) {
	rows, err := w.db.Query(ctx, `SELECT "partition", next_offset FROM _pinflow.progress WHERE generation = (SELECT current FROM _pinflow.store) AND topic = $1`, w.name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	at := offsets{}
	for rows.Next() {
		var partition int32
		var next int64
		if err := rows.Scan(&partition, &next); err != nil {
			return nil, err
		}
		at[partition] = next
	}
	return at, rows.Err()
}

// follow waits until lake and store have all that the journal has now.
func (w *world) follow() {
	w.t.Helper()
	ends := w.now("journal", w.journalEnds)
	w.reach("lake", w.lakeEnds, ends)
	w.reach("store", w.counted, ends)
}

// where tells how far a place has come.
type where func(context.Context) (offsets, error)

// now is how far a place has come. It is asked again until it can tell: a broker that has just started may know of no leader for a moment.
func (w *world) now(place string, at where) offsets {
	w.t.Helper()
	var got offsets
	var failed error
	within(w.t, patience, func() string { return describe(place, got, nil, failed) }, func() bool {
		got, failed = at(w.t.Context())
		return failed == nil
	})
	return got
}

// reach waits until a place has come to some offsets.
func (w *world) reach(place string, at where, ends offsets) {
	w.t.Helper()
	var last offsets
	var failed error
	within(w.t, patience, func() string { return describe(place, last, ends, failed) }, func() bool {
		last, failed = at(w.t.Context())
		return failed == nil && last.reach(ends)
	})
}

// moves waits until a place has got on, in every partition, from where it is now.
func (w *world) moves(place string, at where) {
	w.t.Helper()
	next := maps.Clone(w.now(place, at))
	for partition := range int32(partitions) {
		next[partition]++
	}
	w.reach(place+" moves on", at, next)
}
