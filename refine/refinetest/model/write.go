package model

import (
	"cmp"

	"github.com/pinflow/pinflow/protocol"
)

// resume begins a session: where to go on, and in which period, is read from the lake.
func (w *World) resume(who, p int8) (bool, *Violation) {
	x := &w.Writers[who][p]
	if x.Open {
		return false, nil
	}
	end, floor := w.tail(p)
	at, how := w.Rules.Resume(protocol.Tail{End: int64(end), Floor: w.PeriodAt(floor)}, int64(w.Log[p].Start), int64(w.Log[p].End))
	if how != protocol.GoOn {
		return false, broken("I9", "a writer stops (%d) at a log [%d,%d) that has all that the lake, which ends at %d, lacks", how, w.Log[p].Start, w.Log[p].End, end)
	}
	if w.Rules.WriterForgetsFloor {
		floor = noPeriod
	}
	*x = Writer{Open: true, Start: min(end, int8(at)), Next: int8(at), Floor: floor} // only a wrong rule goes back
	return true, nil
}

// fetch takes the next record into the buffer. A record of another period waits until the buffer has been sent.
func (w *World) fetch(who, p int8) bool {
	x := &w.Writers[who][p]
	if !x.Open {
		return false
	}
	at := w.visible(p, x.Next)
	if at < 0 {
		return false
	}
	if at < w.Log[p].Start { // out of range: it begins anew at the lake
		w.unwrite(who, p)
		return true
	}
	period := w.of(w.Log[p].Records[at].At, x.Floor)
	switch {
	case !x.Filling:
		start := x.Start
		if w.Rules.NamedByFirst {
			start = at
		}
		x.Filling, x.Buffer = true, Object{Period: period, Start: start, First: at, Last: at}
	case period != x.Buffer.Period:
		return false
	default:
		x.Buffer.Last = at
	}
	x.Next, x.Start, x.Floor = at+1, at+1, period
	return true
}

// put sends what is in the buffer, or sends once more what nothing was heard of. Only one object is on its way.
func (w *World) put(who, p int8) bool {
	x := &w.Writers[who][p]
	if w.Flying == maxFlights || !x.Open || !x.Waiting && !x.Filling {
		return false
	}
	if !x.Waiting {
		x.Waiting, x.Put = true, x.Buffer
		x.Filling, x.Buffer = false, Object{}
	}
	w.depart(Flight{x.Put, p, 1 + who})
	return true
}

// depart keeps the flights in order, so that worlds that differ in nothing else are the same.
func (w *World) depart(f Flight) {
	i := w.Flying
	for ; i > 0 && compareFlights(f, w.Flights[i-1]) < 0; i-- {
		w.Flights[i] = w.Flights[i-1]
	}
	w.Flights[i] = f
	w.Flying++
}

func compareFlights(a, b Flight) int {
	return cmp.Or(cmp.Compare(a.Part, b.Part), cmp.Compare(a.Start, b.Start), cmp.Compare(a.Period, b.Period), cmp.Compare(a.First, b.First),
		cmp.Compare(a.Last, b.Last), cmp.Compare(a.By, b.By))
}

// land lets a put arrive: it is stored unless an object of that name is there. If its answer is heard, the writer goes on.
func (w *World) land(k int8, lost bool) bool {
	if k >= w.Flying {
		return false
	}
	f := w.Flights[k]
	copy(w.Flights[k:], w.Flights[k+1:w.Flying])
	w.Flying--
	w.Flights[w.Flying] = Flight{}
	there, created := w.store(f)
	if lost || f.By == 0 {
		return true
	}
	x := &w.Writers[f.By-1][f.Part]
	if !x.Waiting || x.Put != f.Object {
		return true
	}
	x.Waiting, x.Put = false, Object{}
	if created {
		return true
	}
	mine := protocol.Tail{End: int64(f.Last) + 1, Floor: w.PeriodAt(f.Period)}
	tail := w.Rules.AfterExists(mine, protocol.Tail{End: int64(there.Last) + 1, Floor: w.PeriodAt(there.Period)})
	if tail == mine && (there != f.Object) {
		return true // only a wrong rule takes it for one's own
	}
	x.Filling, x.Buffer = false, Object{}
	x.Start, x.Next, x.Floor = int8(tail.End), int8(tail.End), w.index(tail.Floor)
	return true
}

// store is put-if-absent.
func (w *World) store(f Flight) (there Object, created bool) {
	c := &w.Lake[f.Part]
	i := c.N
	for ; i > 0; i-- {
		o := c.Objects[i-1]
		if o.Start == f.Start && o.Period == f.Period {
			return o, false
		}
		if o.Start < f.Start || o.Start == f.Start && o.Period < f.Period {
			break
		}
	}
	if c.N == maxObjects {
		return f.Object, true // no rule gets here
	}
	copy(c.Objects[i+1:c.N+1], c.Objects[i:c.N])
	c.Objects[i] = f.Object
	c.N++
	w.lakeDirty = true
	return f.Object, true
}

// unwrite lets a writer die. What it has sent arrives all the same.
func (w *World) unwrite(who, p int8) bool {
	x := &w.Writers[who][p]
	if !x.Open {
		return false
	}
	*x = Writer{}
	var left []Flight
	for i := range w.Flying {
		f := w.Flights[i]
		if f.Part == p && f.By == 1+who {
			f.By = 0
		}
		left = append(left, f)
	}
	w.Flights, w.Flying = [maxFlights]Flight{}, 0
	for _, f := range left {
		w.depart(f)
	}
	return true
}
