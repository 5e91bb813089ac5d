package web

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
)

// fakeJournal is a topic of two partitions, the second of which nobody has begun to count.
type fakeJournal struct {
	ends [2]int64
	away atomic.Bool
}

func (j *fakeJournal) Topic(context.Context, string) (pinflow.Topic, error) {
	if j.away.Load() {
		return pinflow.Topic{}, errors.New("it is away")
	}
	return pinflow.Topic{Name: "t", Partitions: []pinflow.PartitionBounds{{Partition: 0, End: j.ends[0]}, {Partition: 1, Start: 100, End: j.ends[1]}}}, nil
}

func TestStatus(t *testing.T) {
	journal := &fakeJournal{ends: [2]int64{12, 105}}
	s := serve(t, 10, func(o *Options) {
		o.Journal = journal
		o.Ready = func() error { return errors.New("not yet") }
		o.Stopped = func() map[pinflow.TopicPartition]error {
			return map[pinflow.TopicPartition]error{{Topic: "t", Partition: 1}: errors.New("it is gone")}
		}
	})
	s.store.commit(0, func() { s.store.views["rejects"].Rows = make([][]any, 4) })
	status := func() (st Status) {
		t.Helper()
		_, _, body := s.get(t, "/api/status")
		if err := json.Unmarshal([]byte(body), &st); err != nil {
			t.Fatal(err)
		}
		return st
	}
	n := func(n int64) *int64 { return &n }
	got := status()
	want := []PartitionStatus{{Position{"t", 0, 10}, n(12), n(2), ""}, {Position{"t", 1, 100}, n(105), n(5), "it is gone"}}
	if !reflect.DeepEqual(got.Partitions, want) || got.Counted != 110 || *got.Lag != 7 || got.Ready || got.Pipeline != "traffic" || got.History == nil {
		t.Errorf("%+v", got)
	}
	if status, _, body := s.get(t, "/readyz"); status != 503 {
		t.Errorf("readyz: %d %s", status, body)
	}
	journal.away.Store(true)
	if got := status(); got.Lag != nil || got.DelaySeconds != nil || got.Counted != 10 {
		t.Errorf("without the journal: %+v", got)
	}
}

func TestRejectsAreCountedAgainOnlyAfterACommit(t *testing.T) {
	bubble(t, func(t *testing.T, s *Web, store *fakeStore) {
		time.Sleep(time.Minute)
		store.commit(1, func() { store.views["rejects"].Rows = make([][]any, 4) })
		time.Sleep(time.Minute)
		synctest.Wait()
		st, _, err := s.readStatus(t.Context())
		if err != nil || *st.Rejected != 4 {
			t.Errorf("%+v %v", st, err)
		}
		store.mu.Lock()
		defer store.mu.Unlock()
		if len(store.asked) != 2 {
			t.Errorf("the store was asked %d times", len(store.asked))
		}
	})
}

func TestSpeed(t *testing.T) {
	start := time.Now()
	second := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	var m meter
	if got := m.speed(sample{second(0), 5, 5}); got.posted != 0 || got.delay != 0 {
		t.Errorf("at first: %+v", got)
	}
	for i := range 300 { // 100 records a second; from second 290 on none is counted
		m.add(sample{at: second(i), counted: int64(100 * min(i, 290)), end: int64(100 * i)})
	}
	got := m.speed(sample{second(300), 29000, 30000})
	if got.posted != 100 || got.counted != 0 || got.delay != 9*time.Second || len(got.history) != 120 || got.history[0] != 100 {
		t.Errorf("%+v", got)
	}
	if got := m.speed(sample{second(300), 29500, -1}); got.posted != 100 || got.counted != 100 {
		t.Errorf("without the journal's end: %+v", got)
	}
	if got := m.speed(sample{second(300), 0, 0}); got.posted != 0 || got.counted != 0 {
		t.Errorf("positions set back: %+v", got)
	}
	if got := m.speed(sample{second(400), 30000, 30000}); got.posted != 0 {
		t.Errorf("after a gap: %+v", got)
	}
}
