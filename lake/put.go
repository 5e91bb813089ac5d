package lake

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// flush starts the put of the buffer that p is filling. None of p may be on its way.
func (w *Writer) flush(p *partition) {
	b := p.open
	p.open, p.putting = nil, b
	w.held -= b.held()
	content := b.finish(w.packer)
	w.held += b.held()
	w.puts.Go(func() {
		tail, created, err := w.put(p, b, content)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.held -= b.held()
		w.settle(p, tail, created, err)
		w.tell()
	})
}

// settle goes on behind the object that is in the lake now, whoever put it.
func (w *Writer) settle(p *partition, tail Tail, created bool, err error) {
	b := p.putting
	p.putting, p.attention = nil, true
	switch {
	case w.parts[p.TopicPartition] != p || p.err != nil:
	case err != nil:
		w.stop(p, err)
	case created:
		p.lakeEnd = tail.End
		w.metrics.wrote(b)
	default:
		// The object of that start is there, by another writer or by an attempt of which nothing was heard. What is
		// in hand may begin elsewhere than that object ends.
		w.drop(p)
		p.startAt(protocol.AfterExists(tail))
		p.reseek = true
		w.metrics.lost(b)
	}
}

// put stores an object, trying again for as long as the partition is the writer's. created is false if an object
// of that name was there; then tail is that one's.
func (w *Writer) put(p *partition, b *buffer, content []byte) (tail Tail, created bool, err error) {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-p.ctx.Done():
		return Tail{}, false, p.ctx.Err()
	}
	name := b.Name(p.topic.PeriodLength())
	for delay := firstDelay; ; delay = min(2*delay, longDelay) {
		if tail, created, err = w.putOnce(p.ctx, p, b, name, content); err == nil || lasting(err) || p.ctx.Err() != nil {
			return tail, created, err
		}
		wait := delay/2 + rand.N(delay)
		w.metrics.failed(err)
		w.Log.Warn("lake: object not written; trying again", "object", name, "error", err, "in", wait)
		pause(p.ctx, wait)
	}
}

func (w *Writer) putOnce(ctx context.Context, p *partition, b *buffer, name string, content []byte) (Tail, bool, error) {
	created, err := w.Objects.PutIfAbsent(ctx, name, content)
	if err != nil {
		return Tail{}, false, err
	}
	if created {
		return Tail{End: b.end, Floor: b.Period}, true, nil
	}
	tail, err := p.topic.tailOf(ctx, b.Object)
	if pinflow.KindOf(err) == pinflow.NotFound {
		err = &pinflow.Error{Op: "read object", On: name, Kind: pinflow.Unavailable, Err: fmt.Errorf("it exists, but is not found: %w", err)}
	}
	return tail, false, err
}
