package refine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pinflow/pinflow"
)

// rewind reads the positions of lost partitions again, once their time has come, and has the
// journal go on there.
func (s *Stream) rewind(ctx context.Context, sub pinflow.Subscription) error {
	lost := s.lost(time.Now())
	if len(lost) == 0 {
		return nil
	}
	tps := make([]pinflow.TopicPartition, len(lost))
	for i, p := range lost {
		tps[i] = p.TopicPartition
	}
	at, err := s.claim(ctx, tps)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && passing(err):
		s.failed("read positions", err)
		s.lose(lost, min(firstDelay<<min(s.unread, 20), longDelay))
		s.unread++
		return nil
	case err != nil:
		return err
	}
	s.unread = 0
	for _, p := range s.found(lost, at) {
		sub.Seek(p.TopicPartition, at[p.TopicPartition].NextOffset)
		s.Log.Info("live: partition goes on", "partition", p.String(), "at", at[p.TopicPartition].NextOffset)
	}
	return nil
}

// found lets partitions that are still assigned go on, and returns them.
func (s *Stream) found(lost []*partition, at map[pinflow.TopicPartition]pinflow.Progress) []*partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(lost, func(p *partition) bool {
		if s.parts[p.TopicPartition] != p {
			return true
		}
		p.startAt(at[p.TopicPartition])
		p.lost, p.err = false, nil
		return false
	})
}

// lost returns the lost partitions whose position is to be read again now.
func (s *Stream) lost(now time.Time) []*partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lost []*partition
	for _, p := range s.sorted() {
		if p.lost && !now.Before(p.notBefore) {
			lost = append(lost, p)
		}
	}
	return lost
}

// lose loses partitions that are still assigned.
func (s *Stream) lose(parts []*partition, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parts {
		if s.parts[p.TopicPartition] == p {
			p.lose(delay)
		}
	}
}

// gather polls until there is a batch: a full one, or what has come within Gather of its first record. It returns nil
// when a lost partition is to be looked after first. The error is that of the journal, or that ctx has ended.
func (s *Stream) gather(ctx context.Context, sub pinflow.Subscription) (*hand, error) {
	began := time.Now()
	var until time.Time
	for {
		s.takePast(ctx, sub)
		enough, some := s.pending()
		now := time.Now()
		if some && until.IsZero() {
			until = now.Add(s.Gather)
		}
		if enough || !until.IsZero() && !now.Before(until) {
			return s.form(began), nil
		}
		runs, err := s.poll(ctx, sub, until)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled): // it is time for what waits, or what is lost
			if len(s.lost(time.Now())) > 0 {
				return s.form(began), nil
			}
		case err != nil:
			return nil, err
		}
		s.holdAll(ctx, runs)
	}
}

// poll polls until a time (the zero time for ever), until a lost partition is to be looked after, or something comes from the history.
func (s *Stream) poll(ctx context.Context, sub pinflow.Subscription, until time.Time) ([]pinflow.Run, error) {
	s.mu.Lock()
	for _, p := range s.parts {
		if p.lost {
			until = earlier(until, p.notBefore)
		}
	}
	ctx, s.wake = context.WithCancel(ctx)
	if s.arrived() {
		until = earlier(until, time.Now().Add(soon))
	}
	s.mu.Unlock()
	defer s.wake()
	if !until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	return sub.Poll(ctx, s.MaxRecords)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// holdAll holds what was fetched of partitions that are still assigned.
func (s *Stream) holdAll(ctx context.Context, runs []pinflow.Run) {
	for _, run := range runs {
		s.mu.Lock()
		p := s.parts[run.TopicPartition]
		if p != nil {
			p.hold(run)
		}
		s.mu.Unlock()
		switch {
		case p == nil || run.Err == nil:
		case pinflow.KindOf(run.Err) == pinflow.OutOfRange:
			s.outOfRange(ctx, p, run)
		default:
			s.metrics.failed(run.Err)
			s.Log.Error("live: the partition has stopped", "partition", run.String(), "error", run.Err, "hint", pinflow.HintOf(run.Err))
		}
	}
}

// pending tells whether what is held makes a full batch, and whether anything is held.
func (s *Stream) pending() (enough, some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, bytes := 0, int64(0)
	for _, p := range s.parts {
		if p.alone() && len(p.pending) > 0 {
			return true, true
		}
		n, bytes = n+len(p.pending), bytes+p.size
	}
	return n > 0 && (n >= s.MaxRecords || bytes >= s.Memory/2), n > 0
}

// form makes a batch of what is pending, nil if there is nothing. Partitions take turns at being first.
func (s *Stream) form(began time.Time) *hand {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := newHand(began)
	all := s.sorted()
	s.turn++
	records, bytes := s.MaxRecords, max(s.Memory/2, 1)
	for i := range all {
		p := all[(i+s.turn)%len(all)]
		if len(p.pending) == 0 || records <= 0 || bytes <= 0 || p.alone() && len(h.parts) > 0 {
			continue
		}
		slice, size := p.take(min(records, p.limit(s.MaxRecords)), bytes, s.Period)
		h.add(p, slice)
		records, bytes = records-len(slice.Records), bytes-size
		if p.alone() {
			break
		}
	}
	if len(h.parts) == 0 {
		return nil
	}
	s.hands[h] = true
	return h
}
