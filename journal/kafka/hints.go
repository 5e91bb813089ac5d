package kafka

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/pinflow/pinflow"
)

// hints gathers the positions that a group's offsets shall show, and sends the newest now and then.
type hints struct {
	mu      sync.Mutex
	pending map[pinflow.TopicPartition]int64
	timer   *time.Timer
	sending <-chan struct{} // closed when the group has answered the last note; nil if there was none
	closed  bool
}

// add notes offsets, to be sent within hintEvery.
func (h *hints) add(cl *kgo.Client, offsets map[pinflow.TopicPartition]int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(offsets) == 0 {
		return
	}
	if h.pending == nil {
		h.pending = make(map[pinflow.TopicPartition]int64)
	}
	maps.Copy(h.pending, offsets)
	if h.timer == nil {
		h.timer = time.AfterFunc(hintEvery, func() { h.send(cl) })
	}
}

// take returns what is to be sent.
func (h *hints) take() map[string]map[int32]kgo.EpochOffset {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
	offsets := make(map[string]map[int32]kgo.EpochOffset)
	for tp, o := range h.pending {
		if offsets[tp.Topic] == nil {
			offsets[tp.Topic] = make(map[int32]kgo.EpochOffset)
		}
		offsets[tp.Topic][tp.Partition] = kgo.EpochOffset{Epoch: -1, Offset: o}
	}
	clear(h.pending)
	return offsets
}

// send does not wait for the answer: a hint that gets lost is followed by a better one.
func (h *hints) send(cl *kgo.Client) {
	offsets := h.take()
	if len(offsets) == 0 {
		return
	}
	done := make(chan struct{})
	h.mu.Lock()
	h.sending = done
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*hintEvery)
	cl.CommitOffsets(ctx, offsets, func(*kgo.Client, *kmsg.OffsetCommitRequest, *kmsg.OffsetCommitResponse, error) {
		cancel()
		close(done)
	})
}

// flush sends what is pending before partitions go to another member, and waits until nothing is on its way that could
// arrive after what that one says.
func (h *hints) flush(ctx context.Context, cl *kgo.Client) {
	h.send(cl)
	h.mu.Lock()
	sending := h.sending
	h.mu.Unlock()
	if sending == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*hintEvery)
	defer cancel()
	select {
	case <-sending:
	case <-ctx.Done():
	}
}

// drop forgets what is pending of partitions.
func (h *hints) drop(list []pinflow.TopicPartition) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, tp := range list {
		delete(h.pending, tp)
	}
}

// close lets nothing be added any more; what is pending is sent with the partitions' revocation.
func (h *hints) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
}
