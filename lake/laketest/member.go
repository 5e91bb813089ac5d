package laketest

import (
	"context"
	"slices"
	"time"

	"github.com/pinflow/pinflow"
)

// member is a reader in the group.
type member struct {
	j          *Journal
	a          pinflow.Assignee
	ctx        context.Context
	topics     []string
	position   map[pinflow.TopicPartition]int64 // what it reads, by right or still believing so
	stopped    map[pinflow.TopicPartition]bool  // gave an error and was not sought since
	again      []pinflow.TopicPartition
	blindUntil time.Time // it does not learn before then what it has lost
	inHand     bool      // what a poll returned is being worked on
	calling    bool      // the assignee is being told something
	closed     bool      // by itself or by a crash
	ended      chan struct{}
	err        error
}

var _ pinflow.Subscription = (*member)(nil)

// Client is one process's connection to a Journal.
type Client struct {
	*Journal
	dead bool
	m    *member
}

// Client returns a new connection.
func (j *Journal) Client() *Client { return &Client{Journal: j} }

// Kill cuts the connection: the group's other members get what was its reader's, and that one is not told.
func (c *Client) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	if c.m != nil && !c.m.closed {
		c.m.leave()
	}
}

// Subscribe implements pinflow.Subscriber.
func (c *Client) Subscribe(ctx context.Context, _ string, topics []string, a pinflow.Assignee) (pinflow.Subscription, error) {
	j := c.Journal
	j.mu.Lock()
	defer j.mu.Unlock()
	if c.dead {
		return nil, &pinflow.Error{Op: "subscribe", Kind: pinflow.Unavailable, Err: errFault}
	}
	m := &member{j: j, a: a, ctx: ctx, topics: topics, position: map[pinflow.TopicPartition]int64{}, stopped: map[pinflow.TopicPartition]bool{}, ended: make(chan struct{})}
	c.m = m
	j.group = append(j.group, m)
	j.deal(func(tp pinflow.TopicPartition) bool { return j.want[tp] == nil || j.random.IntN(len(j.group)) == 0 })
	go m.follow()
	return m, nil
}

// follow tells the assignee what changes, one thing at a time, whenever nothing is in hand.
func (m *member) follow() {
	defer close(m.ended)
	m.j.mu.Lock()
	defer m.j.mu.Unlock()
	for !m.closed {
		if m.inHand || m.err != nil || !m.step() {
			m.j.cond.Wait()
		}
	}
}

// step does one thing that is to be done; false if there is none.
func (m *member) step() bool {
	var revoked, assigned []pinflow.TopicPartition
	lost := false
	for _, tp := range m.j.order {
		_, has := m.position[tp]
		switch owner := m.j.owner[tp]; {
		case has && owner == m && m.j.want[tp] != m:
			revoked = append(revoked, tp)
		case has && owner != m && !time.Now().Before(m.blindUntil):
			revoked, lost = append(revoked, tp), true
		case !has && owner == nil && m.j.want[tp] == m:
			assigned = append(assigned, tp)
		}
	}
	switch {
	case len(revoked) > 0:
		m.revoke(revoked, lost && m.j.random.IntN(2) == 0)
	case len(assigned) > 0:
		for _, tp := range assigned {
			m.j.owner[tp] = m
		}
		m.assign(assigned)
	case len(m.again) > 0:
		again := m.again
		m.again = nil
		if again = slices.DeleteFunc(again, func(tp pinflow.TopicPartition) bool { return m.j.owner[tp] != m }); len(again) > 0 {
			m.assign(again)
		}
	default:
		return false
	}
	return true
}

func (m *member) revoke(tps []pinflow.TopicPartition, lost bool) {
	ctx, cancel := context.WithCancel(m.ctx)
	defer cancel()
	if lost {
		cancel()
	}
	m.call(func() { m.a.Revoked(ctx, tps) })
	for _, tp := range tps {
		delete(m.position, tp)
		if m.j.owner[tp] == m {
			delete(m.j.owner, tp)
		}
	}
	m.j.cond.Broadcast()
}

func (m *member) assign(tps []pinflow.TopicPartition) {
	var offsets map[pinflow.TopicPartition]int64
	var err error
	m.call(func() { offsets, err = m.a.Assigned(m.ctx, tps) })
	if err != nil {
		m.err = err
	}
	for tp, offset := range offsets {
		m.position[tp] = offset
		delete(m.stopped, tp)
	}
	m.j.cond.Broadcast()
}

// call calls the assignee while no poll can return.
func (m *member) call(f func()) {
	m.calling = true
	m.j.mu.Unlock()
	f()
	m.j.mu.Lock()
	m.calling = false
	m.j.cond.Broadcast()
}

// Poll implements pinflow.Subscription.
func (m *member) Poll(ctx context.Context, maxRecords int) ([]pinflow.Run, error) {
	defer context.AfterFunc(ctx, m.j.wakeAll)()
	m.j.mu.Lock()
	defer m.j.mu.Unlock()
	m.inHand = false
	m.j.cond.Broadcast()
	for {
		switch {
		case m.closed:
			return nil, &pinflow.Error{Op: "poll", Kind: pinflow.Unavailable, Err: errFault}
		case m.err != nil:
			return nil, m.err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !m.calling:
			if runs := m.fetch(maxRecords); len(runs) > 0 {
				m.inHand = true
				return runs, nil
			}
		}
		m.j.cond.Wait()
	}
}

func (j *Journal) wakeAll() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cond.Broadcast()
}

// fetch returns some of what waits, of some of the partitions.
func (m *member) fetch(maxRecords int) (runs []pinflow.Run) {
	var ready []pinflow.Run
	for _, tp := range m.j.order {
		at, has := m.position[tp]
		if !has || m.stopped[tp] {
			continue
		}
		l := m.j.log(tp)
		if at < l.start || at > l.end {
			ready = append(ready, pinflow.Run{TopicPartition: tp, End: l.end, Err: &pinflow.Error{Op: "fetch", On: tp.String(), Kind: pinflow.OutOfRange}})
			continue
		}
		from, _ := slices.BinarySearchFunc(l.records, at, func(r pinflow.Record, at int64) int { return int(r.Offset - at) })
		if n := len(l.records) - from; n > 0 {
			n = min(n, 1+m.j.random.IntN(maxRecords))
			if m.j.random.IntN(2) == 0 {
				n = min(n, 1+m.j.random.IntN(10))
			}
			run := pinflow.Run{TopicPartition: tp, End: l.end, Records: slices.Clone(l.records[from : from+n])}
			if m.j.random.Float64() < m.j.Faults {
				run.Err = &pinflow.Error{Op: "fetch", On: tp.String(), Err: errFault}
			}
			ready = append(ready, run)
		}
	}
	m.j.random.Shuffle(len(ready), func(a, b int) { ready[a], ready[b] = ready[b], ready[a] })
	if len(ready) > 1 {
		ready = ready[:1+m.j.random.IntN(len(ready))]
	}
	for _, r := range ready {
		m.stopped[r.TopicPartition] = r.Err != nil
		if n := len(r.Records); n > 0 {
			m.position[r.TopicPartition] = r.Records[n-1].Offset + 1
		}
	}
	return ready
}

// Release implements pinflow.Subscription.
func (m *member) Release() {
	m.j.mu.Lock()
	defer m.j.mu.Unlock()
	m.inHand = false
	m.j.cond.Broadcast()
}

// Seek implements pinflow.Subscription.
func (m *member) Seek(tp pinflow.TopicPartition, offset int64) {
	m.j.mu.Lock()
	defer m.j.mu.Unlock()
	if _, has := m.position[tp]; has {
		m.position[tp] = offset
		delete(m.stopped, tp)
	}
}

// Committed implements pinflow.Subscription.
func (m *member) Committed(_ context.Context, offsets map[pinflow.TopicPartition]int64) {
	for tp, offset := range offsets {
		if m.j.OnCommitted != nil {
			m.j.OnCommitted(tp, offset)
		}
	}
}

// Close implements pinflow.Subscription.
func (m *member) Close() error {
	m.j.mu.Lock()
	m.inHand = false
	for m.calling {
		m.j.cond.Wait()
	}
	if !m.closed {
		early := m.j.random.IntN(2) == 0 // others begin before this one has flushed
		if early {
			m.leave()
		}
		m.closed = true
		var all []pinflow.TopicPartition
		for _, tp := range m.j.order {
			if _, has := m.position[tp]; has {
				all = append(all, tp)
			}
		}
		m.call(func() { m.a.Revoked(m.ctx, all) })
		if !early {
			m.leave()
		}
	}
	m.j.mu.Unlock()
	<-m.ended
	return nil
}

// leave takes m out of the group. What was its own goes to others.
func (m *member) leave() {
	m.closed = true
	m.j.group = slices.DeleteFunc(m.j.group, func(o *member) bool { return o == m })
	for tp, owner := range m.j.owner {
		if owner == m {
			delete(m.j.owner, tp)
		}
	}
	m.j.deal(func(tp pinflow.TopicPartition) bool { return m.j.want[tp] == m })
}
