package duckdb

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/pinflow/pinflow"
)

// share is an object with the range of its partition that is sealed.
type share struct {
	pinflow.TopicPartition
	object pinflow.SealedObject
	sealed *sealed
}

// sealed is a partition's range, and how many records of it were read.
type sealed struct {
	pinflow.SealedPartition
	read atomic.Int64
	left atomic.Int64 // objects
}

// sharesOf lists the objects of seals, in the order of partitions and offsets. Objects that overlap would count records twice.
func sharesOf(seals []pinflow.Seal) (shares []share, err error) {
	for _, s := range seals {
		for _, part := range s.Partitions {
			tp := pinflow.TopicPartition{Topic: s.Topic, Partition: part.Partition}
			of := &sealed{SealedPartition: part}
			of.left.Store(int64(len(part.Objects)))
			if len(part.Objects) == 0 && part.Records > 0 {
				return nil, of.miscounted(tp)
			}
			for i, o := range part.Objects {
				if i > 0 && o.Start < part.Objects[i-1].End {
					return nil, damaged(o, fmt.Errorf("it starts at %d, the object before it ends at %d", o.Start, part.Objects[i-1].End))
				}
				shares = append(shares, share{tp, o, of})
			}
		}
	}
	return shares, nil
}

func (s *sealed) miscounted(tp pinflow.TopicPartition) error {
	return &pinflow.Error{Op: "read period", On: tp.String(), Kind: pinflow.Invalid, Err: fmt.Errorf("the sealed offsets %d to %d are %d records, the objects hold %d of them",
		s.Start, s.End, s.Records, s.read.Load()), Hint: "Restore the objects of the period from a copy."}
}

func damaged(o pinflow.SealedObject, err error) error {
	return &pinflow.Error{Op: "read object", On: o.Name, Kind: pinflow.Invalid, Err: err, Hint: "The object is not as it was when the period was sealed: restore it from a copy."}
}

// step is records that are cleaned together.
type step struct {
	batch   pinflow.Batch
	rows    int64
	bytes   int64
	objects int64 // that end in it
}

// reading makes steps of objects.
type reading struct {
	raw     pinflow.RawReader
	period  pinflow.Period
	periods []pinflow.Period // as many as a step has records
	bytes   int64            // of a step
	records int              // of a step, at most
	counts  *counts
}

// perRecord is what a record takes besides its texts.
const perRecord = 160

// read reads objects until there are no more, and has each step worked on.
func (r *reading) read(ctx context.Context, queue <-chan share, work func(context.Context, *step) error) error {
	s := &step{}
	send := func() error {
		full := s
		s = &step{}
		return work(ctx, full)
	}
	for of := range queue {
		var lines, previous int64 = 0, of.object.Start - 1
		for line, err := range r.raw.ReadObject(ctx, of.Topic, of.object) {
			if err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			lines++
			if err := of.belongs(&line, previous); err != nil {
				return err
			}
			previous = line.Offset
			if line.Offset < of.sealed.Start || line.Offset >= of.sealed.End {
				continue
			}
			of.sealed.read.Add(1)
			if line.Erased {
				r.counts.erased(of.TopicPartition)
				continue
			}
			line.Topic = of.Topic
			r.add(s, of.TopicPartition, &line.Record)
			if s.bytes >= r.bytes || s.rows >= int64(r.records) {
				if err := send(); err != nil {
					return err
				}
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := of.complete(lines); err != nil {
			return err
		}
		s.objects++
	}
	return send()
}

// belongs tells whether a line can follow what was read of an object.
func (s *share) belongs(l *pinflow.Line, previous int64) error {
	switch {
	case l.Partition != s.Partition:
		return damaged(s.object, fmt.Errorf("it holds a record of partition %d", l.Partition))
	case l.Offset <= previous:
		return damaged(s.object, fmt.Errorf("offset %d stands behind %d", l.Offset, previous))
	case l.Offset >= s.object.End:
		return damaged(s.object, fmt.Errorf("offset %d is beyond its end %d", l.Offset, s.object.End))
	}
	return nil
}

// complete holds what was read to the seal.
func (s *share) complete(lines int64) error {
	if lines != s.object.Records {
		return damaged(s.object, fmt.Errorf("it holds %d records, at the time of the seal %d", lines, s.object.Records))
	}
	if s.sealed.left.Add(-1) == 0 && s.sealed.read.Load() != s.sealed.Records {
		return s.sealed.miscounted(s.TopicPartition)
	}
	return nil
}

// add puts a record at the end of a step.
func (r *reading) add(s *step, tp pinflow.TopicPartition, record *pinflow.Record) {
	n := len(s.batch.Slices)
	if n == 0 || s.batch.Slices[n-1].TopicPartition != tp || s.batch.Slices[n-1].End > record.Offset {
		s.batch.Slices = append(s.batch.Slices, pinflow.Slice{TopicPartition: tp, Start: record.Offset, Floor: r.period})
		n++
	}
	slice := &s.batch.Slices[n-1]
	slice.Records = append(slice.Records, *record)
	slice.Periods = r.periods[:len(slice.Records)]
	slice.End = record.Offset + 1
	size := perRecord + len(record.Key) + len(record.Value)
	for _, h := range record.Headers {
		size += 40 + len(h.Key) + len(h.Value)
	}
	s.bytes += int64(size)
	s.rows++
}
