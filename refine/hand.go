package refine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
)

// hand is a batch in hand.
type hand struct {
	batch   pinflow.Batch
	parts   []*partition
	records int
	oldest  int64         // append time of the oldest record
	dropped chan struct{} // closed when a partition in it has left
	drop    func()
	done    chan struct{}  // closed when nothing of it can be committed any more
	began   time.Time      // when its gathering did
	held    map[string]int // records by topic
}

func newHand(began time.Time) *hand {
	h := &hand{dropped: make(chan struct{}), done: make(chan struct{}), began: began, held: map[string]int{}}
	h.drop = sync.OnceFunc(func() { close(h.dropped) })
	return h
}

func (h *hand) add(p *partition, s pinflow.Slice) {
	h.parts = append(h.parts, p)
	h.batch.Slices = append(h.batch.Slices, s)
	h.records += len(s.Records)
	h.held[s.Topic] += len(s.Records)
	if t := s.Records[0].Timestamp; h.oldest == 0 || t < h.oldest {
		h.oldest = t
	}
}

func (h *hand) has(p *partition) bool { return slices.Contains(h.parts, p) }

// ends are the offsets behind the batch.
func (h *hand) ends() map[pinflow.TopicPartition]int64 {
	offsets := make(map[pinflow.TopicPartition]int64, len(h.batch.Slices))
	for _, s := range h.batch.Slices {
		offsets[s.TopicPartition] = s.End
	}
	return offsets
}

func (h *hand) isDropped() bool {
	select {
	case <-h.dropped:
		return true
	default:
		return false
	}
}

// refine has the engine compute a batch's delta. If that fails, the batch's partitions are taken one by one, later
// and with fewer records.
func (s *Stream) refine(ctx context.Context, h *hand) (pinflow.Delta, bool) {
	began := time.Now()
	s.metrics.took("gather", began.Sub(h.began))
	delta, err := s.Engine.Refine(ctx, h.batch)
	if err == nil {
		s.metrics.took("refine", time.Since(began))
		return delta, true
	}
	if ctx.Err() == nil {
		s.failed("refine a batch", err)
	}
	s.discard(h, true)
	return pinflow.Delta{}, false
}

// begin tells whether a refined batch may be committed; if not, because a partition of it has left or was lost, it
// is dropped and its partitions are read again.
func (s *Stream) begin(h *hand, delta *pinflow.Delta) bool {
	s.mu.Lock()
	good := !h.isDropped()
	for _, p := range h.parts {
		good = good && s.parts[p.TopicPartition] == p && !p.lost
	}
	s.mu.Unlock()
	if !good {
		delta.Close()
		s.discard(h, false)
	}
	return good
}

// discard gives a batch up: those of its partitions that are still assigned are read again, after a failure later
// and with fewer records.
func (s *Stream) discard(h *hand, failure bool) {
	s.mu.Lock()
	for _, p := range h.parts {
		if s.parts[p.TopicPartition] != p {
			continue
		}
		delay := time.Duration(0)
		if failure {
			delay = min(firstDelay<<min(p.failures, 20), longDelay)
			p.failures++
		}
		p.lose(delay)
	}
	s.end(h)
	s.wake()
	s.mu.Unlock()
}

// end marks a batch as done with. The caller has the lock.
func (s *Stream) end(h *hand) {
	delete(s.hands, h)
	close(h.done)
}

// commit commits a delta, again and again while the store is not available and no partition has left.
func (s *Stream) commit(ctx context.Context, sub pinflow.Subscription, h *hand, delta pinflow.Delta) {
	defer delta.Close()
	began := time.Now()
	err := s.commitUntil(ctx, h, delta)
	switch {
	case err == nil:
		s.metrics.took("commit", time.Since(began))
		s.metrics.counted(ctx, h, delta)
		sub.Committed(ctx, h.ends())
		s.counted(h)
	case pinflow.KindOf(err) == pinflow.Fenced:
		s.metrics.fenced()
		s.Log.Info("live: another worker has moved on; reading positions again", "why", err)
		s.discard(h, false)
	case errors.Is(err, errDropped):
		s.discard(h, false)
	default:
		s.failed("commit a batch", err)
		s.discard(h, true)
	}
}

// errDropped is why a batch is not committed when its partitions have left or the worker ends.
var errDropped = errors.New("the batch was dropped")

func (s *Stream) commitUntil(ctx context.Context, h *hand, delta pinflow.Delta) error {
	for delay := firstDelay; ; delay = min(2*delay, longDelay) {
		if ctx.Err() != nil || h.isDropped() {
			return errDropped
		}
		err := s.commitOnce(ctx, delta)
		if err == nil || pinflow.KindOf(err) != pinflow.Unavailable {
			return err
		}
		if errors.Is(err, pinflow.ErrHeld) { // all is well, and it does not take long
			if delay == firstDelay {
				s.Log.Info("live: waits for the generation that is about to take over", "why", err)
			}
			delay = min(delay, heldDelay)
		} else {
			s.failed("commit a batch", err)
		}
		t := time.NewTimer(delay)
		select {
		case <-t.C:
		case <-h.dropped:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// heldDelay is how long a commit waits at most that another generation keeps back.
const heldDelay = 400 * time.Millisecond

// commitOnce does not end with ctx at once: what has begun may as well be done.
func (s *Stream) commitOnce(ctx context.Context, delta pinflow.Delta) error {
	commit, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		pause(commit, finishTime)
		cancel()
	})()
	return s.Store.Commit(commit, delta)
}

// counted notes that a batch is in the store.
func (s *Stream) counted(h *hand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range h.parts {
		p.counted, p.failures = h.batch.Slices[i].End, max(p.failures-1, 0)
	}
	s.end(h)
}
