package model

// progress is the positions by which a generation goes.
func (w *World) progress(g int8) *[MaxParts]Position {
	if w.Rules.OneProgress {
		g = 0
	}
	return &w.Gens[g].At
}

// claim reads where the generation stands.
func (w *World) claim(who, g, p int8) bool {
	x := &w.Lives[who][g][p]
	if w.Config.NoLive || !w.Gens[g].Exists || x.Open {
		return false
	}
	at := w.progress(g)[p]
	if w.Rules.WorkerForgetsFloor {
		at.Floor = noPeriod
	}
	*x = Live{Open: true, Pos: at.Next, Floor: at.Floor}
	return true
}

// read takes up to n records, from the journal, or from the lake as far as the journal has forgotten them.
func (w *World) read(who, g, p, n int8) bool {
	x := &w.Lives[who][g][p]
	if !x.Open || x.N > 0 {
		return false
	}
	end := w.Log[p].End
	if x.Pos < w.Log[p].Start {
		end, _ = w.tail(p)
	}
	pos, floor := x.Pos, x.Floor
	for x.N < n {
		at := w.visible(p, pos)
		if at < 0 || at >= end {
			break
		}
		floor = w.of(w.Log[p].Records[at].At, floor)
		x.Offsets[x.N], x.Periods[x.N] = at, floor
		x.N++
		pos = at + 1
	}
	x.End, x.NewFloor = pos, floor
	if x.N == 0 {
		x.End, x.NewFloor = 0, 0
		return false
	}
	return true
}

// commit counts what is in hand, in one transaction that is fenced by the position and by the floor.
func (w *World) commit(who, g, p int8) bool {
	x := &w.Lives[who][g][p]
	if !x.Open || x.N == 0 {
		return false
	}
	at := &w.progress(g)[p]
	if w.Rules.Fenced(int64(at.Next), int64(x.Pos)) {
		if w.Rules.KeptAfterFence {
			x.Pos = at.Next
			return true
		}
		*x = Live{}
		return true
	}
	if w.Rules.Stale(w.PeriodAt(at.Floor), w.PeriodAt(x.Periods[0])) {
		*x = Live{}
		return true
	}
	if w.waits(g, p, x.End) {
		return false
	}
	G := &w.Gens[g]
	for i := range x.N {
		w.count(G, g, p, x.Offsets[i], x.Periods[i])
	}
	w.advance(x, at)
	w.genDirty[g] = true
	return true
}

// waits tells whether a commit of the current generation must wait for the other one.
func (w *World) waits(g, p, end int8) bool {
	return w.Held && g == w.Current && w.Rules.Held(int64(end), int64(w.progress(1 - g)[p].Next))
}

// advance moves a position to the end of what is in hand.
func (w *World) advance(x *Live, at *Position) {
	*at = Position{x.End, max(x.NewFloor, at.Floor)}
	*x = Live{Open: true, Pos: x.End, Floor: x.NewFloor}
}

// count adds a record to a generation's tables.
func (w *World) count(G *Generation, g, p, offset, period int8) {
	r := w.Log[p].Records[offset]
	shard := &G.Partials[period][p]
	if r.Kind == Bad {
		G.Rejects[Plain][p][offset], G.Rejects[Keyed][p][offset] = 1+period, 1+period
		return
	}
	dim := Dimension(g, r)
	shard.Accepted[Plain]++
	shard.Cells[dim].add(r.Val)
	if w.Misplaced(r.Key, p) {
		G.Rejects[Keyed][p][offset] = 1 + period
		return
	}
	shard.Accepted[Keyed]++
	row := Row{true, p, offset, dim, r.Val, period}
	w.replace(shard, G.Rows.Latest[r.Key], row)
	G.Rows.Latest[r.Key] = row
	if !G.Rows.First[r.Key].Has {
		G.Rows.First[r.Key] = row
		shard.Cells[dim].Firsts++
	}
}

// Dimension is the group of a record, as each definition has it.
func Dimension(g int8, r Record) int8 {
	if g == 0 {
		return r.Dim
	}
	return (r.Dim + r.Val) % Dims
}

// Misplaced tells whether a keyed model rejects a record because its key lives elsewhere.
func (w *World) Misplaced(key, p int8) bool {
	return w.Rules.Misplaced(w.keys[key], int(w.Config.Parts), int32(p))
}

// add is a row more of the plain model.
func (c *Cell) add(val int8) {
	c.Count++
	if c.Least == 0 || 1+val < c.Least {
		c.Least = 1 + val
	}
	c.Set |= 1 << val
}

// replace is the delta of a row that comes to stand in place of another: both in the period and shard of the new one.
func (w *World) replace(shard *Shard, old, row Row) {
	w.sign(&shard.Cells[row.Dim], row.Val, 1)
	if old.Has {
		w.sign(&shard.Cells[old.Dim], old.Val, -1)
	}
}

func (w *World) sign(c *Cell, val, sign int8) {
	c.Touched = true
	c.Rows += sign
	c.Sum += sign * val
	switch {
	case !w.Rules.SetUnsigned:
		c.Stand[val] += sign
	case sign > 0:
		c.Stand[val] = 1
	}
}

// skip is a bug: the position moves, and the records are not counted.
func (w *World) skip(who, g, p int8) bool {
	x := &w.Lives[who][g][p]
	at := &w.progress(g)[p]
	if w.Bugs >= w.Config.Bugs || x.N == 0 || at.Next != x.Pos || w.waits(g, p, x.End) {
		return false
	}
	w.Bugs++
	for _, d := range x.Periods[:x.N] {
		w.skipped[g][d] = true
	}
	w.advance(x, at)
	return true
}

func (w *World) unlive(who, g, p int8) bool {
	x := &w.Lives[who][g][p]
	if !x.Open {
		return false
	}
	*x = Live{}
	return true
}
