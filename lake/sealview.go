package lake

import (
	"context"
	"fmt"
	"slices"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
	"golang.org/x/sync/errgroup"
)

// view is what a sealer has seen of a topic.
type view struct {
	*Topic
	last    *seal
	folders []pinflow.Period
	chains  []*chain // by partition
	newest  int64    // the newest append time in the lake that is not sealed yet
}

// chain is the objects of a partition that are not sealed yet.
type chain struct {
	pinflow.TopicPartition
	before  int64          // where the last seal ends
	floor   pinflow.Period // of the last record before
	objects []Object       // in order
	end     int64          // where the lake ends
	logEnd  int64          // where the journal ended after that was read
	held    int64          // of which an open transaction held back so many offsets
	quiet   *bool          // what at has found out
}

// look reads what there is of a topic behind its last seal.
func (s *Sealer) look(ctx context.Context, name string) (*view, error) {
	t, err := OpenTopic(ctx, s.Objects, name)
	if err != nil {
		return nil, err
	}
	v := &view{Topic: t, last: s.last[name]}
	if v.last != nil {
		if v.last, err = t.follow(ctx, v.last); err != nil {
			return nil, err
		}
	}
	if v.folders, err = t.periods(ctx); err != nil {
		return nil, err
	}
	if v.last == nil {
		if v.last, err = t.lastSeal(ctx, v.folders); err != nil {
			return nil, err
		}
	}
	s.last[name] = v.last
	v.widen(t.PartitionCount())
	if err := v.list(ctx); err != nil {
		return nil, err
	}
	for _, c := range v.chains {
		if n := len(c.objects); n > 0 {
			e, err := t.Extent(ctx, c.objects[n-1])
			if err != nil {
				return nil, err
			}
			c.end, v.newest = e.End, max(v.newest, e.Newest)
		}
	}
	return v, nil
}

// widen makes chains for n partitions.
func (v *view) widen(n int) {
	for p := len(v.chains); p < n; p++ {
		c := &chain{TopicPartition: pinflow.TopicPartition{Topic: v.Topic.Topic, Partition: int32(p)}}
		c.before, c.floor = v.last.end(c.Partition)
		c.end = c.before
		v.chains = append(v.chains, c)
	}
}

// list reads the names of objects in folders that are not sealed.
func (v *view) list(ctx context.Context) error {
	take := func(o Object, err error) error {
		if err != nil {
			return err
		}
		v.widen(int(o.Partition) + 1)
		if c := v.chains[o.Partition]; o.Start >= c.before {
			c.objects = append(c.objects, o)
		}
		return nil
	}
	if v.last == nil {
		for o, err := range v.Objects(ctx) {
			if err := take(o, err); err != nil {
				return err
			}
		}
		return nil
	}
	for _, p := range v.folders[v.firstOpen():] {
		for o, err := range v.PeriodObjects(ctx, p) {
			if err := take(o, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// firstOpen is the index of the first folder behind the last seal.
func (v *view) firstOpen() int {
	i, found := slices.BinarySearch(v.folders, v.last.Period)
	if found {
		i++
	}
	return i
}

// askJournal notes where the log ends, after the lake was read, and finds what lies in folders that were sealed before it came.
func (v *view) askJournal(ctx context.Context, j pinflow.JournalReader) error {
	topic, err := j.Topic(ctx, v.Topic.Topic)
	if err != nil {
		return err
	}
	known := topic
	known.Partitions = topic.Partitions[:min(len(topic.Partitions), v.PartitionCount())]
	if err := v.agree(ctx, known, v.PartitionCount(), 0, true); err != nil {
		return err
	}
	v.widen(len(topic.Partitions)) // some may have been added of which the lake has nothing yet
	for _, c := range v.chains {
		b := boundsOf(topic, c.Partition)
		c.logEnd, c.held = b.End, b.Held
		if c.logEnd < c.end {
			return &pinflow.Error{Op: "seal", On: c.String(), Kind: pinflow.OutOfRange, Err: fmt.Errorf("the journal's log ends at %d, before the lake does, at %d", c.logEnd, c.end),
				Hint: "The journal has lost records or is another one: restore it, or use another lake."}
		}
		if err := v.findLate(ctx, j, c); err != nil {
			return err
		}
	}
	return nil
}

// at is what the protocol wants to know of a partition to seal a period.
func (c *chain) at(ctx context.Context, p pinflow.Period, j pinflow.JournalReader) (protocol.Partition, error) {
	part := protocol.Partition{TopicPartition: c.TopicPartition, Before: c.before, End: c.end, Later: -1}
	for _, o := range c.objects {
		if o.Period > p {
			part.Later = o.Start
			return part, nil
		}
	}
	if c.quiet == nil {
		quiet := c.logEnd == c.end
		if !quiet {
			rest, err := j.Read(ctx, c.TopicPartition, c.end, 1)
			if err != nil && pinflow.KindOf(err) != pinflow.OutOfRange {
				return part, err
			}
			// An open transaction may still commit records that were appended within the period.
			quiet = err == nil && len(rest) == 0 && c.held == 0
		}
		c.quiet = &quiet
	}
	part.Quiet = *c.quiet
	return part, nil
}

// make makes the seal of a period: of each range, the objects that tile it.
func (v *view) make(ctx context.Context, p pinflow.Period, ranges []protocol.Range) (*seal, error) {
	s := &seal{Seal: pinflow.Seal{Topic: v.Topic.Topic, Period: p}}
	for _, r := range ranges {
		if r.Topic != v.Topic.Topic {
			continue
		}
		c := v.chains[r.Partition]
		part := pinflow.SealedPartition{Partition: r.Partition, Start: r.Start, End: r.End}
		within, floor := c.within(r), c.floor
		extents, err := v.extents(ctx, within)
		if err != nil {
			return nil, err
		}
		at := r.Start
		for i, o := range within {
			if o.Start != at {
				break
			}
			at, floor = extents[i].End, o.Period
			part.Records += extents[i].Records
			part.Objects = append(part.Objects, pinflow.SealedObject{Name: o.Name(v.PeriodLength()), Start: o.Start, End: at, Records: extents[i].Records, Size: o.Size})
		}
		if at != r.End {
			return nil, v.gap(c, at)
		}
		s.Partitions, s.floors = append(s.Partitions, part), append(s.floors, floor)
	}
	return s, nil
}

// gap is the error of a chain that has no object at an offset.
func (v *view) gap(c *chain, at int64) error {
	where := pinflow.Position{TopicPartition: c.TopicPartition, Offset: at}
	return &pinflow.Error{Op: "seal", On: where.String(), Kind: pinflow.Invalid, Err: errGap{where}, Hint: "An object of the lake is missing: restore it from a copy."}
}

// within are the objects of a range.
func (c *chain) within(r protocol.Range) []Object {
	n := 0
	for n < len(c.objects) && c.objects[n].Start < r.End {
		n++
	}
	return c.objects[:n]
}

func (v *view) extents(ctx context.Context, objects []Object) ([]Extent, error) {
	extents := make([]Extent, len(objects))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxPuts)
	for i, o := range objects {
		g.Go(func() (err error) {
			extents[i], err = v.Extent(ctx, o)
			return err
		})
	}
	return extents, g.Wait()
}

// goOn makes the chains begin behind a seal.
func (v *view) goOn(s *seal) {
	v.last = s
	for _, c := range v.chains {
		c.before, c.floor = s.end(c.Partition)
		for len(c.objects) > 0 && c.objects[0].Start < c.before {
			c.objects = c.objects[1:]
		}
	}
}
