package refine

import (
	"slices"
	"time"

	"github.com/pinflow/pinflow"
)

// partition is one assignment of a partition: a partition that goes and comes again is another one.
type partition struct {
	pinflow.TopicPartition
	next    int64            // the offset behind what was put into batches
	floor   pinflow.Period   // the period of the record before next
	from    int64            // where reading began: nothing is counted twice, whatever comes
	pending []pinflow.Record // fetched, and in no batch yet
	size    int64            // of pending, in bytes
	counted int64            // the offset behind what was committed
	end     int64            // of the log, as last heard
	err     error            // why it has stopped; the journal says no more of it until another assignment
	past    *past            // the reading of what the journal has deleted, nil if the journal is read

	// lost means that next is not where the store stands: what comes is passed over until notBefore, then the
	// position is read again.
	lost      bool
	notBefore time.Time
	failures  int // in a row, of the batches that the partition was in
}

// alone tells whether the partition's records go into batches of their own, because a batch with them has failed.
func (p *partition) alone() bool { return p.failures > 0 }

// limit is how many records a batch takes of it: after failures ever fewer, to find those that go.
func (p *partition) limit(most int) int { return max(most>>min(3*p.failures, 30), 1) }

// hold keeps what was fetched until it is put into a batch. The caller has the lock.
func (p *partition) hold(run pinflow.Run) {
	p.end = max(p.end, run.End)
	if run.Err != nil && pinflow.KindOf(run.Err) != pinflow.OutOfRange {
		p.err = run.Err
	}
	if p.lost {
		return
	}
	behind, records := p.behind(), run.Records
	for len(records) > 0 && records[0].Offset < behind {
		records = records[1:]
	}
	p.pending = append(p.pending, records...)
	for i := range records {
		p.size += sizeOf(&records[i])
	}
}

// behind is the offset of which nothing has come yet. The caller has the lock.
func (p *partition) behind() int64 {
	behind := max(p.next, p.from)
	if n := len(p.pending); n > 0 {
		behind = max(behind, p.pending[n-1].Offset+1)
	}
	return behind
}

// forget ends the reading of the history. The caller has the lock.
func (p *partition) forget() {
	if p.past != nil {
		p.past.cancel()
		p.past = nil
	}
}

// lose drops what is held and has the position read again, after a while if there is a delay. The caller has the lock.
func (p *partition) lose(delay time.Duration) {
	p.pending, p.size = nil, 0
	p.forget()
	p.lost = true
	p.notBefore = time.Now().Add(delay)
}

// take makes a slice of pending records, up to a number and to a size, and returns it with its size.
func (p *partition) take(records int, bytes int64, period pinflow.PeriodLength) (pinflow.Slice, int64) {
	n, size := 0, int64(0)
	for n < min(len(p.pending), records) && (n == 0 || size < bytes) {
		size += sizeOf(&p.pending[n])
		n++
	}
	s := pinflow.Slice{TopicPartition: p.TopicPartition, Start: p.next, Records: p.pending[:n:n], Periods: make([]pinflow.Period, n)}
	for i := range s.Records {
		p.floor = period.Of(s.Records[i].Timestamp, p.floor)
		s.Periods[i] = p.floor
	}
	p.next = s.Records[n-1].Offset + 1
	s.End, s.Floor = p.next, p.floor
	p.size -= size
	if p.pending = p.pending[n:]; len(p.pending) == 0 {
		p.pending = nil
	}
	return s, size
}

// sizeOf is about what a record takes in memory.
func sizeOf(r *pinflow.Record) int64 {
	n := 128 + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += 64 + len(h.Key) + len(h.Value)
	}
	return int64(n)
}

// PartitionStatus is how a worker stands with a partition assigned to it.
type PartitionStatus struct {
	pinflow.TopicPartition
	Next int64 // the offset behind what is counted
	End  int64 // of the log, as last heard
	Err  error // why it has stopped, nil if it has not
	Past bool  // records are being read from the lake that the journal does not have any more
}

// Partitions returns how the worker stands with each partition assigned to it, in order.
func (s *Stream) Partitions() []PartitionStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []PartitionStatus
	for _, p := range s.sorted() {
		all = append(all, PartitionStatus{p.TopicPartition, p.counted, max(p.end, p.counted), p.err, p.past != nil})
	}
	return all
}

// LastError returns the last error that the worker got over, nil if there was none.
func (s *Stream) LastError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastErr
}

// sorted returns the partitions assigned, in order. The caller has the lock.
func (s *Stream) sorted() []*partition {
	all := make([]*partition, 0, len(s.parts))
	for _, p := range s.parts {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *partition) int { return a.TopicPartition.Compare(b.TopicPartition) })
	return all
}
