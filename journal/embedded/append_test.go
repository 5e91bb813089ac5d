package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/kafka"
)

// hanging is a broker that hangs over an append when it is told to.
type hanging struct {
	*embedded.Broker
	next   atomic.Bool   // the next append hangs
	hangs  chan struct{} // is told that one does
	goesOn chan struct{}
}

func openHanging(t *testing.T) *hanging {
	h := &hanging{hangs: make(chan struct{}), goesOn: make(chan struct{})}
	h.Broker = open(t, embedded.Options{Clock: func() time.Time {
		if h.next.CompareAndSwap(true, false) {
			h.hangs <- struct{}{}
			<-h.goesOn
		}
		return time.Now()
	}})
	return h
}

// TestAppendIsBounded in time and memory, whatever the broker does; and what was acknowledged is there once.
func TestAppendIsBounded(t *testing.T) {
	h := openHanging(t)
	const room = 64 << 10
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{h.Addr()}, AppendBytes: room, AppendTimeout: 4 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	tp := ensure(t, j, "bounded", 1)
	draft := func(value string) []pinflow.Draft {
		return []pinflow.Draft{{Topic: tp.Topic, Value: []byte(value + strings.Repeat(".", 8<<10))}}
	}
	h.next.Store(true)
	start := time.Now()
	var wg sync.WaitGroup
	var waited, refused atomic.Int64
	for i := range 50 {
		wg.Go(func() {
			r := j.Append(context.Background(), draft(fmt.Sprint("first-", i)))[0]
			switch {
			case pinflow.KindOf(r.Err) != pinflow.Unavailable:
				t.Errorf("%v, want unavailable", r)
			case strings.Contains(r.Err.Error(), "memory set aside"):
				refused.Add(1)
			default:
				waited.Add(1)
			}
		})
	}
	<-h.hangs
	wg.Wait()
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("appends returned after %s", took)
	}
	if w := waited.Load(); w > room/(8<<10) || w+refused.Load() != 50 {
		t.Errorf("%d records waited for an answer, %d found no room of 50, in %d bytes", w, refused.Load(), room)
	}
	close(h.goesOn)
	acknowledged := map[string]bool{}
	for i := range 20 {
		d := draft(fmt.Sprint("second-", i))
		if r := j.Append(t.Context(), d)[0]; r.Err != nil {
			t.Error(r.Err)
		}
		acknowledged[string(d[0].Value)] = true
	}
	seen := map[string]int{}
	topic, err := j.Topic(t.Context(), tp.Topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range readAll(t, j, tp, 0, topic.Partitions[0].End) {
		if seen[string(r.Value)]++; seen[string(r.Value)] > 1 {
			t.Errorf("%.20s is there twice", r.Value)
		}
		delete(acknowledged, string(r.Value))
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged records are not there", len(acknowledged))
	}
}

// TestCancelledAppendIsItsOwn: that a caller has gone is nothing to those whose records share a batch with his.
func TestCancelledAppendIsItsOwn(t *testing.T) {
	h := openHanging(t)
	metrics := prometheus.NewRegistry()
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{h.Addr()}, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	tp := ensure(t, j, "cancelled", 1)
	if r := j.Append(t.Context(), []pinflow.Draft{{Topic: tp.Topic, Value: []byte("before")}})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	var wg sync.WaitGroup
	appendOne := func(ctx context.Context, value string, check func(pinflow.Receipt)) {
		wg.Go(func() { check(j.Append(ctx, []pinflow.Draft{{Topic: tp.Topic, Value: []byte(value)}})[0]) })
	}
	works := func(r pinflow.Receipt) {
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
	h.next.Store(true)
	appendOne(t.Context(), "on its way", works)
	<-h.hangs
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	appendOne(ctx, "of one who goes", func(r pinflow.Receipt) {
		if !errors.Is(r.Err, context.Canceled) {
			t.Errorf("%v, want that it was cancelled", r.Err)
		}
		close(gone)
	})
	awaitWaiting(t, metrics, 2)
	appendOne(t.Context(), "of one who stays", works)
	awaitWaiting(t, metrics, 3)
	cancel()
	<-gone
	close(h.goesOn)
	wg.Wait()
}

// awaitWaiting waits until so many records wait for an answer.
func awaitWaiting(t *testing.T, metrics *prometheus.Registry, n float64) {
	t.Helper()
	patience := time.NewTimer(10 * time.Second)
	defer patience.Stop()
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for {
		families, err := metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "pinflow_journal_append_waiting_records" && f.GetMetric()[0].GetGauge().GetValue() == n {
				return
			}
		}
		select {
		case <-pace.C:
		case <-patience.C:
			t.Fatalf("there are never %v records that wait", n)
		}
	}
}
