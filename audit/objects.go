package audit

import (
	"context"
	"fmt"
	"iter"

	"github.com/pinflow/pinflow"
)

// objects yields a partition's lines, each offset once, and looks whether the objects tile the offsets and hold what they should.
type objects struct {
	*walker
	pull     func() (pinflow.Line, error, bool)
	stop     func()
	end      int64 // one after the greatest offset so far
	floor    pinflow.Period
	from, to int64 // the last gap
}

func newObjects(ctx context.Context, w *walker) *objects {
	o := &objects{walker: w, floor: pinflow.NoPeriod}
	o.pull, o.stop = iter.Pull2(o.lines(ctx))
	return o
}

// next returns the next line, false behind the last.
func (o *objects) next() (pinflow.Line, bool, error) {
	l, err, ok := o.pull()
	return l, ok && err == nil, err
}

func (o *objects) close() { o.stop() }

// inGap tells whether an offset lies in a gap that is a finding already.
func (o *objects) inGap(offset int64) bool { return o.from <= offset && offset < o.to }

func (o *objects) lines(ctx context.Context) iter.Seq2[pinflow.Line, error] {
	return func(yield func(pinflow.Line, error) bool) {
		for object, err := range o.Lake.Objects(ctx, o.TopicPartition) {
			if err != nil && pinflow.KindOf(err) == pinflow.NotFound {
				return // the lake has nothing of the topic
			}
			if err != nil {
				yield(pinflow.Line{}, err)
				return
			}
			if !o.object(ctx, object, yield) {
				return
			}
		}
	}
}

// object yields the lines of one. It returns false if nobody wants more.
func (o *objects) object(ctx context.Context, object Object, yield func(pinflow.Line, error) bool) bool {
	o.seam(object)
	next, records := object.Start, int64(0)
	for l, err := range o.Lake.Read(ctx, object) {
		if err != nil {
			if pinflow.KindOf(err) != pinflow.Invalid {
				yield(pinflow.Line{}, err)
				return false
			}
			o.flaw(object, "an object is damaged", "", err.Error())
			break
		}
		records++
		if l.Offset < next {
			o.findings.at(o.TopicPartition, l.Offset, l.Offset+1, pinflow.Finding{Kind: pinflow.FindLake,
				What: "a record stands in the lake twice, or behind one of a greater offset, in " + object.Name, Do: restoreObject})
			continue
		}
		next = l.Offset + 1
		o.line(object, &l)
		if l.Offset < o.end {
			continue // told by seam
		}
		o.end = next
		if !yield(l, nil) {
			return false
		}
	}
	if records == 0 {
		o.flaw(object, "an object holds no record", "", "")
	}
	o.end = max(o.end, next)
	o.did(1, records)
	o.periods.object(object, next, records)
	return true
}

// seam checks that the object starts where the one before ends.
func (o *objects) seam(object Object) {
	switch {
	case object.Start > o.end:
		o.from, o.to = o.end, object.Start
		o.findings.at(o.TopicPartition, o.end, object.Start, pinflow.Finding{Kind: pinflow.FindLake, What: "no object of the lake holds the offset", Do: restoreLake})
	case object.Start < o.end:
		o.findings.at(o.TopicPartition, object.Start, o.end, pinflow.Finding{Kind: pinflow.FindLake, What: "two objects of the lake hold the offset",
			Do: "Remove " + object.Name + " or the object before it, whichever Pinflow did not write."})
	}
}

// line checks that a line is of the object's partition and period.
func (o *objects) line(object Object, l *pinflow.Line) {
	if l.Erased {
		o.floor = max(o.floor, object.Period)
		return
	}
	if l.Partition != object.Partition {
		o.flaw(object, "a record says that it is of another partition", fmt.Sprint(object.Partition), fmt.Sprint(l.Partition))
	}
	if p := o.Audit.Period.Of(l.Timestamp, o.floor); p != object.Period {
		o.flaw(object, "a record lies in another log period than its own", o.name(p), o.name(object.Period))
		o.floor = max(o.floor, object.Period)
	} else {
		o.floor = p
	}
}

func (o *objects) flaw(object Object, what, expected, found string) {
	o.findings.add(pinflow.Finding{Kind: pinflow.FindLake, Where: object.Name, What: what, Expected: expected, Found: found, Do: restoreObject})
}
