package lake

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/pinflow/pinflow"
	"golang.org/x/sync/errgroup"
)

// assignee is the Writer as the journal sees it.
type assignee struct{ *Writer }

// Assigned implements pinflow.Assignee: each partition is resumed where the lake ends.
func (w assignee) Assigned(ctx context.Context, tps []pinflow.TopicPartition) (map[pinflow.TopicPartition]int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()

	var mu sync.Mutex
	parts := map[pinflow.TopicPartition]*partition{}
	var g errgroup.Group
	g.SetLimit(maxPuts)
	for _, tp := range tps {
		g.Go(func() error {
			p, err := w.resume(ctx, tp)
			mu.Lock()
			defer mu.Unlock()
			parts[tp] = p
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	offsets := map[pinflow.TopicPartition]int64{}
	for tp, p := range parts {
		w.lose(w.parts[tp]) // told of it twice: what is held may be somebody else's by now
		p.ctx, p.cancel = context.WithCancel(w.life)
		w.parts[tp] = p
		offsets[tp] = p.next
		if err := p.err; err != nil {
			p.err = nil
			w.stop(p, err)
		} else {
			w.Log.Info("lake: partition resumed", "partition", tp.String(), "at", p.next)
		}
	}
	return offsets, nil
}

// resume makes a partition from what the lake and the journal have of it. If they do not fit together, the partition
// is one that has stopped; err is only that ctx has ended.
func (w *Writer) resume(ctx context.Context, tp pinflow.TopicPartition) (*partition, error) {
	p := &partition{TopicPartition: tp, topic: w.topics[tp.Topic], floor: pinflow.NoPeriod}
	topic, err := retry(ctx, w, tp.String(), func() (pinflow.Topic, error) { return w.Journal.Topic(ctx, tp.Topic) })
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	bounds := boundsOf(topic, tp.Partition)
	p.next, p.logEnd = bounds.End, bounds.End // if it stops, new records are passed over
	if err == nil {
		err = p.topic.agree(topic, 0)
	}
	if err != nil {
		p.err = err
		return p, nil
	}
	tail, err := retry(ctx, w, tp.String(), func() (Tail, error) { return p.topic.Last(ctx, tp.Partition) })
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		p.err = err
		return p, nil
	}
	p.startAt(tail)
	p.empty = tail.End == 0
	p.lakeEnd = tail.End
	if at, err := p.resumeIn(bounds); err != nil {
		p.err, p.next = err, bounds.End
	} else {
		p.next = at
	}
	return p, nil
}

// startAt makes p go on behind an object.
func (p *partition) startAt(t Tail) { p.start, p.next, p.floor = t.End, t.End, t.Floor }

// resumeIn returns the offset at which to read a log of these bounds. It is an OutOfRange error if the log has lost
// what comes next; of a partition that the lake has nothing of, the log's start is the start.
func (p *partition) resumeIn(b pinflow.PartitionBounds) (int64, error) {
	fault := func(why, hint string) (int64, error) {
		return 0, &pinflow.Error{Op: "resume", On: fmt.Sprintf("%s:%d", p, p.next), Kind: pinflow.OutOfRange, Err: fmt.Errorf("%s", why), Hint: hint}
	}
	switch {
	case b.End < p.next:
		return fault(fmt.Sprintf("the journal's log ends at %d, before the lake does", b.End),
			"The journal has lost records or is another one: restore it, or use another lake.")
	case b.Start <= p.next:
		return p.next, nil
	case p.empty && p.open == nil && p.putting == nil:
		return b.Start, nil
	}
	return fault(fmt.Sprintf("the journal's log starts at %d: it has deleted records that are not in the lake", b.Start),
		"Restore the journal from a copy; a longer retention keeps it from happening again.")
}

func boundsOf(t pinflow.Topic, partition int32) pinflow.PartitionBounds {
	for _, b := range t.Partitions {
		if b.Partition == partition {
			return b
		}
	}
	return pinflow.PartitionBounds{Partition: partition}
}

// Revoked implements pinflow.Assignee: it flushes the partitions, and drops what cannot be flushed in LeaveTimeout
// (another writer reads it from the journal again).
func (w assignee) Revoked(ctx context.Context, tps []pinflow.TopicPartition) {
	ctx, cancel := context.WithTimeout(ctx, w.LeaveTimeout)
	defer cancel()
	w.mu.Lock()
	defer w.mu.Unlock()
	leaving := map[pinflow.TopicPartition]*partition{}
	for _, tp := range tps {
		if p := w.parts[tp]; p != nil {
			p.leaving = true
			leaving[tp] = p
		}
	}
	for ctx.Err() == nil && w.flushing(leaving) {
		w.await(ctx)
	}
	for _, tp := range slices.SortedFunc(maps.Keys(leaving), byName) {
		if p := leaving[tp]; p.err == nil && (p.open != nil || p.putting != nil) && w.parts[tp] == p {
			w.dropped = &pinflow.Error{Op: "flush the partition to the lake", On: tp.String(), Kind: pinflow.Unavailable,
				Err: fmt.Errorf("it was not done within %s", w.LeaveTimeout), Hint: "Nothing is lost: the journal has the records, and the next start goes on from the lake's end."}
			w.Log.Warn("lake: records given back to the journal", "partition", tp.String(), "from", p.lakeEnd)
			w.metrics.failed(w.dropped)
		}
		w.lose(leaving[tp])
	}
}

// flushing flushes what it can of the partitions, and tells whether any of them still holds something.
func (w *Writer) flushing(parts map[pinflow.TopicPartition]*partition) bool {
	busy := false
	for tp, p := range parts {
		if w.parts[tp] != p || p.err != nil {
			continue
		}
		if p.putting == nil && p.open != nil {
			w.flush(p)
		}
		busy = busy || p.putting != nil
	}
	return busy
}

// lose forgets a partition. A put on its way may still arrive: whoever comes next finds it.
func (w *Writer) lose(p *partition) {
	if p == nil || w.parts[p.TopicPartition] != p {
		return
	}
	p.cancel()
	w.drop(p)
	delete(w.parts, p.TopicPartition)
	w.tell()
}

// loseAll forgets what a subscription that has ended did not take back.
func (w *Writer) loseAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.parts {
		w.lose(p)
	}
}
