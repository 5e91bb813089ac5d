package model

import (
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// install is one transaction: it compares and replaces a period, puts the entities right and moves the positions.
func (w *World) install(who int8, again bool) (bool, *Violation) {
	b := &w.Batches[who]
	if b.Step != BatchPut {
		return false, nil
	}
	G, seal := &w.Gens[b.Gen], &w.Seals[b.Period]
	plan := w.planInstall(b, again)
	if plan.Skip {
		*b = Batch{}
		return true, nil
	}
	if len(plan.Early) > 0 {
		return false, nil
	}
	if v := w.compare(G, b, plan.Compare); v != nil {
		return true, v
	}
	positions := *w.progress(b.Gen)
	w.installPartials(G, b)
	w.installRejects(G, b, seal)
	w.installRows(G, b, seal, positions)
	at := w.progress(b.Gen)
	for tp, p := range plan.Moves {
		at[tp.Partition] = Position{int8(p.NextOffset), w.index(p.Period)}
	}
	G.Installed[b.Period] = true
	w.genDirty[b.Gen] = true
	*b = Batch{}
	return true, nil
}

// compare holds live and batch rows against one another, if they are to be: they differ only if there was a bug or the clock stepped back
// beyond the grace, and they do differ if there was a bug.
func (w *World) compare(G *Generation, b *Batch, compare bool) *Violation {
	if !compare {
		w.Told.NotCompared++
		return nil
	}
	w.Told.Compared++
	switch what := w.differs(G, b, &w.Seals[b.Period]); {
	case what != "":
		w.Told.Differences++
		if w.Bugs == 0 && !w.Config.Beyond {
			return broken("I5", "the install of period %d into generation %d: live and batch differ in %s", b.Period, b.Gen, what)
		}
	case w.skipped[b.Gen][b.Period]:
		return broken("I5", "the install of period %d into generation %d: nobody has noticed that records were left out", b.Period, b.Gen)
	}
	return nil
}

func (w *World) planInstall(b *Batch, again bool) protocol.InstallPlan {
	at := map[pinflow.TopicPartition]pinflow.Progress{}
	for p := range w.Parts {
		x := w.progress(b.Gen)[p]
		at[partition(p)] = pinflow.Progress{NextOffset: int64(x.Next), Period: w.PeriodAt(x.Floor)}
	}
	return w.Rules.PlanInstall(at, w.ranges(&w.Seals[b.Period]), w.PeriodAt(b.Period+1), w.Gens[b.Gen].Installed[b.Period], again)
}

func (w *World) ranges(s *Seal) []protocol.Range {
	all := make([]protocol.Range, s.Parts)
	for p := range s.Parts {
		all[p] = w.rangeOf(s, p)
	}
	return all
}

func (w *World) rangeOf(s *Seal, p int8) protocol.Range {
	return protocol.Range{TopicPartition: partition(p), Start: int64(s.Start[p]), End: int64(s.End[p])}
}

// differs names a table in which the live rows of a period are not the batch's, "" if there is none.
func (w *World) differs(G *Generation, b *Batch, seal *Seal) string {
	for p := range G.Partials[b.Period] {
		live, batch := G.Partials[b.Period][p], b.Out.Shards[p]
		if !w.Rules.ZerosAreRows {
			for d := range live.Cells {
				live.Cells[d].Touched, batch.Cells[d].Touched = false, false
			}
		}
		if live != batch {
			return broken("", "partials of partition %d: %+v, %+v", p, live, batch).Text
		}
	}
	for m := range G.Rejects {
		for p := range G.Rejects[m] {
			for o, live := range G.Rejects[m][p] {
				if seal.Has(int8(p), int8(o)) && live != b.Out.Rejects[m][p][o] {
					return broken("", "rejects of %d:%d in model %d", p, o, m).Text
				}
			}
		}
	}
	return ""
}

func (w *World) installPartials(G *Generation, b *Batch) {
	ranges := w.ranges(&w.Seals[b.Period])
	for d := range G.Partials {
		if w.Rules.Replaces(w.PeriodAt(int8(d)), w.PeriodAt(b.Period), ranges) {
			G.Partials[d] = [MaxParts]Shard{}
		}
	}
	G.Partials[b.Period] = b.Out.Shards
}

func (w *World) installRejects(G *Generation, b *Batch, seal *Seal) {
	for m := range G.Rejects {
		for p := range G.Rejects[m] {
			for o := range G.Rejects[m][p] {
				if batch := b.Out.Rejects[m][p][o]; seal.Has(int8(p), int8(o)) || batch != 0 {
					G.Rejects[m][p][o] = batch
				}
			}
		}
	}
}

// installRows puts the entities right: each key with a row of the period, in store or batch.
func (w *World) installRows(G *Generation, b *Batch, seal *Seal, positions [MaxParts]Position) {
	if w.Rules.RowsLeft {
		return
	}
	of := func(r Row) bool { return r.Has && seal.Has(r.Part, r.Off) }
	set := func(keep string, held *[MaxKeys]Row, batch *[MaxKeys]Row) {
		for k := range held {
			store, row := held[k], batch[k]
			switch {
			case w.Rules.RowsOfJump:
				if !of(row) || row.Off < positions[row.Part].Next {
					continue
				}
			case !of(store) && !of(row):
				continue
			}
			home := row.Part
			if store.Has {
				home = store.Part
			}
			if w.Rules.BatchStands(keep, store.Has, int64(store.Off), w.rangeOf(seal, home)) {
				held[k] = row
			}
		}
	}
	set("latest", &G.Rows.Latest, &b.Out.Rows.Latest)
	set("first", &G.Rows.First, &b.Out.Rows.First)
}
