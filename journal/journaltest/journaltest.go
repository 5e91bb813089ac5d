// Package journaltest holds a journal to its promises, whatever is behind it: the embedded broker or Kafka.
package journaltest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
)

// Journal is all halves of a journal.
type Journal interface {
	pinflow.Appender
	pinflow.Subscriber
	pinflow.JournalReader
	pinflow.TopicCreator
}

// Env is a journal to test. What may be nil is skipped with a line that says so.
type Env struct {
	Journal Journal
	// Brokers is host:port of the broker, for programs that are not this one: the package's TestMain calls Main. May be empty.
	Brokers string
	// Restart stops the broker cleanly, starts it again and returns the journal to use from then on. May be nil.
	Restart func(t testing.TB) Journal
	// Trim makes the log of tp start at before or a little earlier, but later than 0; it returns where. May be nil.
	Trim func(t testing.TB, tp pinflow.TopicPartition, before int64) int64
	// Advance moves the broker's clock. Nil: time passes by itself.
	Advance func(d time.Duration)
	// Patience is how long to wait for what takes a rebalance; 30 s if 0.
	Patience time.Duration
}

// Run runs the suite. Each of its tests has an Env and a topic of its own.
func Run(t *testing.T, open func(t testing.TB) Env) {
	for _, c := range []struct {
		name string
		test func(*T)
	}{
		{"Topic", testTopic},
		{"Append", testAppend},
		{"AppendErrors", testAppendErrors},
		{"OrderPerKey", testOrderPerKey},
		{"ManyAppenders", testManyAppenders},
		{"Read", testRead},
		{"AppendTime", testAppendTime},
		{"OffsetAt", testOffsetAt},
		{"Restart", testRestart},
		{"RetentionPassed", testRetentionPassed},
		{"TwoReaders", testTwoReaders},
		{"Rebalance", testRebalance},
		{"Held", testHeld},
		{"Seek", testSeek},
		{"AssigneeError", testAssigneeError},
		{"ContextEnds", testContextEnds},
		{"Takeover", testTakeover},
		{"Transactions", testTransactions},
		{"OpenTransaction", testOpenTransaction},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := open(t)
			if env.Patience == 0 {
				env.Patience = 30 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), 4*env.Patience)
			defer cancel()
			c.test(&T{T: t, Env: env, ctx: ctx})
		})
	}
}

// T is one test of the suite.
type T struct {
	*testing.T
	Env
	ctx context.Context
}

// topicSerial tells topics of one process apart; processes are told apart by the time.
var topicSerial atomic.Int64

// topic makes a topic that nobody else uses.
func (t *T) topic(partitions int) string {
	t.Helper()
	name := fmt.Sprintf("journaltest-%d-%d", time.Now().UnixNano(), topicSerial.Add(1))
	if _, err := t.Journal.EnsureTopic(t.ctx, name, partitions); err != nil {
		t.Fatal(err)
	}
	return name
}

// append appends and fails the test unless all is acknowledged.
func (t *T) append(drafts ...pinflow.Draft) []pinflow.Position {
	t.Helper()
	receipts := t.Journal.Append(t.ctx, drafts)
	if len(receipts) != len(drafts) {
		t.Fatalf("%d receipts for %d drafts", len(receipts), len(drafts))
	}
	positions := make([]pinflow.Position, len(receipts))
	for i, r := range receipts {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		positions[i] = r.Position
	}
	return positions
}

// fill appends n records with values "0", "1", … to partition 0.
func (t *T) fill(topic string, n int) {
	t.Helper()
	drafts := make([]pinflow.Draft, n)
	for i := range drafts {
		drafts[i] = pinflow.Draft{Topic: topic, Value: fmt.Append(nil, i)}
	}
	t.append(drafts...)
}

// readAll reads a partition from start to its end.
func (t *T) readAll(tp pinflow.TopicPartition, start int64) []pinflow.Record {
	t.Helper()
	var all []pinflow.Record
	for {
		records, err := t.Journal.Read(t.ctx, tp, start, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			return all
		}
		all = append(all, records...)
		start = records[len(records)-1].Offset + 1
	}
}
