package lake

import (
	"context"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// Tail is where a partition's part of the lake ends.
type Tail = protocol.Tail

// manyFolders is how many periods are searched one by one for a partition's last object before all are listed at once.
const manyFolders = 32

// Last returns where a partition's part of the lake ends, as its last object tells.
func (t *Topic) Last(ctx context.Context, partition int32) (Tail, error) {
	periods, err := t.periods(ctx)
	if err != nil {
		return Tail{}, err
	}
	return t.last(ctx, periods, partition)
}

// Ends returns where each partition's part of the lake ends.
func (t *Topic) Ends(ctx context.Context) (map[int32]Tail, error) {
	periods, err := t.periods(ctx)
	if err != nil {
		return nil, err
	}
	ends := make(map[int32]Tail, t.PartitionCount())
	for p := range int32(t.PartitionCount()) {
		if ends[p], err = t.last(ctx, periods, p); err != nil {
			return nil, err
		}
	}
	return ends, nil
}

func (t *Topic) periods(ctx context.Context) ([]pinflow.Period, error) {
	var periods []pinflow.Period
	for p, err := range t.Periods(ctx) {
		if err != nil {
			return nil, err
		}
		periods = append(periods, p)
	}
	return periods, nil
}

func (t *Topic) last(ctx context.Context, periods []pinflow.Period, partition int32) (Tail, error) {
	o, ok, err := t.lastObject(ctx, periods, partition)
	if err != nil || !ok {
		return Tail{Floor: pinflow.NoPeriod}, err
	}
	return t.tailOf(ctx, o)
}

// lastObject finds the object with the greatest start. Periods never go back within a partition, so it is
// in the newest folder that has any.
func (t *Topic) lastObject(ctx context.Context, periods []pinflow.Period, partition int32) (last Object, ok bool, err error) {
	floor := pinflow.NoPeriod // the partition has an object there
	for tried := range len(periods) {
		p := periods[len(periods)-1-tried]
		if tried == manyFolders {
			if floor, err = t.sealedFloor(ctx, periods, partition); err != nil {
				return Object{}, false, err
			}
		}
		if tried >= manyFolders && floor == pinflow.NoPeriod {
			return t.lastOfAll(ctx, partition)
		}
		for o, err := range t.list(ctx, t.partitionPrefix(p, partition)) {
			if err != nil {
				return Object{}, false, err
			}
			last, ok = o, true
		}
		if ok {
			return last, true, nil
		}
	}
	return Object{}, false, nil
}

// sealedFloor returns the log period of a partition's last record that is sealed; NoPeriod if there is none.
func (t *Topic) sealedFloor(ctx context.Context, periods []pinflow.Period, partition int32) (pinflow.Period, error) {
	s, err := t.lastSeal(ctx, periods)
	if err != nil {
		return pinflow.NoPeriod, err
	}
	_, floor := s.end(partition)
	return floor, nil
}

// lastOfAll is lastObject for a partition that has been quiet for many periods.
func (t *Topic) lastOfAll(ctx context.Context, partition int32) (last Object, ok bool, err error) {
	for o, err := range t.Objects(ctx) {
		if err != nil {
			return Object{}, false, err
		}
		if o.Partition == partition {
			last, ok = o, true
		}
	}
	return last, ok, nil
}

// tailOf is the end that an object makes of its partition.
func (t *Topic) tailOf(ctx context.Context, o Object) (Tail, error) {
	e, err := t.Extent(ctx, o)
	if err != nil {
		return Tail{}, err
	}
	return Tail{End: e.End, Floor: o.Period}, nil
}

// errGap is where an object is missing between others.
type errGap struct {
	pinflow.Position
}

func (errGap) Error() string { return "no object starts there, but there are later ones" }
