package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
)

// assigned asks the assignee where to start. The client calls it with all rebalances of the group in line,
// and while a caller holds what Poll returned it waits. It may do so before Subscribe has heard of the client.
func (s *subscription) assigned(ctx context.Context, cl *kgo.Client, partitions map[string][]int32) {
	list := flat(partitions)
	kept := s.keptAsAnother(cl)
	s.loseAll(ctx, cl, kept)
	list = append(list, kept...)
	if len(list) == 0 || s.err() != nil {
		return
	}
	starts, err := s.assignee.Assigned(ctx, list)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tp := range kept {
		s.moved[tp] = true
	}
	for _, tp := range list {
		start, ok := starts[tp]
		if err == nil && (!ok || start < 0) {
			err = fmt.Errorf("no offset to start %s at", tp)
		}
		s.owned[tp] = start
	}
	if err != nil {
		s.end(err)
	}
}

// keptAsAnother returns the partitions that the client has kept although the group had given it up, and it has joined anew: others may have had
// them meanwhile.
func (s *subscription) keptAsAnother(cl *kgo.Client) []pinflow.TopicPartition {
	id, _ := cl.GroupMetadata()
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.member
	if s.member = id; was == "" || was == id {
		return nil
	}
	return slices.SortedFunc(maps.Keys(s.owned), pinflow.TopicPartition.Compare)
}

// starts gives the client what assigned has learnt, in place of what the group committed.
func (s *subscription) starts(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, partitions := range offsets {
		for p := range partitions {
			start, ok := s.owned[pinflow.TopicPartition{Topic: topic, Partition: p}]
			if !ok {
				return nil, fmt.Errorf("%s:%d was not assigned", topic, p)
			}
			partitions[p] = kgo.NewOffset().At(start)
		}
	}
	return offsets, nil
}

// revoked tells the assignee, the group how far it came, and forgets the partitions.
func (s *subscription) revoked(ctx context.Context, cl *kgo.Client, partitions map[string][]int32) {
	list := s.taken(partitions)
	if len(list) == 0 {
		return
	}
	// The client's context ends with Close, but what is in hand is still to be flushed.
	s.assignee.Revoked(context.WithoutCancel(ctx), list)
	s.hints.flush(context.WithoutCancel(ctx), cl)
	s.forget(cl, list)
}

// lost is revoked for partitions that are another member's by now: nothing of them is to be flushed, and the group is told nothing.
func (s *subscription) lost(ctx context.Context, cl *kgo.Client, partitions map[string][]int32) {
	s.loseAll(ctx, cl, s.taken(partitions))
}

func (s *subscription) loseAll(ctx context.Context, cl *kgo.Client, list []pinflow.TopicPartition) {
	if len(list) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	s.hints.drop(list)
	s.assignee.Revoked(ctx, list)
	s.hints.drop(list)
	s.forget(cl, list)
}

// taken lists those of partitions that the assignee has. Those of a failed assignment were never taken.
func (s *subscription) taken(partitions map[string][]int32) []pinflow.TopicPartition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(flat(partitions), func(tp pinflow.TopicPartition) bool { _, ok := s.owned[tp]; return !ok })
}

// owns tells whether a partition is the assignee's.
func (s *subscription) owns(tp pinflow.TopicPartition) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.owned[tp]
	return ok
}

func (s *subscription) forget(cl *kgo.Client, list []pinflow.TopicPartition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tp := range list {
		delete(s.owned, tp)
		delete(s.moved, tp)
		if s.stopped[tp] {
			delete(s.stopped, tp)
			cl.ResumeFetchPartitions(map[string][]int32{tp.Topic: {tp.Partition}})
		}
	}
}

// move makes the client read partitions from where they start.
func (s *subscription) move() {
	s.mu.Lock()
	moved := make(map[pinflow.TopicPartition]int64, len(s.moved))
	for tp := range s.moved {
		moved[tp] = s.owned[tp]
	}
	clear(s.moved)
	s.mu.Unlock()
	for tp, start := range moved {
		s.Seek(tp, start)
	}
}

func flat(partitions map[string][]int32) []pinflow.TopicPartition {
	var list []pinflow.TopicPartition
	for _, topic := range slices.Sorted(maps.Keys(partitions)) {
		ps := slices.Clone(partitions[topic])
		slices.Sort(ps)
		for _, p := range ps {
			list = append(list, pinflow.TopicPartition{Topic: topic, Partition: p})
		}
	}
	return list
}
