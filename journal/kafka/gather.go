package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
)

// gathered is what one Poll has so far: a run per partition.
type gathered struct {
	runs           []pinflow.Run
	records, bytes int
	failed         bool // a partition had an error
}

// gather adds fetches. A partition with an error is stopped until Seek, or until it is another member's.
func (s *subscription) gather(g *gathered, fetches kgo.Fetches) {
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		tp := pinflow.TopicPartition{Topic: p.Topic, Partition: p.Partition}
		if len(p.Records) == 0 && (!lasting(p.Err) || !s.owns(tp)) {
			s.refused(p.Topic, p.Err)
			return
		}
		if s.isMoved(tp) {
			return
		}
		run := g.run(tp)
		run.End = p.HighWatermark
		have := len(run.Records)
		run.Records = slices.Grow(run.Records, len(p.Records))[:have+len(p.Records)]
		for i, r := range p.Records {
			fill(&run.Records[have+i], r)
			g.bytes += len(r.Key) + len(r.Value)
		}
		g.records += len(p.Records)
		if lasting(p.Err) {
			run.Err = s.journal.failure("read", run.TopicPartition.String(), batchError(p.Err))
			g.failed = true
			s.stop(run.TopicPartition)
		}
	})
}

// isMoved tells whether what was fetched of a partition is from before it was given anew.
func (s *subscription) isMoved(tp pinflow.TopicPartition) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved[tp]
}

// run returns the partition's run.
func (g *gathered) run(tp pinflow.TopicPartition) *pinflow.Run {
	for i := range g.runs {
		if g.runs[i].TopicPartition == tp {
			return &g.runs[i]
		}
	}
	g.runs = append(g.runs, pinflow.Run{TopicPartition: tp})
	return &g.runs[len(g.runs)-1]
}

// ahead tells whether the log is known to hold more of a partition.
func (g *gathered) ahead() bool {
	for i := range g.runs {
		if n := len(g.runs[i].Records); n > 0 && g.runs[i].Records[n-1].Offset+1 < g.runs[i].End {
			return true
		}
	}
	return false
}
