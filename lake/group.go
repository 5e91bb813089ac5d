package lake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
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
			if p.lakeEnd == 0 && p.next > 0 {
				w.Log.Warn("lake: the journal has deleted the first records of the partition, the lake begins behind them", "partition", tp.String(), "at", p.next)
			}
		}
	}
	return offsets, nil
}

// resume makes a partition from what the lake and the journal have of it. If they do not fit together, the partition
// is one that has stopped; err is only that ctx has ended.
func (w *Writer) resume(ctx context.Context, tp pinflow.TopicPartition) (*partition, error) {
	p := &partition{TopicPartition: tp, topic: w.topics[tp.Topic], floor: pinflow.NoPeriod}
	_, err := retry(ctx, w, tp.String(), func() (Tail, error) {
		tail, bounds, at, err := w.locate(ctx, p.topic, tp.Partition)
		p.startAt(tail)
		p.logEnd = bounds.End
		if p.next = at; err != nil {
			p.next = bounds.End // new records are passed over
		}
		return tail, err
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	p.err = err
	return p, nil
}

// locate finds where a partition goes on: where the lake ends, and at which offset to read the journal. An Invalid or OutOfRange error
// tells that they do not fit together.
func (w *Writer) locate(ctx context.Context, t *Topic, partition int32) (tail Tail, b pinflow.PartitionBounds, at int64, err error) {
	if tail, err = t.Last(ctx, partition); err != nil {
		return tail, b, 0, err
	}
	for {
		// The journal is asked after the lake: then its end is not before that of what the lake has of it.
		have := t.PartitionCount()
		topic, err := w.Journal.Topic(ctx, t.Topic)
		if err != nil {
			return tail, b, 0, err
		}
		b = boundsOf(topic, partition)
		if err := t.agree(ctx, topic, have, 0, !slices.Contains(w.Unkeyed, t.Topic)); err != nil {
			return tail, b, 0, err
		}
		at, unfit := readFrom(pinflow.TopicPartition{Topic: t.Topic, Partition: partition}, tail, b)
		if unfit == nil {
			return tail, b, at, nil
		}
		// Another writer may have brought the lake further, and the journal then have forgotten that part.
		before := tail
		if tail, err = t.Last(ctx, partition); err != nil {
			return tail, b, 0, err
		}
		if tail == before {
			return tail, b, 0, unfit
		}
	}
}

// startAt makes p go on behind an object.
func (p *partition) startAt(t Tail) {
	p.start, p.next, p.lakeEnd, p.floor = t.End, t.End, t.End, t.Floor
}

// readFrom returns the offset at which to read a log of these bounds for a lake that ends at tail; an OutOfRange error if
// there is none.
func readFrom(tp pinflow.TopicPartition, tail Tail, b pinflow.PartitionBounds) (int64, error) {
	var why, hint string
	at, how := protocol.Resume(tail, b.Start, b.End)
	switch how {
	case protocol.GoOn:
		return at, nil
	case protocol.LogLost:
		why = fmt.Sprintf("the journal's log ends at %d, before the lake does", b.End)
		hint = "The journal has lost records or is another one: restore it, or use another lake."
	default:
		why = fmt.Sprintf("the journal's log starts at %d: it has deleted records that are not in the lake", b.Start)
		hint = "Restore the journal from a copy; a longer retention keeps it from happening again."
	}
	return 0, &pinflow.Error{Op: "resume", On: fmt.Sprintf("%s:%d", tp, tail.End), Kind: pinflow.OutOfRange, Err: errors.New(why), Hint: hint}
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
// (another writer reads it from the journal again), or has been lost already, which ctx tells.
func (w assignee) Revoked(ctx context.Context, tps []pinflow.TopicPartition) {
	lost := ctx
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
	for _, tp := range slices.SortedFunc(maps.Keys(leaving), pinflow.TopicPartition.Compare) {
		if p := leaving[tp]; lost.Err() == nil && p.err == nil && p.inHand() && w.parts[tp] == p {
			w.giveBack(p)
		}
		w.lose(leaving[tp])
	}
}

// giveBack tells that records of p in hand are left to the journal. At a rebalance another writer goes on with them;
// at a shutdown Run says so.
func (w *Writer) giveBack(p *partition) {
	err := &pinflow.Error{Op: "flush the partition to the lake", On: p.String(), Kind: pinflow.Unavailable,
		Err: fmt.Errorf("it was not done within %s", w.LeaveTimeout), Hint: "Nothing is lost: the journal has the records, and the next start goes on from the lake's end."}
	w.Log.Warn("lake: records left to the journal", "partition", p.String(), "from", p.lakeEnd)
	w.metrics.failed(err)
	if w.ctx.Err() != nil {
		w.dropped = errors.Join(w.dropped, err)
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
