package ingest_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"testing"

	"github.com/pinflow/pinflow"
)

// journal is a fake in memory: it keeps what is appended and fails as it is told.
type journal struct {
	partitions int
	// fail says whether the n-th draft (from 0) that reaches the journal fails. nil: none does.
	fail func(n int, d pinflow.Draft) error
	// gate, if not nil, holds every Append back until it is closed or ctx ends.
	gate chan struct{}
	// ahead is how many Appends don't have to wait at the gate.
	ahead int
	// left, if not nil, gets a value for every Append whose ctx ended at the gate.
	left chan struct{}
	in   chan struct{} // gets a value for every Append that comes to the gate

	mu      sync.Mutex
	seen    int
	calls   int
	records map[int32][]pinflow.Draft
	late    []lateDraft // whose wait ended first; a real journal may still read their bytes
	forget  bool        // keep no records
}

type lateDraft struct {
	draft *pinflow.Draft
	copy  []byte
}

func newJournal(partitions int) *journal {
	return &journal{partitions: partitions, records: map[int32][]pinflow.Draft{}, in: make(chan struct{}, 1)}
}

func (j *journal) Append(ctx context.Context, drafts []pinflow.Draft) []pinflow.Receipt {
	receipts := make([]pinflow.Receipt, len(drafts))
	j.mu.Lock()
	j.calls++
	wait := j.gate != nil && j.calls > j.ahead
	j.mu.Unlock()
	if wait {
		select {
		case j.in <- struct{}{}:
		default:
		}
		select {
		case <-j.gate:
		case <-ctx.Done():
			j.mu.Lock()
			defer j.mu.Unlock()
			for i, d := range drafts {
				receipts[i].Err = ctx.Err()
				j.late = append(j.late, lateDraft{&drafts[i], bytes.Clone(d.Value)})
			}
			if j.left != nil {
				j.left <- struct{}{}
			}
			return receipts
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, d := range drafts {
		n := j.seen
		j.seen++
		if j.fail != nil {
			if err := j.fail(n, d); err != nil {
				receipts[i].Err = err
				continue
			}
		}
		p := d.Partition
		if p == pinflow.AnyPartition {
			h := fnv.New32a()
			h.Write(d.Key)
			p = int32(h.Sum32() % uint32(j.partitions))
		}
		receipts[i].Position = pinflow.Position{TopicPartition: pinflow.TopicPartition{Topic: d.Topic, Partition: p}, Offset: int64(len(j.records[p]))}
		if j.forget {
			receipts[i].Offset = int64(n)
			continue
		}
		kept := pinflow.Draft{Topic: d.Topic, Partition: p, Key: bytes.Clone(d.Key), Value: bytes.Clone(d.Value)}
		for _, h := range d.Headers {
			kept.Headers = append(kept.Headers, pinflow.Header{Key: h.Key, Value: bytes.Clone(h.Value)})
		}
		j.records[p] = append(j.records[p], kept)
	}
	return receipts
}

// at returns the record that a receipt names.
func (j *journal) at(t testing.TB, p pinflow.Position) pinflow.Draft {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if int(p.Offset) >= len(j.records[p.Partition]) {
		t.Fatalf("the journal has nothing at %s", p)
	}
	return j.records[p.Partition][p.Offset]
}

// count is how many records the journal has.
func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, records := range j.records {
		n += len(records)
	}
	return n
}

// checkLate fails the test if bytes changed that the journal might still have been reading.
func (j *journal) checkLate(t *testing.T) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.late {
		if !bytes.Equal(l.draft.Value, l.copy) {
			t.Fatalf("the bytes of a record whose append was not over changed from %.80q to %.80q", l.copy, l.draft.Value)
		}
	}
}

func unavailable() error {
	return &pinflow.Error{Op: "produce", Kind: pinflow.Unavailable, Err: fmt.Errorf("the broker is down")}
}

// entered waits until an Append has come to the gate.
func (j *journal) entered(t *testing.T) {
	t.Helper()
	select {
	case <-j.in:
	case <-t.Context().Done():
		t.Fatal("nothing was appended")
	}
}
