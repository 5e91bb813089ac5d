package refine

import (
	"context"

	"github.com/pinflow/pinflow"
)

// group is the Stream as the journal sees it.
type group struct{ *Stream }

// Assigned implements pinflow.Assignee: each partition goes on where the store stands.
func (s group) Assigned(ctx context.Context, tps []pinflow.TopicPartition) (map[pinflow.TopicPartition]int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	s.leave(tps) // told of it twice: what is in hand may be somebody else's by now

	var at map[pinflow.TopicPartition]pinflow.Progress
	err := s.retry(ctx, "read positions", passing, func() (err error) {
		at, err = s.claim(ctx, tps)
		return err
	})
	if err != nil {
		return nil, err
	}
	offsets := map[pinflow.TopicPartition]int64{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tp := range tps {
		p := &partition{TopicPartition: tp}
		p.startAt(at[tp])
		s.parts[tp] = p
		offsets[tp] = p.next
		s.Log.Info("live: partition assigned", "partition", tp.String(), "at", p.next)
	}
	return offsets, nil
}

// claim reads the positions of partitions.
func (s *Stream) claim(ctx context.Context, tps []pinflow.TopicPartition) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	start := map[pinflow.TopicPartition]int64{}
	if s.Start != nil {
		var err error
		if start, err = s.Start(ctx, tps); err != nil {
			return nil, err
		}
	}
	wanted := make(map[pinflow.TopicPartition]int64, len(tps))
	for _, tp := range tps {
		wanted[tp] = start[tp]
	}
	return s.Store.Claim(ctx, s.Plan.Generation, wanted)
}

func (p *partition) startAt(at pinflow.Progress) {
	p.next, p.from, p.counted, p.floor = at.NextOffset, at.NextOffset, at.NextOffset, at.Period
}

// Revoked implements pinflow.Assignee: a commit that has begun is waited for, everything else is dropped.
func (s group) Revoked(_ context.Context, tps []pinflow.TopicPartition) { s.leave(tps) }

// leave forgets partitions. It returns when no batch has records of theirs in hand.
func (s *Stream) leave(tps []pinflow.TopicPartition) {
	s.mu.Lock()
	var leaving []*hand
	for _, tp := range tps {
		p := s.parts[tp]
		if p == nil {
			continue
		}
		delete(s.parts, tp)
		p.forget()
		for h := range s.hands {
			if h.has(p) {
				h.drop()
				leaving = append(leaving, h)
			}
		}
	}
	s.mu.Unlock()
	for _, h := range leaving {
		<-h.done
	}
}

// forgetAll forgets what a subscription that has ended did not take back.
func (s *Stream) forgetAll() {
	s.mu.Lock()
	var all []pinflow.TopicPartition
	for tp := range s.parts {
		all = append(all, tp)
	}
	s.mu.Unlock()
	s.leave(all)
}
