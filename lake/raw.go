package lake

import (
	"context"
	"sync"

	"github.com/pinflow/pinflow"
)

// Raw reads the records of a lake. It may be used by several goroutines.
type Raw struct {
	objects pinflow.Objects

	mu     sync.Mutex
	topics map[string]*rawTopic
}

var _ pinflow.RawReader = (*Raw)(nil)

// NewRaw makes a Raw.
func NewRaw(objects pinflow.Objects) *Raw {
	return &Raw{objects: objects, topics: map[string]*rawTopic{}}
}

// topic returns a topic's part of the lake: NotFound if there is none.
func (r *Raw) topic(ctx context.Context, name string) (*rawTopic, error) {
	r.mu.Lock()
	t := r.topics[name]
	r.mu.Unlock()
	if t != nil {
		return t, nil
	}
	opened, err := OpenTopic(ctx, r.objects, name)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.topics[name] == nil {
		r.topics[name] = &rawTopic{Topic: opened, seals: map[pinflow.Period]pinflow.Seal{}, first: pinflow.NoPeriod, whole: pinflow.NoPeriod}
	}
	return r.topics[name], nil
}

// Topic returns what the topic's processes agreed on, as it was when this Raw first asked: NotFound if the lake has no such topic.
func (r *Raw) Topic(ctx context.Context, topic string) (TopicFile, error) {
	t, err := r.topic(ctx, topic)
	if err != nil {
		return TopicFile{}, err
	}
	return t.TopicFile, nil
}

// Ends returns where each of the topic's partitions ends in the lake, and the log period of the last record there.
func (r *Raw) Ends(ctx context.Context, topic string) (map[pinflow.TopicPartition]Tail, error) {
	t, err := OpenTopic(ctx, r.objects, topic) // anew: partitions may have been added
	if err != nil {
		return nil, err
	}
	tails, err := t.Ends(ctx)
	if err != nil {
		return nil, err
	}
	ends := make(map[pinflow.TopicPartition]Tail, len(tails))
	for p, tail := range tails {
		ends[pinflow.TopicPartition{Topic: topic, Partition: p}] = tail
	}
	return ends, nil
}
