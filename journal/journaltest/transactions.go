package journaltest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
)

// producer is a producer of transactions, as other programs have them.
func (t *T) producer() *kgo.Client {
	t.Helper()
	if t.Brokers == "" {
		t.Skip("this environment does not tell where its broker is")
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.Brokers), kgo.TransactionalID(fmt.Sprintf("journaltest-%d-%d", time.Now().UnixNano(), topicSerial.Add(1))),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(time.Minute), kgo.DisableClientMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// transact writes n records in a transaction that stays open, and returns their offsets.
func (t *T) transact(cl *kgo.Client, tp pinflow.TopicPartition, value string, n int) (offsets []int64) {
	t.Helper()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: tp.Topic, Partition: tp.Partition, Value: []byte(value)}
	}
	for _, r := range cl.ProduceSync(t.ctx, records...) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		offsets = append(offsets, r.Record.Offset)
	}
	return offsets
}

func (t *T) endTransaction(cl *kgo.Client, how kgo.TransactionEndTry) {
	t.Helper()
	if err := cl.EndTransaction(t.ctx, how); err != nil {
		t.Fatal(err)
	}
}

// testTransactions shows readers what was committed, and nothing else, wherever they start.
func testTransactions(t *T) {
	tp := pinflow.TopicPartition{Topic: t.topic(2), Partition: 1}
	producers := []*kgo.Client{t.producer(), t.producer()}
	rng := rand.New(rand.NewPCG(5, 6))
	var want []int64
	for i := range 40 {
		n := 1 + rng.IntN(8)
		switch cl := producers[rng.IntN(2)]; rng.IntN(3) {
		case 0:
			t.transact(cl, tp, "aborted", n)
			t.endTransaction(cl, kgo.TryAbort)
		case 1:
			want = append(want, t.transact(cl, tp, "committed", n)...)
			t.endTransaction(cl, kgo.TryCommit)
		default:
			for range n {
				want = append(want, t.append(pinflow.Draft{Topic: tp.Topic, Partition: 1, Value: fmt.Append(nil, "plain-", i)})[0].Offset)
			}
		}
	}
	t.transact(producers[0], tp, "aborted", 5) // the log ends in what no reader sees
	t.endTransaction(producers[0], kgo.TryAbort)

	end := t.settled(tp)
	if last := want[len(want)-1]; end < last+7 { // the records and the marker
		t.Errorf("the log ends at %d, the last record that was committed lies at %d", end, last)
	}
	for range 30 {
		start := rng.Int64N(end + 1)
		from, _ := slices.BinarySearch(want, start)
		if got := offsetsOf(t.readAll(tp, start)); !slices.Equal(got, want[from:]) {
			t.Fatalf("from %d, of a log that ends at %d, read %v; want %v", start, end, got, want[from:])
		}
	}
	if _, err := t.Journal.Read(t.ctx, tp, end+1, 1); pinflow.KindOf(err) != pinflow.OutOfRange {
		t.Errorf("behind the end: %v, want out of range", err)
	}
	for _, start := range []int64{0, want[len(want)/2] + 1} {
		from, _ := slices.BinarySearch(want, start)
		m := t.member(fmt.Sprintf("transactions-%d", start), tp.Topic, func(tp pinflow.TopicPartition) int64 { return start * int64(tp.Partition) })
		var got []int64
		for len(got) < len(want)-from {
			for _, run := range m.poll(t, 1+rng.IntN(50)) {
				got = append(got, offsetsOf(run.Records)...)
			}
		}
		if !slices.Equal(got, want[from:]) {
			t.Errorf("polled from %d: %v; want %v", start, got, want[from:])
		}
		m.close(t)
	}
}

// settled waits until nothing of a partition is held, and returns its end. An answer to who ends a transaction may come a moment before its marker.
func (t *T) settled(tp pinflow.TopicPartition) int64 {
	t.Helper()
	var b pinflow.PartitionBounds
	t.until("no transaction is open", func() bool {
		b = t.bounds(tp)
		return b.Held == 0
	})
	return b.End
}

func (t *T) bounds(tp pinflow.TopicPartition) pinflow.PartitionBounds {
	t.Helper()
	topic, err := t.Journal.Topic(t.ctx, tp.Topic)
	if err != nil {
		t.Fatal(err)
	}
	return topic.Partitions[tp.Partition]
}

// until waits until f is true.
func (t *T) until(what string, f func() bool) {
	t.Helper()
	patience := time.NewTimer(t.Patience)
	defer patience.Stop()
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for !f() {
		select {
		case <-pace.C:
		case <-patience.C:
			t.Fatalf("waited %s until %s", t.Patience, what)
		}
	}
}

func offsetsOf(records []pinflow.Record) (offsets []int64) {
	for _, r := range records {
		offsets = append(offsets, r.Offset)
	}
	return offsets
}

// testOpenTransaction tells how much of a log an open transaction holds back: who has read all that he can has not read all of it.
func testOpenTransaction(t *T) {
	tp := pinflow.TopicPartition{Topic: t.topic(1)}
	cl := t.producer()
	t.fill(tp.Topic, 3)
	m := t.member("open", tp.Topic, func(pinflow.TopicPartition) int64 { return 0 })
	defer m.close(t)
	next := int64(0)
	poll := func(until int64) {
		t.Helper()
		for next < until {
			for _, run := range m.poll(t, 100) {
				for _, r := range run.Records {
					if r.Offset < next {
						t.Fatalf("offset %d came after %d", r.Offset, next)
					}
					next = r.Offset + 1
				}
			}
		}
	}
	poll(3)
	for _, how := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		before := t.settled(tp)
		offsets := t.transact(cl, tp, "open", 4)
		if got := t.bounds(tp); got != (pinflow.PartitionBounds{End: before + 4, Held: 4}) {
			t.Errorf("with an open transaction of 4 records at %d: %+v", before, got)
		}
		late := t.append(pinflow.Draft{Topic: tp.Topic, Value: []byte("behind it")})[0].Offset
		if got := t.bounds(tp); got != (pinflow.PartitionBounds{End: before + 5, Held: 5}) {
			t.Errorf("and one behind it: %+v", got)
		}
		if records, err := t.Journal.Read(t.ctx, tp, before, 10); err != nil || len(records) > 0 {
			t.Errorf("reading what is held: %v, %v", offsetsOf(records), err)
		}
		ctx, cancel := context.WithTimeout(t.ctx, 500*time.Millisecond)
		if runs, err := m.sub.Poll(ctx, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("polling what is held: %+v, %v", runs, err)
		}
		cancel()
		var ended sync.WaitGroup
		ended.Go(func() { t.endTransaction(cl, how) })
		poll(late + 1)
		ended.Wait()
		if want := append(offsets, late); how == kgo.TryCommit {
			if got := offsetsOf(t.readAll(tp, before)); !slices.Equal(got, want) {
				t.Errorf("after commit: %v, want %v", got, want)
			}
		} else if got := offsetsOf(t.readAll(tp, before)); !slices.Equal(got, []int64{late}) {
			t.Errorf("after abort: %v, want %d alone", got, late)
		}
		if end := t.settled(tp); end != late+2 {
			t.Errorf("with the marker the log ends at %d, want %d", end, late+2)
		}
	}
}
