package refine_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/pinflow/pinflow"
)

// journal is a journal in memory with one consumer group, whose partitions move only when a test says so.
type journal struct {
	mu      sync.Mutex
	log     map[pinflow.TopicPartition][]pinflow.Record
	start   map[pinflow.TopicPartition]int64 // of the log; what is before has been deleted
	members []*member
	changed chan struct{} // closed, and replaced, when a poll may find something new
	chunk   func() int    // how many records a fetch has
}

func newJournal(chunk func() int) *journal {
	return &journal{log: map[pinflow.TopicPartition][]pinflow.Record{}, start: map[pinflow.TopicPartition]int64{}, changed: make(chan struct{}), chunk: chunk}
}

func (j *journal) append(records ...pinflow.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range records {
		tp := r.Position().TopicPartition
		j.log[tp] = append(j.log[tp], r)
	}
	j.tell()
}

// delete deletes what is before an offset.
func (j *journal) delete(tp pinflow.TopicPartition, start int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.start[tp] = start
	j.tell()
}

func (j *journal) tell() {
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *journal) end(tp pinflow.TopicPartition) int64 {
	if n := len(j.log[tp]); n > 0 {
		return j.log[tp][n-1].Offset + 1
	}
	return 0
}

// member is a subscription.
type member struct {
	j        *journal
	assignee pinflow.Assignee
	gate     chan struct{} // holds a token while nobody may rebalance
	holding  bool          // whether the subscriber has it
	at       map[pinflow.TopicPartition]int64
	stopped  map[pinflow.TopicPartition]bool
	err      error
	closed   bool
	hints    map[pinflow.TopicPartition]int64
	sought   func(tp pinflow.TopicPartition, offset int64) // what happens just before a Seek
}

func (j *journal) Subscribe(_ context.Context, _ string, _ []string, a pinflow.Assignee) (pinflow.Subscription, error) {
	m := &member{j: j, assignee: a, gate: make(chan struct{}, 1), at: map[pinflow.TopicPartition]int64{},
		stopped: map[pinflow.TopicPartition]bool{}, hints: map[pinflow.TopicPartition]int64{}, sought: func(pinflow.TopicPartition, int64) {}}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.members = append(j.members, m)
	j.tell()
	return m, nil
}

func (m *member) Poll(ctx context.Context, most int) ([]pinflow.Run, error) {
	m.Release()
	for {
		select {
		case m.gate <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		m.j.mu.Lock()
		runs, err, changed := m.fetch(min(most, m.j.chunk())), m.err, m.j.changed
		m.j.mu.Unlock()
		if m.holding = len(runs) > 0 || err != nil; m.holding {
			return runs, err
		}
		<-m.gate
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (m *member) fetch(most int) (runs []pinflow.Run) {
	for tp, at := range m.at {
		all := m.j.log[tp]
		run := pinflow.Run{TopicPartition: tp, End: m.j.end(tp)}
		from, _ := slices.BinarySearchFunc(all, at, func(r pinflow.Record, o int64) int { return int(r.Offset - o) })
		switch {
		case m.stopped[tp]:
			continue
		case at < m.j.start[tp] || at > run.End:
			run.Err = &pinflow.Error{Op: "read", On: tp.String(), Kind: pinflow.OutOfRange}
			m.stopped[tp] = true
		default:
			run.Records = slices.Clone(all[from:min(from+most, len(all))])
		}
		if n := len(run.Records); n > 0 {
			most -= n
			m.at[tp] = run.Records[n-1].Offset + 1
		}
		if len(run.Records) > 0 || run.Err != nil {
			runs = append(runs, run)
		}
	}
	return runs
}

func (m *member) Release() {
	if m.holding {
		m.holding = false
		<-m.gate
	}
}

func (m *member) Seek(tp pinflow.TopicPartition, offset int64) {
	m.sought(tp, offset)
	m.j.mu.Lock()
	defer m.j.mu.Unlock()
	if _, ok := m.at[tp]; ok {
		m.at[tp], m.stopped[tp] = offset, false
		m.j.tell()
	}
}

func (m *member) Committed(_ context.Context, offsets map[pinflow.TopicPartition]int64) {
	m.j.mu.Lock()
	defer m.j.mu.Unlock()
	maps.Copy(m.hints, offsets)
}

func (m *member) Close() error {
	m.Release()
	m.j.mu.Lock()
	m.closed = true
	m.j.members = slices.DeleteFunc(m.j.members, func(o *member) bool { return o == m })
	m.j.mu.Unlock()
	m.gate <- struct{}{} // a rebalance under way ends
	m.revoke(m.owned())
	<-m.gate
	return nil
}

func (m *member) isClosed() bool {
	m.j.mu.Lock()
	defer m.j.mu.Unlock()
	return m.closed
}

// assign gives a member partitions, which it may have already. The caller has its gate.
func (m *member) assign(ctx context.Context, tps []pinflow.TopicPartition) {
	if len(tps) == 0 {
		return
	}
	at, err := m.assignee.Assigned(ctx, tps)
	m.j.mu.Lock()
	defer m.j.mu.Unlock()
	maps.Copy(m.at, at)
	for _, tp := range tps {
		delete(m.stopped, tp)
	}
	if err != nil {
		m.err = err
	}
	m.j.tell()
}

// revoke takes partitions away from a member. The caller has its gate.
func (m *member) revoke(tps []pinflow.TopicPartition) {
	if len(tps) == 0 {
		return
	}
	m.assignee.Revoked(context.Background(), tps)
	m.j.mu.Lock()
	defer m.j.mu.Unlock()
	for _, tp := range tps {
		delete(m.at, tp)
	}
}

// rebalance deals all partitions out anew. Members are asked one after the other, each when its gate lets it; one that
// is left out of the asking keeps what it believes to have, as does a member that the group has given up.
func (j *journal) rebalance(ctx context.Context, r *rand.Rand, zombies bool) {
	j.mu.Lock()
	members := slices.Clone(j.members)
	tps := slices.Collect(maps.Keys(j.log))
	j.mu.Unlock()
	if len(members) == 0 {
		return
	}
	slices.SortFunc(tps, func(a, b pinflow.TopicPartition) int { return int(a.Partition - b.Partition) })
	deal := map[*member][]pinflow.TopicPartition{}
	for _, tp := range tps {
		m := members[r.IntN(len(members))]
		deal[m] = append(deal[m], tp)
	}
	ask := func(f func(*member)) {
		for _, m := range members {
			if zombies && r.IntN(4) == 0 {
				continue
			}
			m.gate <- struct{}{}
			if !m.isClosed() {
				f(m)
			}
			<-m.gate
		}
	}
	ask(func(m *member) {
		m.revoke(slices.DeleteFunc(m.owned(), func(tp pinflow.TopicPartition) bool { return slices.Contains(deal[m], tp) }))
	})
	ask(func(m *member) {
		owned := m.owned()
		m.assign(ctx, slices.DeleteFunc(deal[m], func(tp pinflow.TopicPartition) bool { return slices.Contains(owned, tp) && r.IntN(5) > 0 }))
	})
}

func (m *member) owned() []pinflow.TopicPartition {
	m.j.mu.Lock()
	defer m.j.mu.Unlock()
	return slices.Collect(maps.Keys(m.at))
}

// archive is a lake that has what the journal had.
type archive struct {
	j      *journal
	mu     sync.Mutex
	begin  map[pinflow.TopicPartition]int64
	end    map[pinflow.TopicPartition]int64
	erased map[pinflow.Position]bool
	fail   func() error // of a line
	read   int          // lines, so far
	open   int          // readings
	most   int          // of these at a time
}

func newArchive(j *journal) *archive {
	return &archive{j: j, begin: map[pinflow.TopicPartition]int64{}, end: map[pinflow.TopicPartition]int64{}, erased: map[pinflow.Position]bool{}, fail: func() error { return nil }}
}

// put takes what the journal has up to an offset.
func (a *archive) put(tp pinflow.TopicPartition, end int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end[tp] = end
}

func (a *archive) ReadFrom(ctx context.Context, tp pinflow.TopicPartition, offset int64) iter.Seq2[pinflow.Line, error] {
	return func(yield func(pinflow.Line, error) bool) {
		a.j.mu.Lock()
		log := slices.Clone(a.j.log[tp])
		a.j.mu.Unlock()
		a.mu.Lock()
		begin, end := a.begin[tp], a.end[tp]
		a.open++
		a.most = max(a.most, a.open)
		a.mu.Unlock()
		defer func() {
			a.mu.Lock()
			a.open--
			a.mu.Unlock()
		}()
		if offset < begin {
			yield(pinflow.Line{}, &pinflow.Error{Op: "read the lake", On: tp.String(), Kind: pinflow.OutOfRange})
			return
		}
		for _, r := range log {
			if r.Offset < offset || r.Offset >= end {
				continue
			}
			a.mu.Lock()
			line := pinflow.Line{Record: r}
			if a.erased[r.Position()] {
				line = pinflow.Line{Record: pinflow.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}, Erased: true}
			}
			a.read++
			a.mu.Unlock()
			err := a.fail()
			if err == nil {
				err = ctx.Err()
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// engine makes deltas that hold every record.
type engine struct {
	fail func(pinflow.Batch) error
}

// counted is a record with its period, as the store keeps it.
type counted struct {
	pinflow.Position
	period pinflow.Period
}

type countedRows []counted

func (c countedRows) Scan(_ context.Context, f func([]any) error) error {
	for _, row := range c {
		if err := f([]any{row}); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) Refine(ctx context.Context, b pinflow.Batch) (pinflow.Delta, error) {
	if e.fail != nil {
		if err := e.fail(b); err != nil {
			return pinflow.Delta{}, err
		}
	}
	d := pinflow.Delta{Generation: "g", Close: func() {}}
	var all countedRows
	for _, s := range b.Slices {
		d.Advances = append(d.Advances, pinflow.Advance{TopicPartition: s.TopicPartition, Start: s.Start, End: s.End, Period: s.Floor})
		for i := range s.Records {
			all = append(all, counted{s.Records[i].Position(), s.Periods[i]})
		}
	}
	d.Added = []pinflow.Addition{{Table: "counted", Rows: all}}
	return d, ctx.Err()
}

// memory is a store that keeps every record that is counted, and how often.
type memory struct {
	mu       sync.Mutex
	progress map[pinflow.TopicPartition]pinflow.Progress
	counted  map[pinflow.Position][]pinflow.Period
	commits  int
	changed  chan struct{}                              // closed, and replaced, by a commit
	fail     func() (before, after error)               // of a commit: nothing is applied, or all of it
	during   func(ctx context.Context, d pinflow.Delta) // what happens before the transaction
}

func newMemory() *memory {
	return &memory{progress: map[pinflow.TopicPartition]pinflow.Progress{}, counted: map[pinflow.Position][]pinflow.Period{}, changed: make(chan struct{}),
		fail: func() (error, error) { return nil, nil }, during: func(context.Context, pinflow.Delta) {}}
}

func (s *memory) Prepare(context.Context, *pinflow.Plan) error { return nil }

func (s *memory) Claim(_ context.Context, _ string, start map[pinflow.TopicPartition]int64) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	if before, _ := s.fail(); before != nil {
		return nil, before
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := map[pinflow.TopicPartition]pinflow.Progress{}
	for tp, offset := range start {
		if _, ok := s.progress[tp]; !ok {
			s.progress[tp] = pinflow.Progress{NextOffset: offset, Period: pinflow.NoPeriod}
		}
		at[tp] = s.progress[tp]
	}
	return at, nil
}

func (s *memory) Commit(ctx context.Context, d pinflow.Delta) error {
	s.during(ctx, d)
	before, after := s.fail()
	if before != nil {
		return before
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range d.Advances {
		if at := s.progress[a.TopicPartition]; at.NextOffset != a.Start {
			return &pinflow.Error{Op: "commit", On: a.TopicPartition.String(), Kind: pinflow.Fenced, Err: fmt.Errorf("at %d, not %d", at.NextOffset, a.Start)}
		}
	}
	for _, a := range d.Advances {
		s.progress[a.TopicPartition] = pinflow.Progress{NextOffset: a.End, Period: max(a.Period, s.progress[a.TopicPartition].Period)}
	}
	for _, a := range d.Added {
		if a.Table != "counted" {
			continue
		}
		err := a.Rows.Scan(ctx, func(row []any) error {
			c, ok := row[0].(counted)
			if !ok {
				return errors.New("no counted record")
			}
			s.counted[c.Position] = append(s.counted[c.Position], c.period)
			return nil
		})
		if err != nil {
			return err
		}
	}
	s.commits++
	close(s.changed)
	s.changed = make(chan struct{})
	return after
}
