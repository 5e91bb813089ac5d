package model

import "github.com/pinflow/pinflow/protocol"

// post appends a record where a producer puts it: in its key's home, or in a.Part if a producer is wrong.
func (w *World) post(a Action) bool {
	if w.Posts >= w.Config.Posts {
		return false
	}
	p := a.Part % w.Parts
	if !w.Config.Misroute {
		p = int8(protocol.Home(w.keys[a.Key], int(w.Parts)))
	}
	if !w.append(p, Record{w.Clock, a.Kind, a.Key, a.Dim, a.Val}) {
		return false
	}
	w.Posts++
	return true
}

func (w *World) append(p int8, r Record) bool {
	l := &w.Log[p]
	if l.End == MaxOffsets {
		return false
	}
	l.Records[l.End] = r
	l.End++
	return true
}

func (w *World) mark(p int8) bool {
	return w.Config.Gaps && w.Log[p].End <= 12 && w.append(p, Record{At: w.Clock, Kind: Gap})
}

func (w *World) tick(n int8) bool {
	now := w.Clock + n
	if now < 0 || now < w.MaxClock-w.Config.Back || now > 12*w.Config.Period {
		return false
	}
	w.Clock, w.MaxClock = now, max(w.MaxClock, now)
	return true
}

// retain lets the journal forget what the lake has.
func (w *World) retain(p, n int8) bool {
	if !w.Config.Retain || w.Lake[p].N == 0 {
		return false
	}
	end, _ := w.tail(p)
	start := max(w.Log[p].Start, min(end, w.Log[p].Start+n))
	if start == w.Log[p].Start {
		return false
	}
	w.Log[p].Start = start
	return true
}

func (w *World) grow() bool {
	if !w.Config.Grow || w.Parts > w.Config.Parts || w.Parts == MaxParts {
		return false
	}
	w.Parts++
	return true
}
