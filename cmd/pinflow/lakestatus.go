package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
)

// lakeStatus is what GET /api/lake shows.
type lakeStatus struct {
	URL        string          `json:"url"`
	Period     string          `json:"log_period"`
	Partitions []lakePartition `json:"partitions"`
}

// lakePartition is where the lake ends in a partition, and why it goes no further if it has stopped.
type lakePartition struct {
	pinflow.TopicPartition
	End     int64  `json:"end"`
	Stopped string `json:"stopped,omitempty"`
}

func (c *core) emptyLakeStatus() *lakeStatus {
	return &lakeStatus{URL: c.objects.String(), Period: time.Duration(c.period).String(), Partitions: []lakePartition{}}
}

func (u *up) lakeStatus(context.Context) (any, error) {
	status := u.emptyLakeStatus()
	w := u.writer.Load()
	if w == nil {
		return status, nil
	}
	ends, stopped := w.Ends(), w.Stopped()
	for _, tp := range slices.SortedFunc(maps.Keys(ends), pinflow.TopicPartition.Compare) {
		p := lakePartition{TopicPartition: tp, End: ends[tp]}
		if err := stopped[tp]; err != nil {
			p.Stopped = err.Error()
		}
		status.Partitions = append(status.Partitions, p)
	}
	return status, nil
}

// add adds where a topic's partitions end.
func (s *lakeStatus) add(topic string, ends map[int32]lake.Tail) {
	for _, n := range slices.Sorted(maps.Keys(ends)) {
		s.Partitions = append(s.Partitions, lakePartition{TopicPartition: pinflow.TopicPartition{Topic: topic, Partition: n}, End: ends[n].End})
	}
}
