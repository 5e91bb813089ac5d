package audit

import (
	"fmt"

	"github.com/pinflow/pinflow"
)

// maxFindings is how many findings a report lists; the rest is counted.
const maxFindings = 1000

// findings collects what does not hold. Of offsets side by side with the same fault it makes one finding.
type findings struct {
	all  []pinflow.Finding
	more int64
	open *span
}

// span is offsets with the same fault.
type span struct {
	pinflow.TopicPartition
	from, to int64
	finding  pinflow.Finding
}

func (f *findings) add(one pinflow.Finding) {
	f.close()
	f.append(one)
}

func (f *findings) append(one pinflow.Finding) {
	if len(f.all) >= maxFindings {
		f.more++
		return
	}
	f.all = append(f.all, one)
}

// at adds a finding about the offsets [from, to) of a partition.
func (f *findings) at(tp pinflow.TopicPartition, from, to int64, one pinflow.Finding) {
	if s := f.open; s != nil && s.TopicPartition == tp && s.to == from && s.finding.Kind == one.Kind && s.finding.What == one.What {
		s.to = to
		return
	}
	f.close()
	f.open = &span{tp, from, to, one}
}

func (f *findings) close() {
	s := f.open
	if s == nil {
		return
	}
	f.open = nil
	s.finding.Where = pinflow.Position{TopicPartition: s.TopicPartition, Offset: s.from}.String()
	if s.to > s.from+1 {
		s.finding.Where += fmt.Sprintf(" to %d", s.to-1)
		s.finding.Found = fmt.Sprintf("%d offsets", s.to-s.from)
	}
	f.append(s.finding)
}

func (f *findings) list() ([]pinflow.Finding, int64) {
	f.close()
	if f.all == nil {
		f.all = []pinflow.Finding{}
	}
	return f.all, f.more
}

// tableFinding tells of a table's rows that differ.
func tableFinding(kind, period, what string, t pinflow.TableComparison, do string) pinflow.Finding {
	return pinflow.Finding{Kind: kind, Where: period + " " + t.Table, What: what, Found: fmt.Sprintf("%d differing rows", t.Differing),
		Expected: fmt.Sprintf("%d equal rows", t.Rows), Do: do, Samples: t.Samples}
}
