package model

// Settle lets faults stop and everything run to its end, twice, the batch first or the live half, and returns what is wrong then.
func (w *World) Settle(liveFirst bool) *Violation {
	s := settling{w: w}
	for w.Flying > 0 && s.v == nil {
		s.do(Action{Verb: Land})
	}
	for p := range w.Parts {
		for who := range int8(Processes) {
			s.do(Action{Verb: Unwrite, Who: who, Part: p})
			for g := range int8(Gens) {
				s.do(Action{Verb: Unlive, Who: who, Gen: g, Part: p})
			}
		}
	}
	w.Sealers, w.Batches = [Processes]Sealer{}, [Processes]Batch{}
	// Beyond the grace, what lies behind the last sealed range goes into the period after it.
	w.Clock = max(w.Clock, min(max(w.lastPeriod(), w.lastSealed()+1)+1, MaxPeriods-1)*w.Config.Period+w.Config.Grace)
	for range 2 {
		for p := range w.Parts {
			s.write(p)
		}
		for s.did && s.v == nil {
			s.seal()
		}
		if liveFirst {
			s.live()
			s.batch()
		} else {
			s.batch()
			s.live()
		}
		if w.Gens[1].Exists && w.Current == 0 {
			s.do(Action{Verb: Check})
			s.do(Action{Verb: Switch})
		}
	}
	if s.v == nil {
		s.v = w.checkRest()
	}
	return s.v
}

// settling is a world that settles; it stops at the first violation.
type settling struct {
	w   *World
	v   *Violation
	did bool // the last action did something
}

func (s *settling) do(a Action) bool {
	s.did = false
	if s.v == nil {
		s.did, s.v = s.w.Step(a)
	}
	return s.did
}

// write lets a writer bring all of a partition's log into the lake.
func (s *settling) write(p int8) {
	s.do(Action{Verb: Resume, Part: p})
	for turns := 0; s.v == nil; turns++ {
		if turns > MaxOffsets {
			s.v = broken("I9", "at rest: the writer of partition %d never gets to an end; %s", p, s.w.chain(p))
		}
		for s.do(Action{Verb: Fetch, Part: p}) && s.w.Writers[0][p].Open {
		}
		if !s.w.Writers[0][p].Open {
			s.do(Action{Verb: Resume, Part: p})
			continue
		}
		if !s.do(Action{Verb: Put, Part: p}) {
			break
		}
		s.do(Action{Verb: Land})
	}
	s.do(Action{Verb: Unwrite, Part: p})
	s.did = true
}

func (s *settling) seal() {
	s.do(Action{Verb: ReadClock})
	s.do(Action{Verb: ReadLake})
	s.do(Action{Verb: ReadLog})
	s.do(Action{Verb: PutSeal})
}

func (s *settling) batch() {
	for d := range int8(MaxPeriods) {
		for g := range int8(Gens) {
			if s.w.Seals[d].Is && s.w.Gens[g].Exists && !s.w.Gens[g].Installed[d] {
				s.do(Action{Verb: Refine, Gen: g, N: d})
				s.do(Action{Verb: PutParts})
				s.do(Action{Verb: Install})
				s.do(Action{Verb: Unbatch})
			}
		}
	}
}

func (s *settling) live() {
	s.did = true
	for g := range int8(Gens) {
		for p := range s.w.Parts {
			a := Action{Gen: g, Part: p, N: maxBatch}
			for turns := 0; s.did && s.v == nil; turns++ {
				for _, a.Verb = range [...]Verb{Unlive, Claim, Read, Commit} {
					s.do(a)
				}
				if turns == MaxOffsets {
					s.v = broken("I9", "at rest: generation %d never gets beyond %d:%d", g, p, s.w.progress(g)[p].Next)
				}
			}
			s.did = true
			a.Verb = Unlive
			s.do(a)
		}
	}
}

// lastPeriod is the latest period of a record.
func (w *World) lastPeriod() int8 {
	last := int8(noPeriod)
	for p := range w.Parts {
		periods := w.Periods(p)
		for o := range w.Log[p].End {
			last = max(last, periods[o])
		}
	}
	return last
}

// lastSealed is the latest sealed period.
func (w *World) lastSealed() int8 {
	for d := int8(MaxPeriods - 1); d >= 0; d-- {
		if w.Seals[d].Is {
			return d
		}
	}
	return noPeriod
}

// checkRest: everything is in the lake and counted once, everything that could be sealed is, and installed everywhere.
func (w *World) checkRest() *Violation {
	w.rest = true
	if sealed, last := w.lastSealed(), w.lastPeriod(); sealed < last {
		return broken("I9", "at rest: sealed up to period %d, records up to %d", sealed, last)
	}
	for p := range w.Parts {
		end, _ := w.tail(p)
		if left := w.visible(p, end); left >= 0 {
			return broken("I1", "at rest: the lake lacks %d:%d", p, left)
		}
	}
	for g := range w.Gens {
		if !w.Gens[g].Exists {
			continue
		}
		for d := range w.Seals {
			if w.Seals[d].Is && !w.Gens[g].Installed[d] {
				return broken("I9", "at rest: generation %d never got the sealed period %d", g, d)
			}
		}
		for p := range w.Parts {
			if left := w.visible(p, w.progress(int8(g))[p].Next); left >= 0 {
				return broken("I4", "at rest: generation %d has not counted %d:%d", g, p, left)
			}
		}
		w.genDirty[g] = true
	}
	if w.Gens[1].Exists && w.Current != 1 {
		return broken("I9", "at rest: generation 1 never took over")
	}
	w.lakeDirty = true
	return w.check()
}
