package kafka

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
)

// Consumption says what to consume, in the words of Kafka's console consumer.
type Consumption struct {
	Topic         string
	FromBeginning bool   // else only what comes from now on; with a Group only where it has no position yet
	Group         string // "": all partitions, no position is kept. Else a member of that group, which keeps its position
	MaxMessages   int    // 0 for no end
}

// Consume calls f with each record as it comes, until MaxMessages, an error of f or the end of ctx; the
// latter is no error. With a group, what f has returned for is committed.
func (j *Journal) Consume(ctx context.Context, c Consumption, f func(pinflow.Record) error) error {
	const op = "consume"
	if _, err := j.topic(ctx, c.Topic); err != nil {
		return j.failure(op, c.Topic, err)
	}
	start := kgo.NewOffset().AtEnd()
	if c.FromBeginning {
		start = kgo.NewOffset().AtStart()
	}
	options := append(j.clientOptions(), kgo.ConsumeTopics(c.Topic), kgo.ConsumeStartOffset(start), kgo.ConsumeResetOffset(start),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxBytes(int32(j.o.FetchBytes)), kgo.MaxConcurrentFetches(1))
	if c.Group != "" {
		options = append(options, kgo.ConsumerGroup(c.Group), kgo.AutoCommitMarks(), kgo.BlockRebalanceOnPoll(),
			kgo.SessionTimeout(j.o.SessionTimeout))
	}
	cl, err := kgo.NewClient(options...)
	if err != nil {
		return invalid(op, c.Topic, err, "")
	}
	defer cl.CloseAllowingRebalance()
	err = j.consume(ctx, cl, c, f)
	if c.Group != "" {
		// The caller may be on its way out; what it has seen is still to be noted.
		if commit := cl.CommitMarkedOffsets(context.WithoutCancel(ctx)); err == nil {
			err = j.failure("commit the position of group "+c.Group+" in", c.Topic, commit)
		}
	}
	return err
}

func (j *Journal) consume(ctx context.Context, cl *kgo.Client, c Consumption, f func(pinflow.Record) error) error {
	for seen := 0; ; {
		cl.AllowRebalance()
		fetches := cl.PollRecords(ctx, 1000)
		for _, e := range fetches.Errors() {
			if e.Topic != "" && lasting(e.Err) {
				return j.failure("consume", c.Topic, e.Err)
			}
		}
		for _, from := range fetches.Records() {
			var r pinflow.Record
			fill(&r, from)
			if err := f(r); err != nil {
				return err
			}
			cl.MarkCommitRecords(from)
			if seen++; seen == c.MaxMessages {
				return nil
			}
		}
		if ctx.Err() != nil || errors.Is(fetches.Err0(), kgo.ErrClientClosed) {
			return nil
		}
	}
}
