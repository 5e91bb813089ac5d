package model

import "slices"

// SmallWorlds are worlds for Explore.
func SmallWorlds() []Small {
	one := Config{Parts: 1, Period: 2, Grace: 1, Back: 1, Keys: 3, Posts: 10, Gens: 1}
	two := one
	two.Parts = 2
	gens := one
	gens.Gens = 2
	sealing := Config{Parts: 1, Period: 1, Grace: 1, Back: 1, Keys: 1, Posts: 3, Gens: 1}
	log := func(records ...Record) []Record { return records }
	good := func(at, key, dim, val int8) Record { return Record{at, Good, key, dim, val} }
	first := log(good(0, 0, 0, 0), Record{At: 1, Kind: Gap}, good(2, 0, 0, 0), good(1, 0, 0, 1))
	chain := log(good(0, 0, 0, 1), good(0, 0, 1, 1), good(2, 0, 0, 0))
	return []Small{
		{"lake", preset(one, false, first), writing(1, false), map[Verb]int8{Unwrite: 1, Put: 4, Resume: 3}},
		{"store", preset(two, true, chain, log(good(0, 1, 0, 0), good(2, 1, 1, 1))), counting(2, 1, 1, 2), map[Verb]int8{Unlive: 1, Refine: 3, Claim: 4}},
		{"store, one partition", preset(one, true, chain), counting(1, 1, 2, 2), map[Verb]int8{Unlive: 1, Refine: 4, Claim: 4}},
		{"generations", preset(gens, true, log(good(0, 0, 0, 1), good(2, 0, 1, 1))), counting(1, 2, 1, 1), map[Verb]int8{Refine: 4, Claim: 3, Hold: 1, Unlive: 0}},
		{"sealing", preset(sealing, false), writing(1, true), map[Verb]int8{Post: 2, Tick: 3, Resume: 1, Put: 2, ReadClock: 2, Unwrite: 0}},
	}
}

// preset is a world with a log, and, if sealed, all that can be of it in the lake and sealed.
func preset(c Config, sealed bool, logs ...[]Record) func(r *Rules) (*World, *Violation) {
	return func(r *Rules) (*World, *Violation) {
		w := NewWorld(c, r)
		for p, log := range logs {
			for _, record := range log {
				w.append(int8(p), record)
				w.Clock = max(w.Clock, record.At)
			}
		}
		s := settling{w: w}
		if sealed {
			w.Clock = (w.lastPeriod()+1)*c.Period + c.Grace
			for p := range w.Parts {
				s.write(p)
			}
			for s.did && s.v == nil {
				s.seal()
			}
		}
		w.MaxClock = w.Clock
		return w, s.v
	}
}

// writing is what writers do and, if sealers are at work, what they and the world do.
func writing(parts int8, sealers bool) (all []Action) {
	for who := range int8(Processes) {
		for p := range parts {
			for _, v := range []Verb{Resume, Fetch, Put, Unwrite} {
				all = append(all, Action{Verb: v, Who: who, Part: p})
			}
		}
		if sealers {
			for _, v := range []Verb{ReadClock, ReadLake, ReadLog, PutSeal} {
				all = append(all, Action{Verb: v, Who: who})
			}
		}
	}
	for k := range int8(maxFlights) {
		all = append(all, Action{Verb: Land, N: k})
		if !sealers {
			all = append(all, Action{Verb: Land, N: k, Lost: true})
		}
	}
	if !sealers {
		return all
	}
	for p := range parts {
		all = append(all, Action{Verb: Post, Part: p, Val: 1})
	}
	return append(all, Action{Verb: Tick, N: 1}, Action{Verb: Tick, N: -1})
}

// counting is what live workers and batches do, and generations if there are several.
func counting(parts, gens, lives, batches int8) (all []Action) {
	for g := range gens {
		for who := range lives {
			for p := range parts {
				for _, v := range []Verb{Claim, Commit, Unlive} {
					all = append(all, Action{Verb: v, Who: who, Gen: g, Part: p})
				}
				all = append(all, Action{Verb: Read, Who: who, Gen: g, Part: p, N: 1}, Action{Verb: Read, Who: who, Gen: g, Part: p, N: 2})
			}
		}
		for who := range batches {
			for d := range int8(2) {
				all = append(all, Action{Verb: Refine, Who: who, Gen: g, N: d})
			}
		}
	}
	for who := range batches {
		all = append(all, Action{Verb: PutParts, Who: who}, Action{Verb: Install, Who: who})
	}
	if gens > 1 {
		for _, v := range []Verb{Create, Check, Hold, Unhold, Switch} {
			all = append(all, Action{Verb: v})
		}
	}
	return slices.Clip(all)
}
