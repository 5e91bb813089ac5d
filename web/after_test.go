package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
)

func at(partition int32, offset int64) pinflow.Position {
	return pinflow.Position{TopicPartition: pinflow.TopicPartition{Topic: "t", Partition: partition}, Offset: offset}
}

// bubble runs f inside synctest with a web, whose goroutines must all have ended after Close.
func bubble(t *testing.T, f func(t *testing.T, s *Web, store *fakeStore)) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		plan := testPlan()
		store.fill(plan, 3)
		s, err := New(Options{Store: store, Plan: plan})
		if err != nil {
			t.Fatal(err)
		}
		f(t, s, store)
		s.Close() // synctest fails if a goroutine is left
	})
}

func TestAwait(t *testing.T) {
	for name, c := range map[string]struct {
		after []pinflow.Position
		takes time.Duration // how long it waits while a record is counted per second
		kind  pinflow.Kind  // Internal: it succeeds
	}{
		"none":                     {nil, 0, pinflow.Internal},
		"passed":                   {[]pinflow.Position{at(0, 0)}, 0, pinflow.Internal},
		"the last one counted":     {[]pinflow.Position{at(0, 9)}, 0, pinflow.Internal},
		"the next one":             {[]pinflow.Position{at(0, 10)}, time.Second, pinflow.Internal},
		"in a while":               {[]pinflow.Position{at(0, 14)}, 5 * time.Second, pinflow.Internal},
		"the latest of several":    {[]pinflow.Position{at(0, 3), at(0, 12), at(0, 11)}, 3 * time.Second, pinflow.Internal},
		"beyond the end":           {[]pinflow.Position{at(0, 1000)}, 10 * time.Second, pinflow.Unavailable},
		"nobody counts it":         {[]pinflow.Position{at(0, 1), at(1, 0)}, 10 * time.Second, pinflow.Unavailable},
		"no such topic":            {[]pinflow.Position{{TopicPartition: pinflow.TopicPartition{Topic: "other"}}}, 0, pinflow.Invalid},
		"no such partition":        {[]pinflow.Position{at(2, 0)}, 0, pinflow.Invalid},
		"one of several is absurd": {[]pinflow.Position{at(0, 1000), at(7, 0)}, 0, pinflow.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Web, store *fakeStore) {
				store.commit(10, nil)
				ctx, stop := context.WithCancel(t.Context())
				var committer sync.WaitGroup
				committer.Go(func() { tick(ctx, func() { store.commit(1, nil) }) })
				start := time.Now()
				err := s.await(t.Context(), c.after, 10*time.Second)
				took := time.Since(start)
				stop()
				committer.Wait()
				if took != c.takes || pinflow.KindOf(err) != c.kind || (err == nil) != (c.kind == pinflow.Internal) {
					t.Errorf("after %s: %v, want %s after %s", took, err, c.kind, c.takes)
				}
			})
		})
	}
}

// tick calls f every second.
func tick(ctx context.Context, f func()) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-ctx.Done():
			return
		}
	}
}

func TestManyWaitersAskTheStoreOncePerCommit(t *testing.T) {
	bubble(t, func(t *testing.T, s *Web, store *fakeStore) {
		var waiting sync.WaitGroup
		for i := range 500 {
			waiting.Go(func() {
				if err := s.await(t.Context(), []pinflow.Position{at(0, int64(i%5))}, time.Minute); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		for range 5 {
			store.commit(1, nil)
			synctest.Wait()
		}
		waiting.Wait()
		store.mu.Lock()
		defer store.mu.Unlock()
		if store.places > 8 {
			t.Errorf("the store was asked for its positions %d times", store.places)
		}
	})
}

func TestAwaitEndsWithItsRequest(t *testing.T) {
	bubble(t, func(t *testing.T, s *Web, _ *fakeStore) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.await(ctx, []pinflow.Position{at(0, 1000)}, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestAwaitEndsWithClose(t *testing.T) {
	bubble(t, func(t *testing.T, s *Web, _ *fakeStore) {
		start := time.Now()
		time.AfterFunc(time.Second, s.Close)
		err := s.await(t.Context(), []pinflow.Position{at(0, 1000)}, time.Minute)
		if took := time.Since(start); pinflow.KindOf(err) != pinflow.Unavailable || took != time.Second {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

func TestAfterOverHTTP(t *testing.T) {
	s := serve(t, 3, nil)
	status, header, body := s.get(t, "/api/metrics/totals?after=t:0:3&timeout=1ms")
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(body, "records before offset 3 are") {
		t.Errorf("too late: %d %v %s", status, header, body)
	}
	for _, after := range []string{"t:0:2", "t:0:1&after=t:0:2"} {
		if status, _, body := s.get(t, "/api/metrics/totals?timeout=0s&after="+after); status != 200 {
			t.Errorf("after %s: %d %s", after, status, body)
		}
	}
	answered := make(chan string)
	go func() {
		_, header, _ := s.get(t, "/api/metrics/totals?after=t:0:3")
		answered <- header.Get(positionHeader)
	}()
	s.store.commit(1, nil)
	if got := <-answered; got != "t:0:4" {
		t.Errorf("the answer is exact for %q", got)
	}
}
