package lake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pinflow/pinflow"
)

// partition is one that is the writer's: what has been read of it and is not in the lake yet. At most one object
// of it is on its way, while the next is being filled.
type partition struct {
	pinflow.TopicPartition
	topic  *Topic
	ctx    context.Context // ends when the writer gives the partition up
	cancel context.CancelFunc

	start int64          // where the next buffer starts: the end of the object before it
	next  int64          // the next offset wanted
	floor pinflow.Period // of the record before next

	open    *buffer // being filled
	putting *buffer // on its way; what is behind it waits until it is known to be there

	lakeEnd   int64         // the end of the last object seen in the lake
	committed int64         // what the group was told
	logEnd    int64         // the journal's
	reseek    bool          // the subscription must be moved to next
	retryAt   time.Time     // but not before
	delay     time.Duration // of the last retry after a fault of the journal; 0 once there are records again
	attention bool          // a put has ended that Run has not looked at
	leaving   bool          // no more records are taken
	err       error         // why it has stopped
}

// takes tells whether p still takes records.
func (w *Writer) takes(p *partition) bool {
	return w.parts[p.TopicPartition] == p && !p.leaving && !p.reseek && p.err == nil
}

// takeRuns takes what a poll returned. It returns false if that was nothing but errors.
func (w *Writer) takeRuns(ctx context.Context, sub pinflow.Subscription, runs []pinflow.Run) bool {
	w.mu.Lock()
	// Should a rebalance come while this waits, then a partition that has left takes no more, even if it has come back.
	parts := make([]*partition, len(runs))
	for i := range runs {
		parts[i] = w.parts[runs[i].TopicPartition]
	}
	progress := false
	var faults []int
	for i, p := range parts {
		if runs[i].Err != nil {
			faults = append(faults, i)
		}
		if len(runs[i].Records) > 0 {
			progress = true
		}
		if p != nil {
			p.logEnd = max(p.logEnd, runs[i].End)
			if len(runs[i].Records) > 0 {
				p.delay = 0
			}
			w.take(ctx, sub, p, runs[i].Records)
		}
	}
	w.mu.Unlock()
	for _, i := range faults {
		w.journalFault(ctx, parts[i], runs[i].Err)
	}
	return progress
}

// take adds records to p until there are no more, p takes no more, or ctx ends.
func (w *Writer) take(ctx context.Context, sub pinflow.Subscription, p *partition, records []pinflow.Record) {
	for i := range records {
		r := &records[i]
		for w.takes(p) && r.Offset >= p.next && !w.place(p, r) {
			if ctx.Err() != nil {
				return // Close flushes what is held; the rest stays in the journal
			}
			sub.Release()
			w.await(ctx)
		}
	}
}

// place adds r to p's buffer. It returns false if something on its way must arrive first.
func (w *Writer) place(p *partition, r *pinflow.Record) bool {
	period := p.topic.PeriodLength().Of(r.Timestamp, p.floor)
	if p.open != nil && (period != p.open.Period || w.full(p.open)) {
		if p.putting != nil {
			return false
		}
		w.flush(p)
	}
	if w.held > w.Memory && !w.relieve() {
		return false
	}
	if p.open == nil {
		if err := nameable(r, p.topic.PeriodLength(), period); err != nil {
			w.stop(p, err)
			return true
		}
		p.open = newBuffer(Object{TopicPartition: p.TopicPartition, Period: period, Start: p.start}, time.Now())
	}
	w.held -= p.open.held()
	p.open.add(r, w.packer)
	w.held += p.open.held()
	p.start, p.next, p.floor = p.open.end, p.open.end, period
	if p.putting == nil && w.full(p.open) {
		w.flush(p)
	}
	return true
}

// full tells whether a buffer takes no more records.
func (w *Writer) full(b *buffer) bool {
	return b.bytes() >= w.FlushBytes || w.FlushCount > 0 && b.count >= w.FlushCount
}

// relieve flushes the largest buffers until those that remain need no more than half of the memory. It returns false if
// all that is held is on its way: then there is room only when some has arrived.
func (w *Writer) relieve() bool {
	filling := w.held
	for _, p := range w.parts {
		if p.putting != nil {
			filling -= p.putting.held()
		}
	}
	if onWay := w.held - filling; onWay > w.Memory/2 {
		return false
	}
	for filling > w.Memory/2 {
		var largest *partition
		for _, p := range w.parts {
			if p.open != nil && p.putting == nil && (largest == nil || p.open.held() > largest.open.held()) {
				largest = p
			}
		}
		if largest == nil {
			break
		}
		filling -= largest.open.held()
		w.flush(largest)
	}
	return w.held <= w.Memory
}

// nameable returns an Invalid error if a period's folder could not be read back, as of a record of the year 20000.
func nameable(r *pinflow.Record, l pinflow.PeriodLength, p pinflow.Period) error {
	if back, err := l.Parse(l.Name(p)); err != nil || back != p {
		return &pinflow.Error{Op: "keep a record in the lake", On: r.Position().String(), Kind: pinflow.Invalid, Err: fmt.Errorf("its append time lies in the period that starts at %d ms, which has no name", p),
			Hint: "The broker's clock was wrong, or the topic's message.timestamp.type is not LogAppendTime."}
	}
	return nil
}

// stop ends p's share in the writer's work; it keeps no record from there on.
func (w *Writer) stop(p *partition, err error) {
	if w.parts[p.TopicPartition] != p || p.err != nil {
		return
	}
	p.err = &pinflow.Error{Op: "keep the partition in the lake", On: p.String(), Kind: pinflow.KindOf(err), Err: err}
	p.cancel()
	w.drop(p)
	w.metrics.failed(err)
	w.Log.Error("lake: partition stopped", "partition", p.String(), "error", p.err)
}

// drop forgets the buffer that p is filling.
func (w *Writer) drop(p *partition) {
	if p.open != nil {
		w.held -= p.open.held()
		p.open = nil
	}
}

// journalFault looks why the journal has no records of p from where it was asked: first into the lake, which another
// writer may have brought further since. Unless p stops, it is asked again.
func (w *Writer) journalFault(ctx context.Context, p *partition, fault error) {
	if p == nil || w.handOver(p) {
		return
	}
	tail, bounds, at, err := w.locate(ctx, p.topic, p.Partition)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.takes(p) {
		return
	}
	if err != nil && lasting(err) {
		w.stop(p, err)
		return
	}
	p.reseek = true
	if err == nil && at != p.next {
		p.startAt(tail)
		p.next, p.logEnd = at, bounds.End
		return
	}
	p.delay = min(max(2*p.delay, firstDelay), longDelay)
	p.retryAt = time.Now().Add(p.delay)
	w.metrics.failed(fault)
	w.Log.Warn("lake: the journal gave an error; trying again", "partition", p.String(), "error", errors.Join(fault, err), "in", p.delay)
}

// handOver flushes what is in hand of p: it must be in the lake before p can be found to have stopped. It returns false if there
// is nothing; else the journal is asked again, and gives the error again if it lasts.
func (w *Writer) handOver(p *partition) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.takes(p) {
		return true
	}
	if p.open != nil && p.putting == nil {
		w.flush(p)
	}
	p.reseek = p.inHand()
	return p.inHand()
}

// inHand tells whether records of p are held that the lake may not have.
func (p *partition) inHand() bool { return p.open != nil || p.putting != nil }
