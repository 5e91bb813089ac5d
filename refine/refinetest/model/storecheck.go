package model

// figures are what users read of a generation: the partials of all periods and shards merged.
type figures struct {
	Accepted, Rejected [Models][MaxParts]int8
	Count, Least, Set  [Dims]int8
	Rows, Sum          [Dims]int8
	Shown              [Dims]bool // the entity's group is
	Stand              [Dims]int8 // values that stand, as bits
	Firsts             [Dims]int8
	Entities           Rows
}

// checkGeneration: every metric is its SQL over all records that are counted, and so are rows and rejects.
func (w *World) checkGeneration(g int8) *Violation {
	if (w.Bugs > 0 || w.Config.Beyond) && !w.rest {
		return nil
	}
	counted, ok := w.counted(g)
	if !ok {
		return nil
	}
	got, want := w.view(g), w.compute(g, counted)
	if w.Config.Beyond {
		for k := range got.Entities.Latest {
			got.Entities.Latest[k].Period, want.Entities.Latest[k].Period = 0, 0
			got.Entities.First[k].Period, want.Entities.First[k].Period = 0, 0
		}
	}
	if got == want {
		return nil
	}
	of := func(invariant, what string, a, b any) *Violation {
		return broken(invariant, "generation %d: %s is %v, and %v of the records before %v", g, what, a, b, counted)
	}
	switch {
	case got.Accepted != want.Accepted:
		return of("I3", "accepted", got.Accepted, want.Accepted)
	case got.Rejected != want.Rejected:
		return of("I3", "rejected", got.Rejected, want.Rejected)
	case got.Count != want.Count:
		return of("I4", "count", got.Count, want.Count)
	case got.Least != want.Least:
		return of("I4", "min", got.Least, want.Least)
	case got.Set != want.Set:
		return of("I4", "count distinct", got.Set, want.Set)
	case got.Rows != want.Rows || got.Shown != want.Shown:
		return of("I4", "count of entities", got.Rows, want.Rows)
	case got.Sum != want.Sum:
		return of("I4", "sum over entities", got.Sum, want.Sum)
	case got.Stand != want.Stand:
		return of("I4", "count distinct over entities", got.Stand, want.Stand)
	case got.Firsts != want.Firsts:
		return of("I4", "count of first entities", got.Firsts, want.Firsts)
	}
	return of("I4", "entities", got.Entities, want.Entities)
}

// counted is up to where records must be counted: to the position, and as far as installed periods go on from there. It is not ok
// while an installed period lies apart.
func (w *World) counted(g int8) (ends [MaxParts]int8, ok bool) {
	G := &w.Gens[g]
	for p := range w.Parts {
		pos := w.progress(g)[p].Next
		ends[p] = pos
		for d := range G.Installed {
			if s := &w.Seals[d]; G.Installed[d] && p < s.Parts {
				ends[p] = max(ends[p], s.End[p])
			}
		}
		for o := pos; o < ends[p]; o++ {
			in := false
			for d := range G.Installed {
				in = in || G.Installed[d] && w.Seals[d].Has(p, o)
			}
			if !in {
				return ends, false
			}
		}
	}
	return ends, true
}

// view merges what the tables hold.
func (w *World) view(g int8) (f figures) {
	G := &w.Gens[g]
	var multiset [Dims][Vals]int8
	for d := range G.Partials {
		for p := range w.Parts {
			shard := &G.Partials[d][p]
			for m := range shard.Accepted {
				f.Accepted[m][p] += shard.Accepted[m]
			}
			for dim := range shard.Cells {
				c := &shard.Cells[dim]
				f.Count[dim] += c.Count
				if c.Least > 0 && (f.Least[dim] == 0 || c.Least < f.Least[dim]) {
					f.Least[dim] = c.Least
				}
				f.Set[dim] |= c.Set
				f.Rows[dim] += c.Rows
				f.Sum[dim] += c.Sum
				f.Firsts[dim] += c.Firsts
				f.Shown[dim] = f.Shown[dim] || w.Rules.ZerosAreRows && c.Touched
				for v := range c.Stand {
					multiset[dim][v] += c.Stand[v]
				}
			}
		}
	}
	for dim := range multiset {
		f.Shown[dim] = f.Shown[dim] || f.Rows[dim] > 0
		for v, n := range multiset[dim] {
			if n > 0 {
				f.Stand[dim] |= 1 << v
			}
		}
	}
	for m := range G.Rejects {
		for p := range w.Parts {
			for _, d := range G.Rejects[m][p] {
				if d != 0 {
					f.Rejected[m][p]++
				}
			}
		}
	}
	f.Entities = G.Rows
	return f
}

// compute is the same from the records themselves, by none of the code that is checked.
func (w *World) compute(g int8, counted [MaxParts]int8) (f figures) {
	for p := range w.Parts {
		periods := w.Periods(p)
		for o := range min(counted[p], w.Log[p].End) {
			r := w.Log[p].Records[o]
			switch {
			case r.Kind == Gap:
				continue
			case r.Kind == Bad:
				f.Rejected[Plain][p]++
				f.Rejected[Keyed][p]++
				continue
			}
			dim := r.Dim
			if g == 1 {
				dim = (r.Dim + r.Val) % Dims
			}
			f.Accepted[Plain][p]++
			f.Count[dim]++
			if f.Least[dim] == 0 || r.Val < f.Least[dim]-1 {
				f.Least[dim] = r.Val + 1
			}
			f.Set[dim] |= 1 << r.Val
			if r.Key%w.Config.Parts != p { // where keyIn has put it
				f.Rejected[Keyed][p]++
				continue
			}
			f.Accepted[Keyed][p]++
			row := Row{true, p, o, dim, r.Val, periods[o]}
			f.Entities.Latest[r.Key] = row
			if !f.Entities.First[r.Key].Has {
				f.Entities.First[r.Key] = row
			}
		}
	}
	for _, row := range f.Entities.Latest {
		if row.Has {
			f.Rows[row.Dim]++
			f.Sum[row.Dim] += row.Val
			f.Stand[row.Dim] |= 1 << row.Val
			f.Shown[row.Dim] = true
		}
	}
	for _, row := range f.Entities.First {
		if row.Has {
			f.Firsts[row.Dim]++
		}
	}
	return f
}
