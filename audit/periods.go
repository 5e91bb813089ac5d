package audit

import (
	"context"
	"fmt"
	"iter"

	"github.com/pinflow/pinflow"
)

// sealRange is what _SUCCESS says of a partition.
type sealRange struct {
	period pinflow.Period
	pinflow.SealedPartition
	topic string
}

// periods follows the seals along a partition: it tells the period of each record, and holds the objects that a seal lists
// beside those that are there.
type periods struct {
	*run
	pinflow.TopicPartition
	pull    func() (pinflow.Seal, error, bool)
	stop    func()
	current *sealRange // the one that the next record may lie in; nil behind the last
	ended   bool
	floor   pinflow.Period // of records behind the last seal
	last    int64          // where the seal before ended
	waiting []sealRange    // behind us, while the object in which it ended is not read to its end
	there   map[string]pinflow.SealedObject
}

func newPeriods(ctx context.Context, r *run, tp pinflow.TopicPartition) *periods {
	p := &periods{run: r, TopicPartition: tp, floor: pinflow.NoPeriod, there: map[string]pinflow.SealedObject{}}
	p.pull, p.stop = iter.Pull2(r.Raw.Seals(ctx, tp.Topic))
	return p
}

func (p *periods) close() { p.stop() }

// of returns a record's period, and whether that is sealed. Offsets come in their order.
func (p *periods) of(l *pinflow.Line) (pinflow.Period, bool, error) {
	for !p.ended && (p.current == nil || l.Offset >= p.current.End) {
		if err := p.advance(); err != nil {
			return 0, false, err
		}
	}
	if !p.ended {
		return p.current.period, true, nil
	}
	if !l.Erased {
		p.floor = p.Period.Of(l.Timestamp, p.floor)
	}
	return p.floor, false, nil
}

// advance goes on to the next seal that the partition has a share in.
func (p *periods) advance() error {
	if p.current != nil {
		p.waiting = append(p.waiting, *p.current)
		p.current = nil
	}
	for {
		seal, err, ok := p.pull()
		if err != nil && pinflow.KindOf(err) == pinflow.NotFound { // the lake has nothing of the topic
			ok, err = false, nil
		}
		if err != nil && pinflow.KindOf(err) == pinflow.Invalid {
			p.findings.add(pinflow.Finding{Kind: pinflow.FindSeal, Where: p.TopicPartition.String(), What: "a seal cannot be read", Found: err.Error(), Do: "Restore the period's _SUCCESS from a copy."})
			ok, err = false, nil
		}
		if err != nil {
			return err
		}
		if !ok {
			p.ended = true
			return nil
		}
		p.floor = p.Period.Next(seal.Period)
		for _, s := range seal.Partitions {
			if s.Partition == p.Partition {
				p.open(&sealRange{seal.Period, s, seal.Topic})
				return nil
			}
		}
	}
}

func (p *periods) open(s *sealRange) {
	if s.Start != p.last {
		p.flaw(s, "the range does not start where the period before ends", fmt.Sprint(p.last), fmt.Sprint(s.Start))
	}
	if s.End < s.Start {
		p.flaw(s, "the range ends before it starts", fmt.Sprint(s.Start), fmt.Sprint(s.End))
	}
	p.last, p.current = max(s.End, s.Start), s
	light := *s
	light.Objects = nil
	p.seals = append(p.seals, light)
	n := s.Records
	p.cells[cellKey{p.TopicPartition, s.period}] = &cell{start: s.Start, end: s.End, sealed: &n}
}

// object tells of an object that was read to its end.
func (p *periods) object(o Object, end, records int64) {
	p.there[o.Name] = pinflow.SealedObject{Name: o.Name, Start: o.Start, End: end, Records: records, Size: o.Size}
	kept := p.waiting[:0]
	for _, s := range p.waiting {
		if s.End > end {
			kept = append(kept, s)
			continue
		}
		p.settle(&s)
	}
	p.waiting = kept
	first := end // what lies before is of no seal that is still to be settled
	for _, s := range p.waiting {
		first = min(first, s.Start)
	}
	if p.current != nil {
		first = min(first, p.current.Start)
	}
	for name, there := range p.there {
		if there.End <= first && name != o.Name {
			delete(p.there, name)
		}
	}
}

// settle holds a seal's list of objects beside what is there.
func (p *periods) settle(s *sealRange) {
	for _, o := range s.Objects {
		there, ok := p.there[o.Name]
		switch {
		case !ok:
			p.flaw(s, "an object that the seal lists is not there", o.Name, "")
		case there != o:
			p.flaw(s, "an object is not as the seal lists it: "+o.Name, describe(o), describe(there))
		}
	}
}

func describe(o pinflow.SealedObject) string {
	return fmt.Sprintf("offsets %d to %d, %d records, %d bytes", o.Start, o.End-1, o.Records, o.Size)
}

// finish goes through the seals behind the last record.
func (p *periods) finish() error {
	for !p.ended {
		if err := p.advance(); err != nil {
			return err
		}
	}
	for _, s := range p.waiting {
		p.settle(&s)
	}
	p.waiting = nil
	for _, s := range p.seals {
		if s.topic != p.Topic || s.Partition != p.Partition {
			continue
		}
		if c := p.cells[cellKey{p.TopicPartition, s.period}]; c.lake != s.Records {
			p.flaw(&s, "the lake does not hold as many records as the seal counts", fmt.Sprint(s.Records), fmt.Sprint(c.lake))
		}
	}
	return nil
}

func (p *periods) flaw(s *sealRange, what, expected, found string) {
	p.findings.add(pinflow.Finding{Kind: pinflow.FindSeal, Where: p.name(s.period) + " " + p.TopicPartition.String(), What: what, Expected: expected, Found: found,
		Do: "Restore the period's _SUCCESS and objects from a copy."})
}
