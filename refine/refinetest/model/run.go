package model

import (
	"fmt"
	"math/rand/v2"
)

// Mix is how often something comes, in shares: single steps, and several steps of one process with nothing between.
type Mix []Chance

// Chance is a share of a Mix.
type Chance struct {
	Share int
	Verbs []Verb
}

// Anything is a mix of all that happens.
func Anything() Mix {
	return Mix{
		{150, []Verb{Post}}, {20, []Verb{Mark}}, {80, []Verb{Tick}}, {10, []Verb{Retain}}, {5, []Verb{Grow}},
		{40, []Verb{Resume}}, {100, []Verb{Fetch}}, {60, []Verb{Put}}, {70, []Verb{Land}}, {10, []Verb{Unwrite}},
		{20, []Verb{Resume, Fetch, Put, Land}}, {20, []Verb{Resume, Fetch, Fetch, Put, Land, Fetch, Put, Land}},
		{15, []Verb{ReadClock}}, {20, []Verb{ReadLake}}, {20, []Verb{ReadLog}}, {20, []Verb{PutSeal}}, {30, []Verb{ReadClock, ReadLake, ReadLog, PutSeal}},
		{5, []Verb{ReadClock, ReadLake, ReadLog, Post, Tick, Tick, PutSeal}},
		{50, []Verb{Claim}}, {60, []Verb{Read}}, {55, []Verb{Commit}}, {5, []Verb{Skip}}, {10, []Verb{Unlive}}, {20, []Verb{Claim, Read, Commit}},
		{35, []Verb{Refine}}, {30, []Verb{PutParts}}, {35, []Verb{Install}}, {5, []Verb{Unbatch}}, {25, []Verb{Refine, PutParts, Install}}, {15, []Verb{Refine, PutParts, Unbatch}},
		{20, []Verb{Tick, Resume, Fetch, Put, Land, ReadClock, ReadLake, ReadLog, PutSeal, Tick, Post, Claim, Read, Commit}},
		{5, []Verb{Create}}, {5, []Verb{Check}}, {5, []Verb{Hold}}, {2, []Verb{Unhold}}, {10, []Verb{Switch}},
	}
}

// Counting is a mix in which the store has most to do.
func Counting() Mix {
	return Mix{
		{200, []Verb{Post}}, {10, []Verb{Mark}}, {200, []Verb{Tick}}, {10, []Verb{Retain}}, {10, []Verb{Grow}},
		{150, []Verb{Resume, Fetch, Fetch, Put, Land, Fetch, Put, Land}}, {120, []Verb{ReadClock, ReadLake, ReadLog, PutSeal}},
		{60, []Verb{Claim}}, {120, []Verb{Read}}, {80, []Verb{Commit}}, {5, []Verb{Skip}}, {10, []Verb{Unlive}}, {60, []Verb{Claim, Read, Commit}},
		{40, []Verb{Refine}}, {30, []Verb{PutParts}}, {60, []Verb{Install}}, {5, []Verb{Unbatch}}, {90, []Verb{Refine, PutParts, Install}}, {30, []Verb{Refine, PutParts, Install, Refine, PutParts, Install}}, {40, []Verb{Refine, PutParts, Unbatch}},
		{20, []Verb{Create}}, {10, []Verb{Hold}}, {5, []Verb{Unhold}}, {20, []Verb{Switch}},
	}
}

// Writing is a mix in which writers and sealers have most to do.
func Writing() Mix {
	return Mix{
		{150, []Verb{Post}}, {30, []Verb{Mark}}, {80, []Verb{Tick}},
		{60, []Verb{Resume}}, {180, []Verb{Fetch}}, {90, []Verb{Put}}, {90, []Verb{Land}}, {20, []Verb{Unwrite}},
		{30, []Verb{Resume, Fetch, Fetch, Put, Land, Fetch, Put, Land}},
		{25, []Verb{ReadClock}}, {30, []Verb{ReadLake}}, {30, []Verb{ReadLog}}, {30, []Verb{PutSeal}}, {40, []Verb{ReadClock, ReadLake, ReadLog, PutSeal}},
	}
}

// Random returns the schedule of a seed.
func Random(seed uint64, c Config, m Mix, length int) Schedule {
	r := rand.New(rand.NewPCG(seed, 11))
	sum := 0
	for _, x := range m {
		sum += x.Share
	}
	s := make(Schedule, 0, length+16)
	for len(s) < length {
		i := 0
		for n := r.IntN(sum); n >= m[i].Share; i++ {
			n -= m[i].Share
		}
		a := c.random(r)
		for _, v := range m[i].Verbs {
			a.Verb = v
			s = append(s, c.choose(r, a))
		}
	}
	return s
}

// random returns who does something, and where; N is a period for those who want one.
func (c *Config) random(r *rand.Rand) Action {
	parts := int32(c.Parts)
	if c.Grow {
		parts++
	}
	return Action{Who: int8(r.IntN(Processes)), Gen: int8(r.IntN(int(c.Gens))), Part: int8(r.Int32N(parts)), N: int8(r.IntN(6))}
}

// choose fills in what the verb wants.
func (c *Config) choose(r *rand.Rand, a Action) Action {
	switch a.Verb {
	case Post:
		a.Key, a.Dim, a.Val = int8(r.IntN(int(c.Keys))), int8(r.IntN(Dims)), int8(r.IntN(Vals))
		if !c.Misroute || r.IntN(5) > 0 {
			a.Part = a.Key % c.Parts
		}
		if c.Bad && r.IntN(7) == 0 {
			a.Kind = Bad
		}
	case Tick:
		a.N = []int8{1, 1, 1, 2, 3}[r.IntN(5)]
		if r.IntN(5) == 0 || c.Beyond && r.IntN(3) == 0 {
			a.N = -1 - int8(r.IntN(3))
		}
	case Retain:
		a.N = 1 + int8(r.IntN(3))
	case Land:
		a.N, a.Lost = int8(r.IntN(maxFlights-1)), r.IntN(5) == 0
	case Read:
		a.N = 1 + int8(r.IntN(maxBatch-1))
	case Install:
		a.Again = r.IntN(3) == 0
	}
	return a
}

// Run does a schedule and then lets the world settle, the live half first or the batch. It returns the actions that did something, and what broke.
func (w *World) Run(s Schedule, liveFirst bool) (done Schedule, v *Violation) {
	for _, a := range s {
		did, v := w.Step(a)
		if did || v != nil {
			done = append(done, a)
		}
		if v != nil {
			return done, v
		}
	}
	return done, w.Settle(liveFirst)
}

// Shrink leaves out what can be left out of a schedule that breaks an invariant, so that it still does: first large pieces, then ever
// smaller ones, as long as that goes.
func Shrink(s Schedule, breaks func(Schedule) bool) Schedule {
	for n := max(1, len(s)/2); ; n = max(1, n/2) {
		hit := false
		for i := 0; i < len(s); {
			shorter := append(append(Schedule(nil), s[:i]...), s[min(i+n, len(s)):]...)
			if breaks(shorter) {
				s, hit = shorter, true
			} else {
				i += n
			}
		}
		if n == 1 && !hit {
			return s
		}
	}
}

// Failure is a schedule that breaks an invariant, made as short as can be.
type Failure struct {
	Seed     uint64
	Config   Config
	Schedule Schedule
	*Violation
}

func (f *Failure) Error() string {
	return fmt.Sprintf("seed %d: %s\n%+v\nthe shortest way there:\n%s", f.Seed, f.Violation, f.Config, f.Schedule)
}

// Campaign tells what came of many seeds.
type Campaign struct {
	Seeds int
	Told
}

// Try runs a seed in a new world. If it fails, the schedule comes back as short as it can be.
func (c *Campaign) Try(seed uint64, cfg Config, r *Rules, length int) *Failure {
	return c.TryIn(func() *World { return NewWorld(cfg, r) }, seed, Random(seed, cfg, Anything(), length))
}

// TryIn is Try of a schedule in worlds that open makes.
func (c *Campaign) TryIn(open func() *World, seed uint64, s Schedule) *Failure {
	w, liveFirst := open(), seed%2 == 1
	_, v := w.Run(s, liveFirst)
	c.Seeds++
	c.Steps += w.Told.Steps
	c.Compared += w.Told.Compared
	c.NotCompared += w.Told.NotCompared
	c.Differences += w.Told.Differences
	if v == nil {
		return nil
	}
	short := Shrink(s, func(s Schedule) bool {
		_, found := open().Run(s, liveFirst)
		return found != nil && found.Invariant == v.Invariant
	})
	done, v := open().Run(short, liveFirst)
	return &Failure{seed, w.Config, done, v}
}
