package lake

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/pinflow/pinflow"
)

// Flaw is where a partition's objects do not tile its offsets, or hold what they should not.
type Flaw struct {
	Object        // where it was found
	From   int64  // the offsets it is about: [From, To)
	To     int64  //
	What   string // "gap", "overlap", "duplicate", "order", "partition", "period" or "damaged"
	Detail string
}

// String formats as "overlap at topic:0 [3,5): …".
func (f Flaw) String() string {
	return fmt.Sprintf("%s at %s [%d,%d), object of period %d that starts at %d: %s", f.What, f.TopicPartition, f.From, f.To, f.Period, f.Start, f.Detail)
}

// Tiles reads every object and returns where they do not tile the offsets: each object starts where the one before ends,
// its records stand in the order of their offsets, none twice, and each lies in its log period. Offsets that
// no record has (transaction markers, compaction) lie within objects and are no flaw. What only a fetch can fail at is an error.
func (t *Topic) Tiles(ctx context.Context) ([]Flaw, error) {
	chains, err := t.chains(ctx)
	if err != nil {
		return nil, err
	}
	c := checker{t: t}
	for _, p := range slices.Sorted(maps.Keys(chains)) {
		c.end, c.floor = 0, pinflow.NoPeriod
		slices.SortStableFunc(chains[p], func(a, b Object) int { return int(min(max(a.Start-b.Start, -1), 1)) })
		for _, o := range chains[p] {
			if err := c.object(ctx, o); err != nil {
				return nil, err
			}
		}
	}
	return c.flaws, nil
}

// chains lists each partition's objects. One that comes after its folder was listed, before one behind it whose folder was not yet, is no gap:
// so they are listed twice, up to the last that were seen first.
func (t *Topic) chains(ctx context.Context) (map[int32][]Object, error) {
	last := map[int32]int64{}
	for o, err := range t.Objects(ctx) {
		if err != nil {
			return nil, err
		}
		last[o.Partition] = max(last[o.Partition], o.Start)
	}
	chains := map[int32][]Object{}
	for o, err := range t.Objects(ctx) {
		if err != nil {
			return nil, err
		}
		if end, seen := last[o.Partition]; seen && o.Start <= end {
			chains[o.Partition] = append(chains[o.Partition], o)
		}
	}
	return chains, nil
}

// checker walks one partition's objects.
type checker struct {
	t     *Topic
	end   int64
	floor pinflow.Period
	seen  []int64 // the offsets of the object's lines, in order
	flaws []Flaw
}

func (c *checker) object(ctx context.Context, o Object) error {
	c.seam(o)
	next := o.Start
	c.seen = c.seen[:0]
	for l, err := range c.t.Read(ctx, o) {
		if err != nil {
			if pinflow.KindOf(err) != pinflow.Invalid {
				return err
			}
			c.flaw(o, next, next, "damaged", err.Error())
			break
		}
		c.line(o, next, l)
		if l.Offset >= next {
			c.seen, next = append(c.seen, l.Offset), l.Offset+1
		}
	}
	if next == o.Start {
		c.flaw(o, next, next, "damaged", "it holds no record")
	}
	c.end = max(c.end, next)
	return nil
}

// seam checks that the object starts where the one before ends.
func (c *checker) seam(o Object) {
	switch {
	case o.Start > c.end:
		c.flaw(o, c.end, o.Start, "gap", "no object holds these offsets")
	case o.Start < c.end:
		c.flaw(o, o.Start, c.end, "overlap", "two objects hold these offsets")
	}
}

func (c *checker) line(o Object, next int64, l Line) {
	_, twice := slices.BinarySearch(c.seen, l.Offset)
	switch {
	case twice:
		c.flaw(o, l.Offset, l.Offset+1, "duplicate", "the record stands there twice")
	case l.Offset < next:
		c.flaw(o, l.Offset, next, "order", "a record stands behind one of the same or a greater offset")
	case l.Partition != o.Partition:
		c.flaw(o, l.Offset, l.Offset+1, "partition", fmt.Sprintf("the record says that it is of partition %d", l.Partition))
	case l.Erased:
		c.floor = max(c.floor, o.Period)
	default:
		if p := c.t.PeriodLength().Of(l.Timestamp, c.floor); p != o.Period {
			c.flaw(o, l.Offset, l.Offset+1, "period", fmt.Sprintf("the record belongs to period %d", p))
		} else {
			c.floor = p
		}
	}
}

func (c *checker) flaw(o Object, from, to int64, what, detail string) {
	c.flaws = append(c.flaws, Flaw{Object: o, From: from, To: to, What: what, Detail: detail})
}
