package refinetest

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/value"
)

// Sealed is a log as a lake keeps it: lines in objects, sealed as log periods. It is a pinflow.RawReader.
type Sealed struct {
	Log     Log
	Periods []pinflow.Period
	seals   map[string][]pinflow.Seal
	objects map[string][]string // an object's lines, by its name
	Erased  map[pinflow.Position]bool
	// Spoil changes what ReadObject yields; nil for nothing.
	Spoil func(o pinflow.SealedObject, lines []string) ([]string, error)
}

// Seal cuts a log into n periods at random offsets: the second of them has one record, the third none. Of a topic without records there is no seal.
func Seal(p *pinflow.Plan, log Log, r *rand.Rand, n int) *Sealed {
	s := &Sealed{Log: log, seals: map[string][]pinflow.Seal{}, objects: map[string][]string{}, Erased: map[pinflow.Position]bool{}}
	for i := range n {
		s.Periods = append(s.Periods, pinflow.Period(1764010000000/3600000*3600000+i*3600000))
	}
	single := r.IntN(max(len(log), 1))
	for k, tp := range log.Partitions() {
		records := log[tp]
		cuts := []int{0}
		for range n - 1 {
			cuts = append(cuts, r.IntN(len(records)+1))
		}
		slices.Sort(cuts)
		if n > 3 {
			cuts[2], cuts[3] = cuts[1], cuts[1]
			if k == single && cuts[1] < len(records) {
				cuts[2], cuts[3] = cuts[1]+1, cuts[1]+1
				cuts[4%n] = max(cuts[4%n], cuts[3])
			}
		}
		cuts[0] = 0
		slices.Sort(cuts)
		s.add(p, tp, append(cuts, len(records)), r)
	}
	return s
}

// add seals a partition: period i has the records from cuts[i] on.
func (s *Sealed) add(p *pinflow.Plan, tp pinflow.TopicPartition, cuts []int, r *rand.Rand) {
	records := s.Log[tp]
	if s.seals[tp.Topic] == nil {
		for _, period := range s.Periods {
			s.seals[tp.Topic] = append(s.seals[tp.Topic], pinflow.Seal{Topic: tp.Topic, Period: period})
		}
	}
	at := func(i int) int64 {
		switch {
		case i == 0:
			return 0
		case i == len(records):
			return records[i-1].Offset + 1
		}
		return records[i].Offset
	}
	for i := range s.Periods {
		part := pinflow.SealedPartition{Partition: tp.Partition, Start: at(cuts[i]), End: at(cuts[i+1]), Records: int64(cuts[i+1] - cuts[i])}
		for from := cuts[i]; from < cuts[i+1]; {
			to := from + 1 + r.IntN(cuts[i+1]-from)
			o := pinflow.SealedObject{Name: fmt.Sprintf("%s-%d", tp, at(from)), Start: at(from), End: at(to), Records: int64(to - from)}
			for k := from; k < to; k++ {
				s.objects[o.Name] = append(s.objects[o.Name], string(value.AppendLine(nil, &records[k])))
			}
			part.Objects = append(part.Objects, o)
			from = to
		}
		seal := &s.seals[tp.Topic][i]
		seal.Partitions = append(seal.Partitions, part)
	}
}

// Of returns the seals of the i-th period.
func (s *Sealed) Of(i int) (seals []pinflow.Seal) {
	for _, tp := range s.Log.Partitions() {
		seal := s.seals[tp.Topic][i]
		if !slices.ContainsFunc(seals, func(of pinflow.Seal) bool { return of.Topic == tp.Topic }) {
			seals = append(seals, seal)
		}
	}
	return seals
}

// PeriodOf returns the period in which a record is sealed.
func (s *Sealed) PeriodOf(tp pinflow.TopicPartition, offset int64) pinflow.Period {
	for _, seal := range s.seals[tp.Topic] {
		for _, part := range seal.Partitions {
			if part.Partition == tp.Partition && part.Start <= offset && offset < part.End {
				return seal.Period
			}
		}
	}
	return pinflow.NoPeriod
}

// Seals implements pinflow.RawReader.
func (s *Sealed) Seals(_ context.Context, topic string) iter.Seq2[pinflow.Seal, error] {
	return func(yield func(pinflow.Seal, error) bool) {
		for _, seal := range s.seals[topic] {
			if !yield(seal, nil) {
				return
			}
		}
	}
}

// ReadObject implements pinflow.RawReader.
func (s *Sealed) ReadObject(ctx context.Context, topic string, o pinflow.SealedObject) iter.Seq2[pinflow.Line, error] {
	return func(yield func(pinflow.Line, error) bool) {
		lines, err := s.objects[o.Name], error(nil)
		if s.Spoil != nil {
			lines, err = s.Spoil(o, slices.Clone(lines))
		}
		for _, text := range lines {
			r, failed := value.ParseLine([]byte(text[:len(text)-1]))
			if failed != nil {
				yield(pinflow.Line{}, &pinflow.Error{Op: "read object", On: o.Name, Kind: pinflow.Invalid, Err: failed})
				return
			}
			r.Topic = topic
			line := pinflow.Line{Record: r}
			if s.Erased[r.Position()] {
				line = pinflow.Line{Record: pinflow.Record{Topic: topic, Partition: r.Partition, Offset: r.Offset}, Erased: true}
			}
			if !yield(line, nil) {
				return
			}
		}
		if err != nil {
			yield(pinflow.Line{}, &pinflow.Error{Op: "read object", On: o.Name, Kind: pinflow.Invalid, Err: err})
		}
	}
}

// ReadFrom implements pinflow.RawReader: a batch does not use it.
func (s *Sealed) ReadFrom(context.Context, pinflow.TopicPartition, int64) iter.Seq2[pinflow.Line, error] {
	return func(yield func(pinflow.Line, error) bool) {
		yield(pinflow.Line{}, fmt.Errorf("a batch reads its period and nothing else"))
	}
}
