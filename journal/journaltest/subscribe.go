package journaltest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
)

// member is a subscription whose assignee notes where each partition is.
type member struct {
	sub   pinflow.Subscription
	start func(pinflow.TopicPartition) int64

	mu    sync.Mutex
	busy  bool // in one of the assignee's methods
	next  map[pinflow.TopicPartition]int64
	fault string
	given func(pinflow.TopicPartition, int64) // is told where each partition was when it went
}

func (t *T) member(group, topic string, start func(pinflow.TopicPartition) int64) *member {
	t.Helper()
	m := &member{start: start, next: map[pinflow.TopicPartition]int64{}, given: func(pinflow.TopicPartition, int64) {}}
	sub, err := t.Journal.Subscribe(t.ctx, group+"-"+topic, []string{topic}, m)
	if err != nil {
		t.Fatal(err)
	}
	m.sub = sub
	return m
}

// Assigned implements pinflow.Assignee.
func (m *member) Assigned(_ context.Context, partitions []pinflow.TopicPartition) (map[pinflow.TopicPartition]int64, error) {
	defer m.enter()()
	starts := map[pinflow.TopicPartition]int64{}
	for _, tp := range partitions {
		if _, mine := m.next[tp]; mine {
			m.fault = fmt.Sprintf("%s assigned twice", tp)
		}
		starts[tp] = m.start(tp)
		m.next[tp] = starts[tp]
	}
	return starts, nil
}

// Revoked implements pinflow.Assignee.
func (m *member) Revoked(_ context.Context, partitions []pinflow.TopicPartition) {
	defer m.enter()()
	for _, tp := range partitions {
		at, mine := m.next[tp]
		if !mine {
			m.fault = fmt.Sprintf("%s revoked and not assigned", tp)
		}
		delete(m.next, tp)
		m.given(tp, at)
	}
}

// enter notes when the assignee is called from two places at once.
func (m *member) enter() (leave func()) {
	m.mu.Lock()
	if m.busy {
		m.fault = "the assignee was called at the same time as itself"
	}
	m.busy = true
	return func() {
		m.busy = false
		m.mu.Unlock()
	}
}

func (m *member) check(t *T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault != "" {
		t.Fatal(m.fault)
	}
}

// poll polls and fails the test on an error.
func (m *member) poll(t *T, maxRecords int) []pinflow.Run {
	t.Helper()
	runs, err := m.sub.Poll(t.ctx, maxRecords)
	if err != nil {
		t.Fatal(err)
	}
	m.check(t)
	return runs
}

// close closes and checks that all partitions were taken away.
func (m *member) close(t *T) {
	t.Helper()
	if err := m.sub.Close(); err != nil {
		t.Error(err)
	}
	m.check(t)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.next) > 0 {
		t.Errorf("closed, and not revoked: %v", m.next)
	}
}

// testTwoReaders has two groups read the same at once, each all of it and from where it says.
func testTwoReaders(t *T) {
	topic := t.topic(1)
	t.fill(topic, 60)
	var wg sync.WaitGroup
	for _, start := range []int64{0, 40} {
		wg.Go(func() {
			m := t.member(fmt.Sprintf("from-%d", start), topic, func(pinflow.TopicPartition) int64 { return start })
			defer m.close(t)
			for next := start; next < 300; {
				runs, err := m.sub.Poll(t.ctx, 7)
				if err != nil {
					t.Error(err)
					return
				}
				for _, run := range runs {
					if run.Err != nil || run.End < run.Records[len(run.Records)-1].Offset+1 || len(run.Records) > 7 {
						t.Errorf("run of %d records with end %d: %v", len(run.Records), run.End, run.Err)
						return
					}
					for _, r := range run.Records {
						if r.Offset != next {
							t.Errorf("from %d: offset %d where %d was next", start, r.Offset, next)
							return
						}
						next++
					}
				}
				// What a group commits is never where it starts.
				m.sub.Committed(t.ctx, map[pinflow.TopicPartition]int64{{Topic: topic}: 123})
			}
		})
	}
	for range 8 {
		t.fill(topic, 30)
	}
	wg.Wait()
	m := t.member("from-0", topic, func(pinflow.TopicPartition) int64 { return 5 })
	defer m.close(t)
	if r := m.poll(t, 1)[0].Records[0]; r.Offset != 5 {
		t.Errorf("a group that had committed starts at %d, its assignee said 5", r.Offset)
	}
}

// testRebalance lets members come and go while records are appended: with positions that the assignees
// hand over, every record is seen once.
func testRebalance(t *T) {
	const partitions, total = 4, 800
	topic := t.topic(partitions)
	var mu sync.Mutex
	positions := map[pinflow.TopicPartition]int64{}
	seen := map[pinflow.Position]int{}
	var count int
	all := make(chan struct{})

	work := func(until <-chan struct{}, takes chan<- struct{}) {
		var once sync.Once
		m := t.member("rebalance", topic, func(tp pinflow.TopicPartition) int64 {
			mu.Lock()
			defer mu.Unlock()
			once.Do(func() { close(takes) })
			return positions[tp]
		})
		m.given = func(tp pinflow.TopicPartition, at int64) {
			mu.Lock()
			defer mu.Unlock()
			positions[tp] = at
		}
		defer m.close(t)
		ctx, cancel := context.WithCancel(t.ctx)
		defer cancel()
		go func() {
			select {
			case <-until:
				cancel()
			case <-ctx.Done():
			}
		}()
		for {
			runs, err := m.sub.Poll(ctx, 10)
			if errors.Is(err, context.Canceled) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			for _, run := range runs {
				m.mu.Lock()
				next, mine := m.next[run.TopicPartition]
				if !mine || run.Err != nil || run.Records[0].Offset != next {
					m.fault = fmt.Sprintf("a run of %s, %v, at %d where %d was next (mine: %v)", run.TopicPartition, run.Err, run.Records[0].Offset, next, mine)
				}
				m.next[run.TopicPartition] = run.Records[len(run.Records)-1].Offset + 1
				m.mu.Unlock()
				mu.Lock()
				for _, r := range run.Records {
					seen[r.Position()]++
				}
				if count += len(run.Records); count >= total {
					select {
					case <-all:
					default:
						close(all)
					}
				}
				mu.Unlock()
			}
			m.check(t)
		}
	}
	stopFirst, stopSecond := make(chan struct{}), make(chan struct{})
	firstTakes, secondTakes := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range total / partitions {
			drafts := make([]pinflow.Draft, partitions)
			for p := range drafts {
				drafts[p] = pinflow.Draft{Topic: topic, Partition: int32(p), Value: fmt.Append(nil, i)}
			}
			for _, r := range t.Journal.Append(t.ctx, drafts) {
				if r.Err != nil {
					t.Error(r.Err)
					return
				}
			}
			if i == total/partitions/2 { // the second member has come and takes part before the rest is appended
				t.await(secondTakes, "the second member to take partitions")
			}
		}
	})
	wg.Go(func() { work(stopFirst, firstTakes) })
	t.await(firstTakes, "the first member to take partitions")
	wg.Go(func() { work(stopSecond, secondTakes) })
	t.await(secondTakes, "the second member to take partitions")
	close(stopFirst)
	t.await(all, "all records")
	close(stopSecond)
	wg.Wait()
	for p, n := range seen {
		if n != 1 {
			t.Errorf("%s was seen %d times", p, n)
		}
	}
	if len(seen) != total {
		t.Errorf("%d records were seen, want %d", len(seen), total)
	}
}

// testHeld lets no rebalance happen while a member holds what Poll has returned.
func testHeld(t *T) {
	topic := t.topic(2)
	t.append(pinflow.Draft{Topic: topic, Value: []byte("a")}, pinflow.Draft{Topic: topic, Partition: 1, Value: []byte("b")})
	start := func(pinflow.TopicPartition) int64 { return 0 }
	first := t.member("held", topic, start)
	first.poll(t, 1)
	second := t.member("held", topic, start)
	// Some heartbeats long, the second gets nothing and nothing is taken from the first.
	ctx, cancel := context.WithTimeout(t.ctx, 2*time.Second)
	defer cancel()
	if runs, err := second.sub.Poll(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while the first member holds its partitions, the second got %+v, %v", runs, err)
	}
	first.mu.Lock()
	if len(first.next) != 2 {
		t.Errorf("of what it holds, the first member has %v", first.next)
	}
	first.mu.Unlock()
	first.sub.Release()
	if runs := second.poll(t, 1); len(runs[0].Records) != 1 {
		t.Errorf("after Release, the second member got %+v", runs)
	}
	first.close(t)
	second.close(t)
}

// await waits for what takes a rebalance.
func (t *T) await(c <-chan struct{}, what string) {
	t.Helper()
	timer := time.NewTimer(t.Patience)
	defer timer.Stop()
	select {
	case <-c:
	case <-t.ctx.Done():
		t.Errorf("waiting for %s: %v", what, t.ctx.Err())
	case <-timer.C:
		t.Errorf("waited %s for %s", t.Patience, what)
	}
}

// testSeek goes to any offset, what is buffered or not.
func testSeek(t *T) {
	tp := pinflow.TopicPartition{Topic: t.topic(1)}
	t.fill(tp.Topic, 200)
	m := t.member("seek", tp.Topic, func(pinflow.TopicPartition) int64 { return 0 })
	defer m.close(t)
	next := int64(0)
	for _, to := range []int64{0, 100, 100, 3, 0, 199, 50, 57, 50} {
		run := m.poll(t, 7)[0]
		if run.Records[0].Offset != next || run.End != 200 {
			t.Fatalf("read at %d with end %d, want %d and 200", run.Records[0].Offset, run.End, next)
		}
		m.sub.Seek(tp, to)
		next = to
	}
	for range 2 { // once more to where it has failed is a new try
		m.sub.Seek(tp, 1000)
		if run := m.poll(t, 7)[0]; pinflow.KindOf(run.Err) != pinflow.OutOfRange || len(run.Records) != 0 {
			t.Fatalf("behind the end: %+v, want out of range", run)
		}
		ctx, cancel := context.WithTimeout(t.ctx, 200*time.Millisecond)
		if runs, err := m.sub.Poll(ctx, 7); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("polled %+v, %v of a partition that has stopped", runs, err)
		}
		cancel()
	}
	m.sub.Seek(tp, 200)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.Journal.Append(t.ctx, []pinflow.Draft{{Topic: tp.Topic, Value: []byte("new")}})
	}()
	if run := m.poll(t, 7)[0]; run.Err != nil || run.Records[0].Offset != 200 {
		t.Errorf("after Seek to the end: %+v, want the new record", run)
	}
	<-done
}

type refuses struct{ err error }

func (r refuses) Assigned(context.Context, []pinflow.TopicPartition) (map[pinflow.TopicPartition]int64, error) {
	return nil, r.err
}
func (r refuses) Revoked(context.Context, []pinflow.TopicPartition) {}

// testAssigneeError ends the subscription with the assignee's error.
func testAssigneeError(t *T) {
	topic := t.topic(1)
	want := errors.New("the store is down")
	sub, err := t.Journal.Subscribe(t.ctx, "refused-"+topic, []string{topic}, refuses{want})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sub.Poll(t.ctx, 1); !errors.Is(err, want) {
		t.Errorf("polled %v, want the assignee's error", err)
	}
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
}

// testContextEnds returns from what waits.
func testContextEnds(t *T) {
	topic := t.topic(1)
	m := t.member("ends", topic, func(pinflow.TopicPartition) int64 { return 0 })
	ctx, cancel := context.WithTimeout(t.ctx, 50*time.Millisecond)
	defer cancel()
	if runs, err := m.sub.Poll(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || len(runs) > 0 {
		t.Errorf("polled %v, %v; want the context's error", runs, err)
	}
	if _, err := t.Journal.Read(ctx, pinflow.TopicPartition{Topic: topic}, 0, 1); err == nil {
		t.Errorf("read with an ended context")
	}
	// The subscription is as good as before.
	t.fill(topic, 1)
	if run := m.poll(t, 1)[0]; len(run.Records) != 1 {
		t.Errorf("polled %+v after it", run)
	}
	m.sub.Release()
	m.close(t)
	if _, err := m.sub.Poll(t.ctx, 1); err == nil {
		t.Error("polled after Close")
	}
}
