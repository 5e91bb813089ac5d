package laketest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
)

// sealing is the sealers of a simulation.
type sealing struct {
	grace  time.Duration
	within bool // the broker's clock steps back by no more than the grace
	crew   []*sealWorker
	seen   map[string][]byte // seals by name, as they were first seen
}

// sealWorker is a process with a sealer.
type sealWorker struct {
	*lake.Sealer
	process *Process
	busy    chan struct{} // holds a token while nothing runs
}

func (s *simulation) newSealing() {
	s.sealing.within = s.random.IntN(3) > 0
	s.sealing.grace = []time.Duration{0, s.length / 2, 3 * s.length}[s.random.IntN(3)]
	s.sealing.seen = map[string][]byte{}
	for range 1 + s.random.IntN(2) {
		s.hireSealer()
	}
}

// hireSealer starts a process with a sealer, whose clock is the broker's, or stands still so that append times alone count.
func (s *simulation) hireSealer() {
	clock := s.now
	if s.random.IntN(3) == 0 {
		clock = func() time.Time { return time.UnixMilli(0) }
	}
	w := &sealWorker{process: NewProcess(s.memory, &s.late, s.random.Uint64(), s.faults, s.slow), busy: make(chan struct{}, 1)}
	var err error
	w.Sealer, err = lake.NewSealer(lake.SealerOptions{Objects: w.process, Journal: s.journal, Topics: s.options.Topics, Grace: s.sealing.grace, Clock: clock})
	if err != nil {
		s.t.Fatal(err)
	}
	w.busy <- struct{}{}
	s.sealing.crew = append(s.sealing.crew, w)
}

// now is the broker's clock, as the latest it ever was.
func (s *simulation) now() time.Time { return time.UnixMilli(s.latest.Load()) }

// sealStep lets a sealer work beside all else, or kills it.
func (s *simulation) sealStep() {
	s.remember()
	i := s.random.IntN(len(s.sealing.crew))
	w := s.sealing.crew[i]
	if s.random.IntN(6) == 0 {
		w.process.Kill()
		s.sealing.crew = slices.Delete(s.sealing.crew, i, i+1)
		s.hireSealer()
		return
	}
	select {
	case <-w.busy:
	default:
		return
	}
	s.leavers.Go(func() {
		defer func() { w.busy <- struct{}{} }()
		_, err := w.Seal(s.t.Context())
		if err != nil && s.faults == 0 && !w.process.killed() {
			s.fault(fmt.Errorf("a sealer: %w", err))
		}
	})
}

// remember keeps seals as they are first seen, and finds those that have changed.
func (s *simulation) remember() {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	for name, content := range s.memory.objects {
		if !strings.HasSuffix(name, "/_SUCCESS") {
			continue
		}
		if before, ok := s.sealing.seen[name]; ok && !bytes.Equal(before, content) {
			s.fault(fmt.Errorf("the seal %s has changed from %s to %s", name, before, content))
		}
		s.sealing.seen[name] = content
	}
	for name := range s.sealing.seen {
		if s.memory.objects[name] == nil {
			s.fault(fmt.Errorf("the seal %s is gone", name))
		}
	}
}

// sealRest seals all that there is, by a sealer without faults, and checks the seals.
func (s *simulation) sealRest(ctx context.Context) error {
	s.remember()
	end := s.now().Add(s.sealing.grace + 2*s.length)
	o := lake.SealerOptions{Objects: s.memory, Journal: s.journal, Topics: s.options.Topics, Grace: s.sealing.grace, Clock: func() time.Time { return end }}
	last, err := lake.NewSealer(o)
	if err != nil {
		return err
	}
	st, err := last.Seal(ctx)
	if err != nil {
		return fmt.Errorf("the last sealer: %w", err)
	}
	if err := CheckSeals(ctx, s.journal, s.memory, s.options.Topics, s.length, s.sealing.within, true); err != nil {
		return fmt.Errorf("%w (grace %s, status %+v)", err, s.sealing.grace, st)
	}
	s.remember()
	again, err := last.Seal(ctx)
	if err != nil || len(again.Sealed) > 0 || again.Last != st.Last || again.Next != st.Next {
		return fmt.Errorf("sealing again did something: %+v, %+v, %w", st, again, err)
	}
	fresh, err := lake.NewSealer(o)
	if err != nil {
		return err
	}
	if seen, err := fresh.Status(ctx); err != nil || seen.Last != st.Last || seen.Next != st.Next || seen.Waiting != again.Waiting {
		return fmt.Errorf("another sealer sees %+v, not %+v, %w", seen, again, err)
	}
	return nil
}

// CheckSeals returns what is wrong with the seals of topics, given all that the journal ever had: per topic, sealed periods follow one another, and
// in each partition their ranges do, which hold each record of the journal once, as RawReader reads it. If exact is true, each
// record lies in the range of its own log period; if complete, all records are sealed.
func CheckSeals(ctx context.Context, j *Journal, objects pinflow.Objects, topics []string, length time.Duration, exact, complete bool) error {
	raw := lake.NewRaw(objects)
	lasts := map[pinflow.Period]bool{}
	for _, topic := range topics {
		c := sealCheck{raw: raw, topic: topic, length: length, exact: exact, at: map[int32]*cursor{}}
		for _, tp := range j.Partitions() {
			if tp.Topic == topic {
				c.at[tp.Partition] = &cursor{records: j.Records(tp), floor: -1 << 62}
			}
		}
		n, last := 0, pinflow.Period(0)
		for s, err := range raw.Seals(ctx, topic) {
			if err != nil {
				return err
			}
			if n++; n > 1 && s.Period != last+pinflow.Period(length.Milliseconds()) {
				return fmt.Errorf("%s: the period %d follows %d", topic, s.Period, last)
			}
			last = s.Period
			if err := c.seal(ctx, s); err != nil {
				return fmt.Errorf("%s, period %s: %w", topic, periodName(int64(s.Period), length), err)
			}
		}
		lasts[last] = true
		for p, at := range c.at {
			if complete && len(at.records) > at.n {
				return fmt.Errorf("%s:%d: %d of %d records are sealed", topic, p, at.n, len(at.records))
			}
		}
		if err := readFromAnywhere(ctx, raw, j, topic); err != nil {
			return err
		}
	}
	if len(lasts) > 1 {
		return fmt.Errorf("the topics are sealed up to different periods: %v", slices.Sorted(maps.Keys(lasts)))
	}
	return nil
}

// sealCheck walks the seals of a topic.
type sealCheck struct {
	raw    *lake.Raw
	topic  string
	length time.Duration
	exact  bool
	at     map[int32]*cursor
}

// cursor is how far a partition's records have been found in seals.
type cursor struct {
	records []pinflow.Record
	n       int
	end     int64 // of the last range
	floor   int64
}

func (c *sealCheck) seal(ctx context.Context, s pinflow.Seal) error {
	has := map[int32]bool{}
	for _, p := range s.Partitions {
		at := c.at[p.Partition]
		if at == nil || has[p.Partition] {
			return fmt.Errorf("a partition %d", p.Partition)
		}
		has[p.Partition] = true
		if p.Start != at.end || p.End < p.Start {
			return fmt.Errorf("partition %d: the range [%d,%d) follows the end %d", p.Partition, p.Start, p.End, at.end)
		}
		if err := c.partition(ctx, s.Period, p, at); err != nil {
			return fmt.Errorf("partition %d, range [%d,%d): %w", p.Partition, p.Start, p.End, err)
		}
		at.end = p.End
	}
	for p, at := range c.at {
		if at.end > 0 && !has[p] {
			return fmt.Errorf("it does not tell of partition %d", p)
		}
	}
	return nil
}

// partition compares the records of a range with those of the journal.
func (c *sealCheck) partition(ctx context.Context, period pinflow.Period, p pinflow.SealedPartition, at *cursor) error {
	records, next := int64(0), p.Start
	for _, o := range p.Objects {
		if o.Start != next {
			return fmt.Errorf("the object %s starts at %d, not %d", o.Name, o.Start, next)
		}
		next = o.End
		for l, err := range c.raw.ReadObject(ctx, c.topic, o) {
			if err != nil {
				return err
			}
			records++
			if at.n == len(at.records) {
				return fmt.Errorf("it has the record %d, the journal has no more", l.Offset)
			}
			r := at.records[at.n]
			at.n++
			if err := sameLine(l, r); err != nil {
				return fmt.Errorf("offset %d: %w", r.Offset, err)
			}
			at.floor = max(at.floor, r.Timestamp-r.Timestamp%c.length.Milliseconds())
			if c.exact && at.floor != int64(period) {
				return fmt.Errorf("the record %d belongs to the period %s", r.Offset, periodName(at.floor, c.length))
			}
		}
	}
	if next != p.End || records != p.Records {
		return fmt.Errorf("its objects end at %d and have %d records, not %d", next, records, p.Records)
	}
	return nil
}

// sameLine compares a line with the record that the journal has.
func sameLine(l pinflow.Line, r pinflow.Record) error {
	if l.Erased || l.Topic != r.Topic || l.Partition != r.Partition || l.Offset != r.Offset || l.Timestamp != r.Timestamp || !bytes.Equal(l.Key, r.Key) || (l.Key == nil) != (r.Key == nil) {
		return fmt.Errorf("%+v came back as %+v", r, l)
	}
	if got, want := squeeze(l.Value), squeeze(r.Value); got != want {
		return fmt.Errorf("the value %s came back as %s", want, got)
	}
	if !slices.EqualFunc(l.Headers, r.Headers, func(a, b pinflow.Header) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) }) {
		return fmt.Errorf("headers %v came back as %v", r.Headers, l.Headers)
	}
	return nil
}

// squeeze takes the blanks out of a value: those of Draft have none within texts.
func squeeze(v []byte) string { return strings.ReplaceAll(string(v), " ", "") }

// readFromAnywhere reads each partition from some offsets on.
func readFromAnywhere(ctx context.Context, raw *lake.Raw, j *Journal, topic string) error {
	ends, err := raw.Ends(ctx, topic)
	if err != nil {
		return err
	}
	for _, tp := range j.Partitions() {
		if tp.Topic != topic {
			continue
		}
		all := j.Records(tp)
		for _, from := range []int64{0, ends[tp].End / 3, ends[tp].End - 1, ends[tp].End, ends[tp].End + 7} {
			n, _ := slices.BinarySearchFunc(all, from, func(r pinflow.Record, at int64) int { return int(r.Offset - at) })
			for l, err := range raw.ReadFrom(ctx, tp, from) {
				if err != nil {
					return fmt.Errorf("read %s from %d: %w", tp, from, err)
				}
				if n == len(all) || sameLine(l, all[n]) != nil {
					return fmt.Errorf("read %s from %d: found %+v", tp, from, l)
				}
				n++
			}
			if n < len(all) && all[n].Offset < ends[tp].End {
				return fmt.Errorf("read %s from %d: it ended before %d", tp, from, all[n].Offset)
			}
		}
	}
	return nil
}
