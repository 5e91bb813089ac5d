package refine

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/pinflow/pinflow"
)

// History is where the records are that the journal has deleted: the lake.
type History interface {
	// ReadFrom is that of pinflow.RawReader.
	ReadFrom(ctx context.Context, tp pinflow.TopicPartition, offset int64) iter.Seq2[pinflow.Line, error]
}

// past is the reading of a partition's records from the history, ahead of who counts them.
type past struct {
	from     int64 // where it begins
	chunks   chan chunk
	cancel   context.CancelFunc
	failures int // in a row, before this one
}

// chunk is a part of what is read.
type chunk struct {
	records []pinflow.Record
	next    int64 // the offset behind it; erased records have offsets too
	last    bool
	err     error // why it is the last one, nil if the history ends there
}

const (
	pastReaders = 2 // partitions that are read from the history at a time; others wait for their turn
	pastAhead   = 2 // chunks that wait to be taken
)

// startPast begins to read what the journal does not have any more, after a delay. The caller has the lock.
func (s *Stream) startPast(ctx context.Context, p *partition, failures int) {
	ctx, cancel := context.WithCancel(ctx)
	p.past = &past{from: p.behind(), chunks: make(chan chunk, pastAhead), cancel: cancel, failures: failures}
	past, tp := p.past, p.TopicPartition
	s.readers.Go(func() {
		defer cancel()
		if failures > 0 {
			pause(ctx, min(firstDelay<<min(failures-1, 20), longDelay))
		}
		select {
		case s.reading <- struct{}{}:
			defer func() { <-s.reading }()
			s.readPast(ctx, past, tp)
		case <-ctx.Done():
		}
	})
}

// readPast reads from the history to its end, or to what cannot be read.
func (s *Stream) readPast(ctx context.Context, p *past, tp pinflow.TopicPartition) {
	c, size := chunk{next: p.from}, int64(0)
	for line, err := range s.History.ReadFrom(ctx, tp, p.from) {
		if err != nil {
			c.err = err
			break
		}
		if c.next = line.Offset + 1; !line.Erased {
			c.records = append(c.records, line.Record)
			size += sizeOf(&line.Record)
		}
		if len(c.records) >= max(s.MaxRecords/8, 1) || size >= s.Memory/32 {
			if !s.deliver(ctx, p, c) {
				return
			}
			c, size = chunk{next: c.next}, 0
		}
	}
	c.last = true
	s.deliver(ctx, p, c)
}

// deliver gives a chunk to the worker, who may be waiting for the journal.
func (s *Stream) deliver(ctx context.Context, p *past, c chunk) bool {
	select {
	case p.chunks <- c:
	case <-ctx.Done():
		return false
	}
	s.mu.Lock()
	s.wake()
	s.mu.Unlock()
	return true
}

// takePast holds what has been read from the history, unless there is enough to do, and has the journal go on where the history ends.
func (s *Stream) takePast(ctx context.Context, sub pinflow.Subscription) {
	for _, p := range s.reads() {
		if enough, _ := s.pending(); enough {
			return
		}
		s.mu.Lock()
		var c chunk
		taken := false
		if p.past != nil {
			select {
			case c = <-p.past.chunks:
				taken = true
				p.hold(pinflow.Run{TopicPartition: p.TopicPartition, Records: c.records})
				p.from = max(p.from, c.next)
				s.metrics.past.Add(float64(len(c.records)))
			default:
			}
		}
		s.mu.Unlock()
		if taken && c.last {
			s.endPast(ctx, sub, p, c)
		}
	}
}

// endPast goes on behind the last chunk: in the journal, or after an error with another attempt. Where neither history nor journal has
// anything, the partition stops.
func (s *Stream) endPast(ctx context.Context, sub pinflow.Subscription, p *partition, c chunk) {
	s.mu.Lock()
	was := p.past
	if was == nil {
		s.mu.Unlock()
		return
	}
	was.cancel()
	p.past = nil
	again := c.err != nil && passing(c.err)
	switch {
	case again && c.next > was.from:
		s.startPast(ctx, p, 1)
	case again:
		s.startPast(ctx, p, was.failures+1)
	case c.err != nil:
		s.stop(p, c.err)
	case c.next == was.from:
		s.stop(p, errors.New("the lake does not have the next record either"))
	}
	s.mu.Unlock()
	switch {
	case again:
		s.failed("read "+p.String()+" from the lake", c.err)
	case c.err == nil && c.next > was.from:
		s.seek(sub, p, c.next)
	}
}

// seek has the journal go on with a partition. Should another assignment of it have come meanwhile, that one reads its position again.
func (s *Stream) seek(sub pinflow.Subscription, p *partition, offset int64) {
	sub.Seek(p.TopicPartition, offset)
	s.Log.Info("live: the lake's records are read, the partition goes on in the journal", "partition", p.String(), "at", offset)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.parts[p.TopicPartition]; now != nil && now != p {
		now.lose(0)
	}
}

// reads returns the partitions that are being read from the history, in order.
func (s *Stream) reads() (all []*partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.sorted() {
		if p.past != nil {
			all = append(all, p)
		}
	}
	return all
}

// outOfRange looks for the history of a partition of which the journal does not have the next record. It stops if there is none.
func (s *Stream) outOfRange(ctx context.Context, p *partition, run pinflow.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch at := p.behind(); {
	case p.lost || p.past != nil: // it is sought anew anyway
	case s.History == nil || run.End > 0 && at > run.End:
		s.stop(p, run.Err)
	default:
		s.startPast(ctx, p, 0)
		s.Log.Info("live: the journal has deleted what comes next, it is read from the lake", "partition", p.String(), "from", at)
	}
}

// stop ends the counting of a partition until it is assigned again. The caller has the lock.
func (s *Stream) stop(p *partition, why error) {
	p.err = &pinflow.Error{Op: "count", On: p.String(), Kind: pinflow.OutOfRange, Err: why,
		Hint: "Records that are not counted yet are neither in the journal nor in the lake, or the journal has lost the end of its log. Restore the one or the other, or give the store that has counted them."}
	s.metrics.failed(p.err)
	s.Log.Error("live: the partition has stopped", "partition", p.String(), "error", p.err, "hint", pinflow.HintOf(p.err))
}

// arrived tells whether something has been read from the history. The caller has the lock.
func (s *Stream) arrived() bool {
	for _, p := range s.parts {
		if p.past != nil && len(p.past.chunks) > 0 {
			return true
		}
	}
	return false
}

// soon is how long the journal is waited for when there is something from the history. As a chunk is a small part of a batch, the
// journal is asked several times for each.
const soon = time.Millisecond
