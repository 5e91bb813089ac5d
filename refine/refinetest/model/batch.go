package model

import "slices"

// path is where the lake keeps what a generation's batch makes of a period.
func (w *World) path(g, d int8) *Derived {
	if w.Rules.OnePath {
		g = 0
	}
	return &w.Derived[g][d]
}

// refine computes a sealed period from the lake, and the state of entities from that of the period before.
func (w *World) refine(who, g, d int8) bool {
	b := &w.Batches[who]
	if b.Step != BatchIdle || d >= MaxPeriods || !w.Seals[d].Is || !w.Gens[g].Exists {
		return false
	}
	var before Rows
	if d > 0 && w.Seals[d-1].Is {
		if !w.path(g, d-1).Is {
			return false
		}
		before = w.path(g, d-1).Rows
	}
	*b = Batch{Step: BatchRefined, Gen: g, Period: d}
	out := &b.Out
	out.Rows = before
	for _, at := range w.sealed(d) {
		w.refineRecord(out, g, d, at[0], at[1])
	}
	for k, row := range out.Rows.Latest {
		if old := before.Latest[k]; row != old {
			w.replace(&out.Shards[row.Part], old, row)
		}
	}
	w.dropZeros(out)
	return true
}

// sealed returns the records of a period, as (partition, offset), in the order of their offsets.
func (w *World) sealed(d int8) (all [][2]int8) {
	for p := range w.Parts {
		for i := range w.Lake[p].N {
			o := w.Lake[p].Objects[i]
			if w.Rules.FolderRead && o.Period != d {
				continue
			}
			for at := w.visible(p, o.First); at >= 0 && at <= o.Last; at = w.visible(p, at+1) {
				if w.Rules.FolderRead || w.Seals[d].Has(p, at) {
					all = append(all, [2]int8{p, at})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b [2]int8) int { return slices.Compare(a[:], b[:]) })
	return all
}

func (w *World) refineRecord(out *Refined, g, d, p, offset int8) {
	r := w.Log[p].Records[offset]
	if r.Kind == Bad {
		out.Rejects[Plain][p][offset], out.Rejects[Keyed][p][offset] = 1+d, 1+d
		return
	}
	dim := Dimension(g, r)
	shard := &out.Shards[p]
	shard.Accepted[Plain]++
	shard.Cells[dim].add(r.Val)
	if w.Misplaced(r.Key, p) {
		out.Rejects[Keyed][p][offset] = 1 + d
		return
	}
	shard.Accepted[Keyed]++
	row := Row{true, p, offset, dim, r.Val, d}
	out.Rows.Latest[r.Key] = row
	if !out.Rows.First[r.Key].Has {
		out.Rows.First[r.Key] = row
		shard.Cells[dim].Firsts++
	}
}

// dropZeros leaves out rows of zeros.
func (w *World) dropZeros(out *Refined) {
	if w.Rules.ZerosAreRows {
		return
	}
	for p := range out.Shards {
		for d := range out.Shards[p].Cells {
			if c := &out.Shards[p].Cells[d]; c.Rows == 0 && c.Sum == 0 {
				c.Touched = false
			}
		}
	}
}

// putParts puts what was made in place, of whatever run before.
func (w *World) putParts(who int8) bool {
	b := &w.Batches[who]
	if b.Step != BatchRefined {
		return false
	}
	*w.path(b.Gen, b.Period) = Derived{true, b.Out.Rows}
	b.Step = BatchPut
	return true
}

func (w *World) unbatch(who int8) bool {
	if w.Batches[who].Step == BatchIdle {
		return false
	}
	w.Batches[who] = Batch{}
	return true
}
