package audit

import (
	"context"

	"github.com/pinflow/pinflow"
)

// readRecords is how many records of the journal are read at a time.
const readRecords = 2000

// log reads a partition of the journal as far as it went when the audit began.
type log struct {
	ctx     context.Context
	journal pinflow.JournalReader
	pinflow.TopicPartition
	start, end int64 // what it has; the start moves when the journal deletes records meanwhile
	at         int64
	read       []pinflow.Record
}

// newLog reads from the start; without bounds there is nothing to read.
func newLog(ctx context.Context, j pinflow.JournalReader, tp pinflow.TopicPartition, b *pinflow.PartitionBounds) *log {
	l := &log{ctx: ctx, journal: j, TopicPartition: tp}
	if b != nil {
		l.start, l.at, l.end = b.Start, b.Start, b.End
	}
	return l
}

// covers tells whether the journal would have a record of that offset.
func (l *log) covers(offset int64) bool { return l.start <= offset && offset < l.end }

// next returns the next record, false behind the last.
func (l *log) next() (pinflow.Record, bool, error) {
	for len(l.read) == 0 {
		if l.at >= l.end {
			return pinflow.Record{}, false, nil
		}
		if err := l.fill(); err != nil {
			return pinflow.Record{}, false, err
		}
	}
	rec := l.read[0]
	l.read, l.at = l.read[1:], rec.Offset+1
	if rec.Offset >= l.end {
		l.read, l.at = nil, l.end
		return pinflow.Record{}, false, nil
	}
	return rec, true, nil
}

func (l *log) fill() (err error) {
	if l.read, err = l.journal.Read(l.ctx, l.TopicPartition, l.at, readRecords); err == nil {
		if len(l.read) == 0 {
			l.at = l.end
		}
		return nil
	}
	if pinflow.KindOf(err) != pinflow.OutOfRange {
		return err
	}
	// What was to be read next has been deleted meanwhile.
	t, asked := l.journal.Topic(l.ctx, l.Topic)
	if asked != nil {
		return asked
	}
	for _, b := range t.Partitions {
		if b.Partition == l.Partition && b.Start > l.at {
			l.start, l.at = b.Start, min(b.Start, l.end)
			return nil
		}
	}
	return err
}
