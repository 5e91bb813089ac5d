package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/value"
)

// stretchName begins the names of objects that are no objects of the lake, but a stretch of a partition.
const stretchName = "stretch:"

// source reads the lake, and stretches of partitions, from the lake as far as it goes and then from the journal.
type source struct {
	pinflow.RawReader
	journal pinflow.JournalReader
}

// stretch makes an object of the offsets [start, end) of a partition.
func stretch(partition int32, start, end, records int64) pinflow.SealedObject {
	return pinflow.SealedObject{Name: stretchName + strconv.Itoa(int(partition)), Start: start, End: end, Records: records}
}

// ReadObject implements pinflow.RawReader.
func (s *source) ReadObject(ctx context.Context, topic string, o pinflow.SealedObject) iter.Seq2[pinflow.Line, error] {
	number, ok := strings.CutPrefix(o.Name, stretchName)
	if !ok {
		return s.RawReader.ReadObject(ctx, topic, o)
	}
	partition, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return func(yield func(pinflow.Line, error) bool) { yield(pinflow.Line{}, err) }
	}
	return s.lines(ctx, pinflow.TopicPartition{Topic: topic, Partition: int32(partition)}, o.Start, o.End)
}

// lines yields the lines of the offsets [from, to). It is an OutOfRange error if neither lake nor journal has them.
func (s *source) lines(ctx context.Context, tp pinflow.TopicPartition, from, to int64) iter.Seq2[pinflow.Line, error] {
	return func(yield func(pinflow.Line, error) bool) {
		at := from
		for l, err := range s.ReadFrom(ctx, tp, from) {
			if kind := pinflow.KindOf(err); err != nil && (kind == pinflow.OutOfRange || kind == pinflow.NotFound) && at == from {
				break // the journal may have what the lake has not
			}
			if err == nil && l.Offset >= to {
				return
			}
			if !yield(l, err) || err != nil {
				return
			}
			at = l.Offset + 1
		}
		for at < to {
			records, err := s.read(ctx, tp, at)
			if err != nil {
				yield(pinflow.Line{}, err)
				return
			}
			if len(records) == 0 {
				return
			}
			for i := range records {
				if records[i].Offset >= to {
					return
				}
				l, err := lineOf(&records[i])
				if !yield(l, err) || err != nil {
					return
				}
				at = records[i].Offset + 1
			}
		}
	}
}

func (s *source) read(ctx context.Context, tp pinflow.TopicPartition, at int64) ([]pinflow.Record, error) {
	if s.journal == nil {
		return nil, &pinflow.Error{Op: "read", On: fmt.Sprintf("%s:%d", tp, at), Kind: pinflow.OutOfRange, Err: errors.New("the lake does not have it, and the journal is not looked at")}
	}
	return s.journal.Read(ctx, tp, at, readRecords)
}

// lineOf makes of a record what reading it from the lake would give.
func lineOf(rec *pinflow.Record) (pinflow.Line, error) {
	text := value.AppendLine(nil, rec)
	back, err := value.ParseLine(text[:len(text)-1])
	back.Topic = rec.Topic
	return pinflow.Line{Record: back}, err
}
