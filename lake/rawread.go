package lake

import (
	"context"
	"fmt"
	"iter"

	"github.com/pinflow/pinflow"
)

// ReadObject implements pinflow.RawReader. An object that does not hold what its seal says, as one with a line twice, is an Invalid
// error that names the offset. Lines share large pieces of memory: who keeps a few for long should copy them.
func (r *Raw) ReadObject(ctx context.Context, topic string, o pinflow.SealedObject) iter.Seq2[pinflow.Line, error] {
	return func(yield func(pinflow.Line, error) bool) {
		t, err := r.topic(ctx, topic)
		if err != nil {
			yield(pinflow.Line{}, err)
			return
		}
		named, ok, err := parseName(topic, t.PeriodLength(), pinflow.ObjectInfo{Name: o.Name, Size: o.Size})
		if err == nil && !ok {
			err = &pinflow.Error{Op: "read object", On: o.Name, Kind: pinflow.Invalid, Err: fmt.Errorf("it is no object of the topic %s", topic)}
		}
		if err != nil {
			yield(pinflow.Line{}, err)
			return
		}
		records, next := int64(0), o.Start
		for l, err := range t.scan(ctx, named) {
			if err == nil && (l.Offset < next || l.Offset >= o.End) {
				err = t.damaged(named, misplaced(l.Offset, next, o.End))
			}
			if !yield(l, err) || err != nil {
				return
			}
			records, next = records+1, l.Offset+1
		}
		if records != o.Records {
			yield(pinflow.Line{}, t.damaged(named, fmt.Errorf("it was sealed with %d records and has %d", o.Records, records)))
		}
	}
}

func misplaced(offset, next, end int64) error {
	switch {
	case offset >= end:
		return fmt.Errorf("it was sealed up to offset %d and has the record %d", end, offset)
	case offset == next-1:
		return fmt.Errorf("the record %d stands there twice", offset)
	}
	return fmt.Errorf("the record %d stands behind %d", offset, next-1)
}

// scan yields an object's lines fast: those of the usual form as they lie in memory.
func (t *Topic) scan(ctx context.Context, o Object) iter.Seq2[pinflow.Line, error] {
	return func(yield func(pinflow.Line, error) bool) {
		body, err := t.objects.Get(ctx, o.Name(t.PeriodLength()))
		if err != nil {
			yield(pinflow.Line{}, err)
			return
		}
		defer body.Close()
		reader, source := t.reader(), &sourceErr{r: body}
		defer t.readers.Put(reader)
		var fault error
		lines := 0
		err = reader.scan(source, o.Size, func(text []byte) bool {
			l := pinflow.Line{}
			if l.Topic = o.Topic; !quickLine(text, &l.Record) {
				l, fault = t.parseLine(o, text)
			}
			if fault == nil && l.Partition != o.Partition {
				fault = t.damaged(o, fmt.Errorf("the record %d says that it is of partition %d", l.Offset, l.Partition))
			}
			if lines++; fault == nil && lines%256 == 0 {
				fault = ctx.Err()
			}
			return fault == nil && yield(l, nil)
		})
		if err != nil {
			fault = t.readFault(o, source, err)
		}
		if fault != nil {
			yield(pinflow.Line{}, fault)
		}
	}
}

// ReadFrom implements pinflow.RawReader. It reads names from the newest folder back to the one that holds the offset, and of the objects only
// those that it needs.
func (r *Raw) ReadFrom(ctx context.Context, tp pinflow.TopicPartition, offset int64) iter.Seq2[pinflow.Line, error] {
	return func(yield func(pinflow.Line, error) bool) {
		t, err := r.topic(ctx, tp.Topic)
		if err != nil {
			yield(pinflow.Line{}, err)
			return
		}
		next := int64(-1) // where the object before ended
		for o, err := range t.objectsFrom(ctx, tp.Partition, offset) {
			if err == nil && (next < 0 && o.Start > offset || next >= 0 && o.Start != next) {
				err = &pinflow.Error{Op: "read the lake", On: fmt.Sprintf("%s:%d", tp, max(offset, next)), Kind: pinflow.OutOfRange, Err: fmt.Errorf("no object holds it, but one starts at %d", o.Start),
					Hint: "An object of the lake is missing: restore it from a copy."}
			}
			if err != nil {
				yield(pinflow.Line{}, err)
				return
			}
			next = o.Start
			for l, err := range t.scan(ctx, o) {
				if err == nil && l.Offset < next {
					err = t.damaged(o, misplaced(l.Offset, next, l.Offset+1))
				}
				if err != nil {
					yield(pinflow.Line{}, err)
					return
				}
				if next = l.Offset + 1; l.Offset >= offset && !yield(l, nil) {
					return
				}
			}
		}
	}
}

// objectsFrom yields a partition's objects in order, from the one that holds an offset to the last. The last is looked for first: those before it
// were put before it, so none of them is missed because it comes into a folder that was listed already.
func (t *Topic) objectsFrom(ctx context.Context, partition int32, offset int64) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		folders, err := t.periods(ctx)
		if err != nil {
			yield(Object{}, err)
			return
		}
		from, newest, last := len(folders), 0, int64(-1)
		for begins := int64(-1); from > 0 && (begins < 0 || begins > offset); {
			from--
			found := last >= 0
			for o, err := range t.list(ctx, t.partitionPrefix(folders[from], partition)) {
				if err != nil {
					yield(Object{}, err)
					return
				}
				if begins < 0 || o.Start < begins {
					begins = o.Start
				}
				if found {
					break
				}
				newest, last = from, o.Start
			}
		}
		var held *Object // until the one behind it is known to start behind the offset
		for i := from; i < len(folders); i++ {
			for o, err := range t.list(ctx, t.partitionPrefix(folders[i], partition)) {
				if err != nil {
					yield(Object{}, err)
					return
				}
				if i >= newest && o.Start > last {
					break // it came meanwhile: periods never go back
				}
				if held != nil && o.Start > offset && !yield(*held, nil) {
					return
				}
				held = &o
			}
		}
		if held != nil {
			yield(*held, nil)
		}
	}
}
