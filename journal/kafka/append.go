package kafka

import (
	"context"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
)

// Append implements pinflow.Appender. A draft that does not fit into AppendBytes waits for room.
// Errors are TooLarge, NotFound (no such topic or partition), or Unavailable, which may be tried again.
func (j *Journal) Append(ctx context.Context, drafts []pinflow.Draft) []pinflow.Receipt {
	if len(drafts) == 0 {
		return nil
	}
	c := &call{journal: j, receipts: make([]pinflow.Receipt, len(drafts)), open: len(drafts), done: make(chan struct{})}
	records := make([]kgo.Record, len(drafts))
	for i := range drafts {
		c.receipts[i].TopicPartition = pinflow.TopicPartition{Topic: drafts[i].Topic, Partition: drafts[i].Partition}
		c.receipts[i].Offset = -1
		record(&records[i], &drafts[i])
	}
	for i := range records {
		receipt := &c.receipts[i]
		j.cl.Produce(ctx, &records[i], func(r *kgo.Record, err error) { c.answer(receipt, r, err) })
	}
	select {
	case <-c.done:
		return c.receipts
	case <-ctx.Done():
		return c.abandon(ctx.Err())
	}
}

// record fills r with what the draft says. The broker gives the time.
func record(r *kgo.Record, d *pinflow.Draft) {
	r.Topic, r.Partition, r.Key, r.Value = d.Topic, d.Partition, d.Key, d.Value
	if len(d.Headers) > 0 {
		r.Headers = make([]kgo.RecordHeader, len(d.Headers))
		for i, h := range d.Headers {
			r.Headers[i] = kgo.RecordHeader{Key: h.Key, Value: h.Value}
		}
	}
}

// call is one Append under way.
type call struct {
	journal  *Journal
	mu       sync.Mutex
	receipts []pinflow.Receipt
	open     int // receipts without an answer
	left     bool
	done     chan struct{}
}

func (c *call) answer(receipt *pinflow.Receipt, r *kgo.Record, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return // the caller has gone with a copy
	}
	if err != nil && r.Partition == noPartition {
		err = kerr.UnknownTopicOrPartition
	}
	if err != nil {
		receipt.Err = c.journal.failure(opAppend, receipt.TopicPartition.String(), err)
	} else {
		receipt.Partition, receipt.Offset = r.Partition, r.Offset
	}
	if c.open--; c.open == 0 {
		close(c.done)
	}
}

// abandon returns what is known so far; the answers still open are the context's error.
func (c *call) abandon(cause error) []pinflow.Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = true
	for i := range c.receipts {
		if r := &c.receipts[i]; r.Err == nil && r.Offset < 0 {
			r.Err = &pinflow.Error{Op: opAppend, On: r.TopicPartition.String(), Kind: pinflow.Unavailable,
				Err: fmt.Errorf("not acknowledged in time: %w", cause), Hint: "It may yet be appended."}
		}
	}
	return c.receipts
}
