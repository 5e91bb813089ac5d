package lake

import (
	"context"
	"errors"
	"time"

	"github.com/pinflow/pinflow"
)

// session is one membership of the group.
func (w *Writer) session(ctx context.Context, topics []string) (err error) {
	sub, err := w.Journal.Subscribe(w.life, w.Group, topics, assignee{w})
	if err != nil {
		return err
	}
	defer func() {
		stopped := w.stoppedBy()
		closed := sub.Close()
		w.loseAll()
		if err == nil {
			err = errors.Join(stopped, closed)
		}
	}()
	for ctx.Err() == nil {
		w.seek(ctx, sub)
		due := w.flushDue()
		poll, cancel := context.WithDeadline(ctx, due)
		w.setWake(cancel)
		runs, err := sub.Poll(poll, pollRecords)
		waited := poll.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
		cancel()
		progress := w.takeRuns(ctx, sub, runs)
		if err != nil && !waited {
			return err
		}
		if len(runs) > 0 && !progress {
			pause(ctx, firstDelay) // nothing but errors
		}
	}
	return nil
}

// setWake lets a put that has ended cut the next wait for records short. If one ended just before, it does so now.
func (w *Writer) setWake(cancel context.CancelFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wake = cancel
	for _, p := range w.parts {
		if p.attention {
			cancel()
		}
	}
}

// seek moves the subscription of partitions whose next object somebody else has put, and tells the group how far the lake is.
func (w *Writer) seek(ctx context.Context, sub pinflow.Subscription) {
	w.mu.Lock()
	offsets := map[pinflow.TopicPartition]int64{}
	for tp, p := range w.parts {
		if p.reseek && !time.Now().Before(p.retryAt) {
			sub.Seek(tp, p.next)
			p.reseek = false
		}
		if p.lakeEnd > p.committed {
			offsets[tp], p.committed = p.lakeEnd, p.lakeEnd
		}
		p.attention = false
	}
	w.mu.Unlock()
	if len(offsets) > 0 {
		sub.Committed(ctx, offsets)
	}
}

// flushDue starts the puts of the buffers that are full or old, and returns when the next will be due, or a partition is to be asked for again.
func (w *Writer) flushDue() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	due := now.Add(w.FlushAge)
	for _, p := range w.parts {
		if p.reseek && p.retryAt.Before(due) {
			due = p.retryAt
		}
		if p.open == nil || p.putting != nil {
			continue
		}
		if at := p.open.since.Add(w.FlushAge); w.full(p.open) || !now.Before(at) {
			w.flush(p)
		} else if at.Before(due) {
			due = at
		}
	}
	return due
}

// await waits until a put has ended or a partition has left, or ctx ends. It lets go of mu meanwhile.
func (w *Writer) await(ctx context.Context) {
	changed := w.changed
	w.mu.Unlock()
	defer w.mu.Lock()
	select {
	case <-changed:
	case <-ctx.Done():
	}
}

// tell ends every await, and the wait for records.
func (w *Writer) tell() {
	close(w.changed)
	w.changed = make(chan struct{})
	w.wake()
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// retry calls f until it succeeds, fails for good, or ctx ends.
func retry[T any](ctx context.Context, w *Writer, on string, f func() (T, error)) (T, error) {
	for delay := firstDelay; ; delay = min(2*delay, longDelay) {
		v, err := f()
		if err == nil || ctx.Err() != nil || lasting(err) {
			return v, err
		}
		w.Log.Warn("lake: trying again", "on", on, "error", err, "in", delay)
		w.metrics.failed(err)
		pause(ctx, delay)
	}
}

// lasting tells whether trying again cannot help.
func lasting(err error) bool {
	switch pinflow.KindOf(err) {
	case pinflow.Invalid, pinflow.TooLarge, pinflow.OutOfRange:
		return true
	}
	return false
}
