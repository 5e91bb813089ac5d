package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/pinflow/pinflow"
)

// attempts is how often the rows of the period that is being counted are compared while commits fall between.
const attempts = 10

// tail is what is not installed: it is computed up to the store's positions, which move on meanwhile.
type tail struct {
	*deep
	at      map[pinflow.TopicPartition]int64          // up to where it is computed
	floor   map[pinflow.TopicPartition]pinflow.Period // the period of the record before
	periods map[pinflow.Period]*tailPeriod            // not settled yet
}

// tailPeriod is one log period of it.
type tailPeriod struct {
	ranges map[pinflow.TopicPartition]*pinflow.InstalledRange
	pieces []made // computed one after the other
}

// tail compares what is not installed with the store.
func (d *deep) tail(ctx context.Context) error {
	t := d.newTail()
	d.step("computing what is not installed", 0)
	if err := t.extend(ctx, d.counts.Positions); err != nil {
		return err
	}
	moves := false
	for range attempts {
		var err error
		if moves, err = t.attempt(ctx); err != nil || !moves {
			return err
		}
	}
	for _, p := range t.order() {
		d.note(d.name(p) + ": the store's rows could not be compared, as records were counted all the time; try again when there are fewer.")
	}
	return nil
}

func (d *deep) newTail() *tail {
	t := &tail{deep: d, at: map[pinflow.TopicPartition]int64{}, floor: map[pinflow.TopicPartition]pinflow.Period{}, periods: map[pinflow.Period]*tailPeriod{}}
	for _, in := range d.installed {
		for _, ir := range in.Ranges {
			t.at[ir.TopicPartition] = ir.End
			t.floor[ir.TopicPartition] = d.Period.Next(in.Period)
		}
	}
	return t
}

// attempt brings the tail up to where the store is, and compares. It returns true if commits kept it from being done.
func (t *tail) attempt(ctx context.Context) (moves bool, err error) {
	still := t.Still
	if still == nil {
		still = func(ctx context.Context, f func(context.Context) error) error { return f(ctx) }
	}
	// Most of what is new is computed while the store goes on.
	at, err := t.Store.Progress(ctx, t.Plan.Generation)
	if err == nil {
		err = t.extend(ctx, at)
	}
	if err != nil {
		return false, err
	}
	err = still(ctx, func(ctx context.Context) error {
		at, err := t.Store.Progress(ctx, t.Plan.Generation)
		if err == nil {
			err = t.extend(ctx, at)
		}
		if err == nil {
			moves, err = t.compare(ctx, at)
		}
		return err
	})
	return moves, err
}

// compare compares the periods that are left, and settles those for which no commit fell between.
func (t *tail) compare(ctx context.Context, at map[pinflow.TopicPartition]pinflow.Progress) (moves bool, err error) {
	for _, p := range t.order() {
		in, err := t.installationOf(p)
		if err != nil {
			return false, err
		}
		c, err := t.Store.Compare(ctx, in, false)
		if err != nil {
			return false, err
		}
		after, err := t.Store.Progress(ctx, t.Plan.Generation)
		if err != nil {
			return false, err
		}
		if differing(c) && !maps.Equal(at, after) {
			moves = true
			continue
		}
		t.findDifferences(p, c, "the store's rows are not those that follow from the records", rebuild)
		if t.closed(p, at) {
			delete(t.periods, p)
		}
	}
	return moves, t.sweepTail()
}

func differing(c *pinflow.Comparison) bool {
	return c.Differing > 0 || slices.ContainsFunc(c.Tables, func(t pinflow.TableComparison) bool { return t.Differing > 0 })
}

// closed tells whether no record of the period can be counted any more.
func (t *tail) closed(p pinflow.Period, at map[pinflow.TopicPartition]pinflow.Progress) bool {
	for _, a := range at {
		if a.Period <= p {
			return false
		}
	}
	return true
}

func (t *tail) sweepTail() error {
	kept := t.state
	defer func() { t.state = kept }()
	t.state = maps.Clone(kept)
	for p, tp := range t.periods { // what is to be compared again stays
		for i, m := range tp.pieces {
			t.state[fmt.Sprint(p, i)] = m.Parts
		}
	}
	return t.sweep()
}

func (t *tail) order() []pinflow.Period { return slices.Sorted(maps.Keys(t.periods)) }

// extend computes what lies between where the tail ends and some positions, period by period.
func (t *tail) extend(ctx context.Context, to map[pinflow.TopicPartition]pinflow.Progress) error {
	fresh := map[pinflow.Period]map[pinflow.TopicPartition]*pinflow.InstalledRange{}
	for _, tp := range slices.SortedFunc(maps.Keys(to), pinflow.TopicPartition.Compare) {
		if err := t.scan(ctx, tp, to[tp].NextOffset, fresh); err != nil {
			return err
		}
	}
	for _, p := range slices.Sorted(maps.Keys(fresh)) {
		piece, err := t.refine(ctx, p, t.sealsOfTail(p, fresh[p], to))
		if err != nil {
			return err
		}
		own := t.periods[p]
		if own == nil {
			own = &tailPeriod{ranges: map[pinflow.TopicPartition]*pinflow.InstalledRange{}}
			t.periods[p] = own
		}
		own.pieces = append(own.pieces, piece)
		for tp, r := range fresh[p] {
			if have := own.ranges[tp]; have != nil {
				have.End, have.Records = r.End, have.Records+r.Records
			} else {
				own.ranges[tp] = r
			}
		}
	}
	return nil
}

// scan finds the log periods of a partition's records up to an offset.
func (t *tail) scan(ctx context.Context, tp pinflow.TopicPartition, to int64, fresh map[pinflow.Period]map[pinflow.TopicPartition]*pinflow.InstalledRange) error {
	floor, ok := t.floor[tp]
	if !ok {
		floor = pinflow.NoPeriod
	}
	from := t.at[tp]
	start := from
	if from >= to {
		return nil
	}
	for l, err := range t.source.lines(ctx, tp, from, to) {
		if err != nil {
			return err
		}
		if !l.Erased {
			floor = t.Period.Of(l.Timestamp, floor)
		}
		if floor == pinflow.NoPeriod {
			continue // an erased record before all others counts with the first of them
		}
		if fresh[floor] == nil {
			fresh[floor] = map[pinflow.TopicPartition]*pinflow.InstalledRange{}
		}
		r := fresh[floor][tp]
		if r == nil {
			r = &pinflow.InstalledRange{TopicPartition: tp, Start: start}
			fresh[floor][tp] = r
		}
		r.End = l.Offset + 1
		r.Records++
		start = r.End
	}
	t.at[tp], t.floor[tp] = to, floor
	return nil
}

// sealsOfTail makes ranges look like seals: one per topic, of all its partitions that the store has begun.
func (t *tail) sealsOfTail(p pinflow.Period, ranges map[pinflow.TopicPartition]*pinflow.InstalledRange, all map[pinflow.TopicPartition]pinflow.Progress) []pinflow.Seal {
	var seals []pinflow.Seal
	for _, topic := range t.topics() {
		s := pinflow.Seal{Topic: topic, Period: p}
		for tp := range all {
			if tp.Topic != topic {
				continue
			}
			part := pinflow.SealedPartition{Partition: tp.Partition, Start: t.at[tp], End: t.at[tp]}
			if r := ranges[tp]; r != nil {
				part.Start, part.End, part.Records = r.Start, r.End, r.Records
				part.Objects = []pinflow.SealedObject{stretch(tp.Partition, r.Start, r.End, r.Records)}
			}
			s.Partitions = append(s.Partitions, part)
		}
		slices.SortFunc(s.Partitions, func(a, b pinflow.SealedPartition) int { return cmp.Compare(a.Partition, b.Partition) })
		seals = append(seals, s)
	}
	return seals
}
