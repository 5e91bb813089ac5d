package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
)

// hintEvery is how often a group is told at most how far its readers are. The embedded broker
// syncs each such note to disk, in line with the appends.
const hintEvery = time.Second

// Subscribe implements pinflow.Subscriber. Each subscription has connections and buffers of its own;
// any number of them, of one group or of several, may live in one process.
func (j *Journal) Subscribe(_ context.Context, group string, topics []string, a pinflow.Assignee) (pinflow.Subscription, error) {
	if group == "" || len(topics) == 0 {
		return nil, invalid("subscribe", group, fmt.Errorf("a group and at least one topic are needed"), "")
	}
	s := newSubscription(j, group, a)
	cl, err := kgo.NewClient(append(j.clientOptions(),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topics...),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(j.o.SessionTimeout),
		kgo.HeartbeatInterval(min(j.o.SessionTimeout/10, time.Second)),
		kgo.BlockRebalanceOnPoll(),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(s.assigned),
		kgo.OnPartitionsRevoked(s.revoked),
		kgo.OnPartitionsLost(s.lost),
		kgo.AdjustFetchOffsetsFn(s.starts),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// Small fetches are the fastest, and what is fetched ahead is small too.
		kgo.FetchMaxBytes(int32(max(j.o.FetchBytes/4, 1<<20))),
		kgo.FetchMaxPartitionBytes(1<<20),
		kgo.MaxConcurrentFetches(1),
	)...)
	if err != nil {
		return nil, invalid("subscribe", group, err, "")
	}
	s.cl = cl
	return s, nil
}

func newSubscription(j *Journal, group string, a pinflow.Assignee) *subscription {
	s := &subscription{journal: j, group: group, assignee: a, mostBytes: j.o.FetchBytes, owned: make(map[pinflow.TopicPartition]int64),
		moved:   make(map[pinflow.TopicPartition]bool),
		stopped: make(map[pinflow.TopicPartition]bool)}
	s.ended, s.end = context.WithCancelCause(context.Background())
	return s
}

// subscription is one member of a consumer group.
type subscription struct {
	journal   *Journal
	group     string
	cl        *kgo.Client // not known yet when the client's first callbacks come, which get it told
	assignee  pinflow.Assignee
	mostBytes int // of the records that one Poll returns

	mu      sync.Mutex
	member  string                           // as which it has what it owns
	owned   map[pinflow.TopicPartition]int64 // where reading starts
	moved   map[pinflow.TopicPartition]bool  // is to be read from there, and nothing that was fetched before counts
	stopped map[pinflow.TopicPartition]bool  // had an error and was not sought since

	ended context.Context // done, with the cause, when an assignment has failed
	end   context.CancelCauseFunc

	hints hints
}

// refused ends the subscription if the cluster does not let it take part: as long as nobody changes that, all it gets is this error.
func (s *subscription) refused(topic string, err error) {
	if err == nil {
		return
	}
	on := topic
	if on == "" {
		on = groupPrefix + s.group
	}
	if e := s.journal.failure("subscribe to", on, err); pinflow.KindOf(e) == pinflow.Invalid {
		s.end(e)
	}
}

// err is why the subscription has ended, nil if it has not.
func (s *subscription) err() error { return context.Cause(s.ended) }

// gatherFor is how long Poll waits at most for more of what it knows to be there.
const gatherFor = 20 * time.Millisecond

// Poll implements pinflow.Subscription. While the log is ahead it gathers several fetches, up to maxRecords or FetchBytes,
// so that a reader that lags gets large batches and one that does not is not kept waiting.
func (s *subscription) Poll(ctx context.Context, maxRecords int) ([]pinflow.Run, error) {
	s.cl.AllowRebalance()
	maxRecords = max(maxRecords, 1)
	polling, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ended, cancel)()
	var g gathered
	for g.records == 0 && !g.failed {
		s.move()
		fetches := s.cl.PollRecords(polling, maxRecords)
		if err := s.err(); err != nil {
			return nil, failureOr(err, s.group)
		}
		if fetches.IsClientClosed() {
			return nil, &pinflow.Error{Op: "poll", On: "group " + s.group, Kind: pinflow.Unavailable, Err: kgo.ErrClientClosed}
		}
		s.gather(&g, fetches)
		if err := s.err(); err != nil {
			return nil, failureOr(err, s.group)
		}
		if err := ctx.Err(); err != nil && len(g.runs) == 0 {
			return nil, err
		}
		if len(g.runs) == 0 {
			s.cl.AllowRebalance()
		}
	}
	more, cancel := context.WithTimeout(polling, gatherFor)
	defer cancel()
	for g.ahead() && !g.failed && g.records < maxRecords && g.bytes < s.mostBytes && more.Err() == nil {
		s.gather(&g, s.cl.PollRecords(more, maxRecords-g.records))
	}
	return g.runs, nil
}

// failureOr leaves an assignee's own Error as it is.
func failureOr(err error, group string) error {
	var e *pinflow.Error
	if errors.As(err, &e) {
		return err
	}
	return &pinflow.Error{Op: "take partitions of", On: "group " + group, Kind: pinflow.Internal, Err: err}
}

// lasting tells whether a partition's error is one that the client does not get over by itself.
func lasting(err error) bool {
	if err == nil {
		return false
	}
	kind, _ := kindOf(batchError(err))
	return kind != pinflow.Unavailable
}

func (s *subscription) stop(tp pinflow.TopicPartition) {
	s.mu.Lock()
	s.stopped[tp] = true
	s.mu.Unlock()
	s.cl.PauseFetchPartitions(map[string][]int32{tp.Topic: {tp.Partition}})
}

// Release implements pinflow.Subscription.
func (s *subscription) Release() { s.cl.AllowRebalance() }

// Seek implements pinflow.Subscription.
func (s *subscription) Seek(tp pinflow.TopicPartition, offset int64) {
	s.cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{tp.Topic: {tp.Partition: {Epoch: -1, Offset: offset}}})
	s.mu.Lock()
	was := s.stopped[tp]
	delete(s.stopped, tp)
	s.mu.Unlock()
	if was {
		s.cl.ResumeFetchPartitions(map[string][]int32{tp.Topic: {tp.Partition}})
	}
}

// Committed implements pinflow.Subscription. Hints are gathered and sent about once a second; those of partitions
// that have gone to others are dropped.
func (s *subscription) Committed(_ context.Context, offsets map[pinflow.TopicPartition]int64) {
	s.mu.Lock()
	mine := make(map[pinflow.TopicPartition]int64, len(offsets))
	for tp, offset := range offsets {
		if _, ok := s.owned[tp]; ok {
			mine[tp] = offset
		}
	}
	s.mu.Unlock()
	s.hints.add(s.cl, mine)
}

// Close implements pinflow.Subscription.
func (s *subscription) Close() error {
	s.cl.AllowRebalance()
	s.hints.close()
	s.cl.CloseAllowingRebalance()
	s.end(kgo.ErrClientClosed)
	return nil
}

func recordsOf(from []*kgo.Record) []pinflow.Record {
	records := make([]pinflow.Record, len(from))
	for i, r := range from {
		fill(&records[i], r)
	}
	return records
}

func fill(to *pinflow.Record, r *kgo.Record) {
	to.Topic, to.Partition, to.Offset, to.Timestamp = r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli()
	to.Key, to.Value = r.Key, r.Value
	if len(r.Headers) > 0 {
		to.Headers = make([]pinflow.Header, len(r.Headers))
		for i, h := range r.Headers {
			to.Headers[i] = pinflow.Header{Key: h.Key, Value: h.Value}
		}
	}
}
