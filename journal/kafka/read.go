package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/pinflow/pinflow"
)

// readTries is how often a read is tried again while a partition moves.
const readTries = 8

// Read implements pinflow.JournalReader. It asks the partition's leader and waits for nothing to come: behind
// the last record that a reader of committed records can see, it returns none.
func (j *Journal) Read(ctx context.Context, tp pinflow.TopicPartition, offset int64, maxRecords int) ([]pinflow.Record, error) {
	maxRecords = max(maxRecords, 1)
	for try := 1; ; {
		at, known, err := j.place(ctx, tp)
		if err != nil {
			return nil, j.failure("read", tp.String(), err)
		}
		records, next, err := j.fetch(ctx, tp, at, offset, maxRecords)
		if err != nil && !errors.Is(err, kerr.OffsetOutOfRange) {
			j.places.Delete(tp)
			if known {
				continue // it may have moved, or the topic been made anew
			}
		}
		switch {
		case err == nil && (len(records) > 0 || next == offset):
			return records, nil
		case err == nil:
			offset = next // only what no reader sees was there
			continue
		case !kerr.IsRetriable(err) || notThere(err) || try == readTries:
			return nil, j.failure("read", pinflow.Position{TopicPartition: tp, Offset: offset}.String(), err)
		}
		if err := wait(ctx, backoff(try)); err != nil {
			return nil, j.failure("read", tp.String(), err)
		}
		try++
	}
}

// notThere are the errors that count as retriable, since a topic may be about to appear.
func notThere(err error) bool {
	kind, _ := kindOf(err)
	return kind == pinflow.NotFound
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetch makes one request and returns the records and the offset to go on at.
func (j *Journal) fetch(ctx context.Context, tp pinflow.TopicPartition, at place, offset int64, maxRecords int) ([]pinflow.Record, int64, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.IsolationLevel = 0, 0, 1
	// A batch comes whole, whatever the limit: it is a hint of how many of them are worth sending.
	req.MaxBytes = int32(min(max(maxRecords<<12, 64<<10), j.o.FetchBytes))
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = tp.Topic, at.topicID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = tp.Partition, offset, req.MaxBytes
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	answer, err := j.cl.Broker(int(at.leader)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, offset, err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, offset, err
	}
	for i := range resp.Topics {
		for k := range resp.Topics[i].Partitions {
			return j.decode(tp, offset, maxRecords, &resp.Topics[i].Partitions[k])
		}
	}
	return nil, offset, fmt.Errorf("the broker's answer leaves the partition out")
}

// decode returns the records of an answer from offset on.
func (j *Journal) decode(tp pinflow.TopicPartition, offset int64, maxRecords int, p *kmsg.FetchResponseTopicPartition) ([]pinflow.Record, int64, error) {
	fetched, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: offset, IsolationLevel: kgo.ReadCommitted(), Topic: tp.Topic, Partition: tp.Partition,
	}, p, j.codec, nil)
	if fetched.Err != nil && len(fetched.Records) == 0 {
		return nil, offset, batchError(fetched.Err)
	}
	return recordsOf(fetched.Records[:min(len(fetched.Records), maxRecords)]), max(next, offset), nil
}

// place is where a partition lies.
type place struct {
	topicID [16]byte
	leader  int32
}

// place finds a partition; known tells that it was found before.
func (j *Journal) place(ctx context.Context, tp pinflow.TopicPartition) (at place, known bool, err error) {
	if v, ok := j.places.Load(tp); ok {
		return v.(place), true, nil
	}
	t, err := j.topic(ctx, tp.Topic)
	if err != nil {
		return at, false, err
	}
	p, ok := t.Partitions[tp.Partition]
	if !ok {
		return at, false, kerr.UnknownTopicOrPartition
	}
	if p.Err != nil && p.Leader < 0 {
		return at, false, p.Err
	}
	at = place{topicID: t.ID, leader: p.Leader}
	j.places.Store(tp, at)
	return at, false, nil
}

// topic asks for a topic's metadata.
func (j *Journal) topic(ctx context.Context, topic string) (kadm.TopicDetail, error) {
	if err := j.refresh(ctx, topic); err != nil {
		return kadm.TopicDetail{}, err
	}
	topics, err := j.admin.ListTopicsWithInternal(ctx, topic)
	if err != nil {
		return kadm.TopicDetail{}, err
	}
	t, ok := topics[topic]
	if !ok {
		return t, kerr.UnknownTopicOrPartition
	}
	return t, t.Err
}

// refresh makes the client ask the brokers for topics: what it remembers may lack one that was just made.
func (j *Journal) refresh(ctx context.Context, topics ...string) error {
	req := kmsg.NewPtrMetadataRequest()
	for _, topic := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = &topic
		req.Topics = append(req.Topics, rt)
	}
	_, err := j.cl.RequestCachedMetadata(ctx, req, time.Nanosecond)
	return err
}
