package audit

import (
	"bytes"
	"context"
	"fmt"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/value"
)

// What to do about the faults that a walk can find.
const (
	restoreObject = "Restore the object from a copy of the lake."
	restoreLake   = "Restore the lake's objects from a copy; while the journal has the records, they can also be taken from there."
)

// cellKey names a period's share of a partition.
type cellKey struct {
	pinflow.TopicPartition
	pinflow.Period
}

// cell is what a walk has seen of it.
type cell struct {
	start, end int64
	journal    int64 // records in the journal
	unknown    bool  // the journal no longer has all of them
	lake       int64 // records in the lake, erased ones too
	erased     int64
	counted    int64 // records before the store's position, in the lake or behind its end in the journal
	sealed     *int64
}

// walker goes along a partition, journal and lake side by side.
type walker struct {
	*run
	pinflow.TopicPartition
	position int64 // the store's
	objects  *objects
	log      *log
	periods  *periods
	mine     []byte // a line as the journal's record makes it
	theirs   []byte // and as the lake's does
}

// walkAll walks all partitions.
func (r *run) walkAll(ctx context.Context) error {
	for _, topic := range r.topics() {
		n, err := r.Lake.Partitions(ctx, topic)
		if pinflow.KindOf(err) == pinflow.NotFound {
			r.note("The lake has nothing of the topic " + topic + " yet.")
		} else if err != nil {
			return err
		}
		for tp := range r.counts.Positions {
			if tp.Topic == topic {
				n = max(n, int(tp.Partition)+1)
			}
		}
		bounds, err := r.bounds(ctx, topic)
		if err != nil {
			return err
		}
		r.step("reading "+topic, n)
		for p := range int32(n) {
			tp := pinflow.TopicPartition{Topic: topic, Partition: p}
			if err := r.walk(ctx, tp, bounds[p]); err != nil {
				return err
			}
			r.done()
		}
	}
	return nil
}

// bounds asks the journal how far its partitions reach; nil if there is none.
func (r *run) bounds(ctx context.Context, topic string) (map[int32]*pinflow.PartitionBounds, error) {
	all := map[int32]*pinflow.PartitionBounds{}
	if r.Journal == nil {
		r.note("The journal was not looked at.")
		return all, nil
	}
	t, err := r.Journal.Topic(ctx, topic)
	if err != nil {
		return nil, err
	}
	for i := range t.Partitions {
		all[t.Partitions[i].Partition] = &t.Partitions[i]
	}
	return all, nil
}

func (r *run) walk(ctx context.Context, tp pinflow.TopicPartition, b *pinflow.PartitionBounds) error {
	w := &walker{run: r, TopicPartition: tp, position: r.counts.Positions[tp].NextOffset}
	w.periods = newPeriods(ctx, r, tp)
	defer w.periods.close()
	w.objects = newObjects(ctx, w)
	defer w.objects.close()
	w.log = newLog(ctx, r.Journal, tp, b)
	if err := w.merge(); err != nil {
		return err
	}
	if err := w.periods.finish(); err != nil {
		return err
	}
	return w.ends(ctx, b)
}

// merge goes through the records of both in the order of their offsets.
func (w *walker) merge() error {
	line, inLake, err := w.objects.next()
	if err != nil {
		return err
	}
	rec, inLog, err := w.log.next()
	for err == nil && (inLake || inLog) {
		switch {
		case inLake && inLog && line.Offset == rec.Offset:
			w.same(&line, &rec)
			if err = w.count(&line, true, true); err != nil {
				return err
			}
			if line, inLake, err = w.objects.next(); err == nil {
				rec, inLog, err = w.log.next()
			}
		case inLake && (!inLog || line.Offset < rec.Offset):
			if w.log.covers(line.Offset) {
				w.findings.at(w.TopicPartition, line.Offset, line.Offset+1, pinflow.Finding{Kind: pinflow.FindJournal, What: "the journal lacks a record that the lake has",
					Do: "The journal has lost records, or is another one: see its broker."})
			}
			if err = w.count(&line, true, false); err == nil {
				line, inLake, err = w.objects.next()
			}
		case !inLake && rec.Offset >= max(w.position, w.objects.end):
			return nil // it came after the audit began, or everybody lags
		default:
			if rec.Offset < w.objects.end && !w.objects.inGap(rec.Offset) {
				w.findings.at(w.TopicPartition, rec.Offset, rec.Offset+1, pinflow.Finding{Kind: pinflow.FindLake, What: "the lake lacks a record that the journal has", Do: restoreLake})
			}
			if err = w.count(&pinflow.Line{Record: rec}, false, true); err == nil {
				rec, inLog, err = w.log.next()
			}
		}
	}
	return err
}

// same holds a record of the journal and its line in the lake beside one another.
func (w *walker) same(l *pinflow.Line, rec *pinflow.Record) {
	if l.Erased {
		return
	}
	w.mine = value.AppendLine(w.mine[:0], rec)
	w.theirs = value.AppendLine(w.theirs[:0], &l.Record)
	if !bytes.Equal(w.mine, w.theirs) {
		w.findings.add(pinflow.Finding{Kind: pinflow.FindLake, Where: rec.Position().String(), What: "the lake's record is not the journal's",
			Expected: short(w.mine), Found: short(w.theirs), Do: restoreObject})
	}
}

func short(line []byte) string {
	const most = 300
	line = bytes.TrimSuffix(line, []byte("\n"))
	if len(line) > most {
		return string(bytes.ToValidUTF8(line[:most], nil)) + "…"
	}
	return string(line)
}

// count adds a record to its period's cell.
func (w *walker) count(l *pinflow.Line, inLake, inLog bool) error {
	p, sealed, err := w.periods.of(l)
	if err != nil {
		return err
	}
	if !sealed && l.Offset >= w.position {
		return nil // it came after the audit began, or the live half lags
	}
	key := cellKey{w.TopicPartition, p}
	c := w.cells[key]
	if c == nil {
		c = &cell{start: l.Offset}
		w.cells[key] = c
	}
	c.end = l.Offset + 1
	if inLake {
		c.lake++
	}
	if l.Erased {
		c.erased++
	}
	if inLog {
		c.journal++
	}
	c.unknown = c.unknown || !w.log.covers(l.Offset)
	if l.Offset < w.position {
		c.counted++
	}
	return nil
}

// ends compares where journal, lake and store end.
func (w *walker) ends(ctx context.Context, b *pinflow.PartitionBounds) error {
	end := w.objects.end
	if b == nil {
		if w.position > end {
			w.note(fmt.Sprintf("%s: the records from %d to %d are not in the lake and were not looked at.", w.TopicPartition, end, w.position-1))
		}
		return ctx.Err()
	}
	start := b.Start // not as it is now: what the lake has got since may be deleted by now
	now, err := w.bounds(ctx, w.Topic)
	if err != nil {
		return err
	}
	if n := now[w.Partition]; n != nil {
		b = n
	}
	if most := max(end, w.position); b.End < most {
		w.findings.add(pinflow.Finding{Kind: pinflow.FindJournal, Where: w.TopicPartition.String(), What: "the journal ends before what was made of it",
			Expected: fmt.Sprintf("an end of %d or more", most), Found: fmt.Sprint(b.End), Do: "The journal has lost records, or is another one: see its broker."})
	}
	if start > end && end > 0 {
		w.findings.at(w.TopicPartition, end, start, pinflow.Finding{Kind: pinflow.FindLake, What: "neither the lake nor the journal has the record", Do: restoreLake})
	}
	if b.End > end {
		w.note(fmt.Sprintf("%s: the lake ends at %d, %d records behind the journal.", w.TopicPartition, end, b.End-end))
	}
	if most := max(end, b.End); most > w.position {
		w.note(fmt.Sprintf("%s: the store has counted up to %d, %d records are to come.", w.TopicPartition, w.position, most-w.position))
	}
	return ctx.Err()
}
