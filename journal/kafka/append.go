package kafka

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
)

// Append implements pinflow.Appender. A draft that does not fit into AppendBytes waits for room. Within AppendTimeout and a
// little more it returns, whatever the brokers do. Errors are TooLarge, NotFound (no such topic or partition), Invalid (it is not
// allowed), or Unavailable, which may be tried again.
func (j *Journal) Append(ctx context.Context, drafts []pinflow.Draft) []pinflow.Receipt {
	if len(drafts) == 0 {
		return nil
	}
	most := time.Now().Add(j.o.AppendTimeout + answerTimeout)
	if deadline, ok := ctx.Deadline(); !ok || deadline.After(most) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, most)
		defer cancel()
	}
	c := &call{journal: j, receipts: make([]pinflow.Receipt, len(drafts)), open: len(drafts), done: make(chan struct{})}
	records := make([]kgo.Record, len(drafts))
	for i := range drafts {
		c.receipts[i].TopicPartition = pinflow.TopicPartition{Topic: drafts[i].Topic, Partition: drafts[i].Partition}
		c.receipts[i].Offset = -1
		record(&records[i], &drafts[i])
	}
	for i := range records {
		size := min(weight(&records[i]), int64(j.o.AppendBytes))
		if ctx.Err() != nil || j.room.Acquire(ctx, size) != nil {
			return c.abandon(ctx.Err(), i)
		}
		receipt := &c.receipts[i]
		// Not with the caller's context: when it ends, the client may drop the batch, and with it what others append.
		j.cl.Produce(context.Background(), &records[i], func(r *kgo.Record, err error) {
			j.room.Release(size)
			c.answer(receipt, r, err)
		})
	}
	select {
	case <-c.done:
		return c.receipts
	case <-ctx.Done():
		return c.abandon(ctx.Err(), len(drafts))
	}
}

// answerTimeout is how much longer than AppendTimeout an Append may take: in that time the client tells which records are sure not to be appended.
const answerTimeout = 2 * time.Second

// recordCost is what a record takes in memory beside its bytes while it waits, about.
const recordCost = 512

// weight is what a record takes in memory while it waits.
func weight(r *kgo.Record) int64 {
	n := recordCost + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return int64(n)
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

// abandon returns what is known so far; the answers still open are the context's error. The drafts from unsent on found no room.
func (c *call) abandon(cause error, unsent int) []pinflow.Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = true
	for i := range c.receipts {
		r := &c.receipts[i]
		switch {
		case i >= unsent:
			r.Err = &pinflow.Error{Op: opAppend, On: r.TopicPartition.String(), Kind: pinflow.Unavailable,
				Err: fmt.Errorf("other records that wait for the journal hold all the memory set aside for them: %w", cause), Hint: "It was not appended: send it again a little later."}
		case r.Err == nil && r.Offset < 0:
			r.Err = &pinflow.Error{Op: opAppend, On: r.TopicPartition.String(), Kind: pinflow.Unavailable,
				Err: fmt.Errorf("not acknowledged in time: %w", cause), Hint: "It may yet be appended."}
		}
	}
	return c.receipts
}
