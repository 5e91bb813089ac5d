package model

import (
	"fmt"
	"strings"
)

// check holds what has changed against what must be true.
func (w *World) check() *Violation {
	if w.lakeDirty {
		w.lakeDirty = false
		if v := w.checkLake(); v != nil {
			return v
		}
	}
	for g := range w.genDirty {
		if w.genDirty[g] {
			w.genDirty[g] = false
			if v := w.checkGeneration(int8(g)); v != nil {
				return v
			}
		}
	}
	return nil
}

// Periods are the log periods of a partition's records as the rule says it: by none of the code that is checked.
func (w *World) Periods(p int8) (all [MaxOffsets]int8) {
	last := int8(noPeriod)
	for o := range w.Log[p].End {
		if r := w.Log[p].Records[o]; r.Kind != Gap {
			last = max(last, r.At/w.Config.Period)
		}
		all[o] = last
	}
	return all
}

// checkLake: the objects of a partition tile its offsets and hold all that can be seen in them, each in its period's folder, and what is
// sealed is just what its folder holds.
func (w *World) checkLake() *Violation {
	for p := range w.Parts {
		periods := w.Periods(p)
		c := &w.Lake[p]
		at := int8(0)
		for i := range c.N {
			o := c.Objects[i]
			if o.Start != at {
				what := "gap"
				if o.Start < at {
					what = "overlap"
				}
				return broken("I2", "%s: the object %d-%d starts there, not at %d; %s", what, p, o.Start, at, w.chain(p))
			}
			at = o.Last + 1
			if first := w.visible(p, o.Start); first != o.First {
				return broken("I1", "the object %d-%d lacks the record %d; %s", p, o.Start, first, w.chain(p))
			}
			if w.Config.Beyond {
				continue
			}
			for r := w.visible(p, o.First); r >= 0 && r <= o.Last; r = w.visible(p, r+1) {
				if periods[r] != o.Period {
					return broken("I2", "the record %d:%d of period %d lies in the folder of %d; %s", p, r, periods[r], o.Period, w.chain(p))
				}
			}
			for d := range w.Seals {
				if s := &w.Seals[d]; s.Is && int8(d) == o.Period && !(s.Has(p, o.First) && s.Has(p, o.Last)) {
					return broken("I1", "period %d is sealed as [%d,%d) of partition %d, but its folder holds [%d,%d]", d, s.Start[p], s.End[p], p, o.First, o.Last)
				}
			}
		}
	}
	return w.checkSeals()
}

// checkSeals: the ranges of sealed periods tile the offsets, too.
func (w *World) checkSeals() *Violation {
	for d := 1; d < MaxPeriods; d++ {
		if !w.Seals[d].Is {
			continue
		}
		for p := range w.Seals[d].Parts {
			want := int8(0)
			if w.Seals[d-1].Is {
				want = w.Seals[d-1].End[p]
			}
			if s := w.Seals[d]; s.Start[p] != want || s.End[p] < s.Start[p] {
				return broken("I1", "period %d is sealed as [%d,%d) of partition %d, and the one before up to %d", d, s.Start[p], s.End[p], p, want)
			}
		}
	}
	return nil
}

func (w *World) chain(p int8) string {
	var b strings.Builder
	fmt.Fprintf(&b, "partition %d:", p)
	for i := range w.Lake[p].N {
		o := w.Lake[p].Objects[i]
		fmt.Fprintf(&b, " %d/%d[%d-%d]", o.Period, o.Start, o.First, o.Last)
	}
	return b.String()
}
