package model

import (
	"fmt"
	"math/rand/v2"
)

// chances are how often the verbs come, in a thousand.
var chances = func() (table []Verb) {
	for _, c := range []struct {
		v Verb
		n int
	}{{Post, 150}, {Mark, 20}, {Tick, 80}, {Retain, 10}, {Grow, 5},
		{Resume, 45}, {Fetch, 110}, {Put, 70}, {Land, 70}, {Unwrite, 10},
		{ReadClock, 30}, {ReadLake, 40}, {ReadLog, 40}, {PutSeal, 40},
		{Claim, 50}, {Read, 60}, {Commit, 55}, {Skip, 5}, {Unlive, 10},
		{Refine, 50}, {PutParts, 45}, {Install, 50}, {Unbatch, 5},
		{Create, 5}, {Check, 5}, {Hold, 5}, {Unhold, 2}, {Switch, 10}} {
		for range c.n {
			table = append(table, c.v)
		}
	}
	return table
}()

// Random returns the schedule of a seed.
func Random(seed uint64, c Config, length int) Schedule {
	r := rand.New(rand.NewPCG(seed, 11))
	s := make(Schedule, length+int(seed%2)) // the length decides which half settles first
	for i := range s {
		s[i] = c.random(r)
	}
	return s
}

func (c *Config) random(r *rand.Rand) Action {
	parts := int32(c.Parts)
	if c.Grow {
		parts++
	}
	a := Action{Verb: chances[r.IntN(len(chances))], Who: int8(r.IntN(Processes)), Gen: int8(r.IntN(int(c.Gens))), Part: int8(r.Int32N(parts))}
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
		if r.IntN(5) == 0 {
			a.N = -1 - int8(r.IntN(3))
		}
	case Retain:
		a.N = 1 + int8(r.IntN(3))
	case Land:
		a.N, a.Lost = int8(r.IntN(maxFlights-1)), r.IntN(5) == 0
	case Read:
		a.N = 1 + int8(r.IntN(maxBatch-1))
	case Refine:
		a.N = int8(r.IntN(5))
	case Install:
		a.Again = r.IntN(8) == 0
	}
	return a
}

// Run does a schedule in a new world and then lets it settle. It returns the world, the actions that did something, and what broke.
func Run(c Config, r *Rules, s Schedule) (*World, Schedule, *Violation) {
	w := NewWorld(c, r)
	var done Schedule
	for _, a := range s {
		did, v := w.Step(a)
		if did || v != nil {
			done = append(done, a)
		}
		if v != nil {
			return w, done, v
		}
	}
	return w, done, w.Settle(len(s)%2 == 1)
}

// Shrink leaves out what can be left out of a schedule that breaks an invariant, so that it still does: first large pieces, then ever
// smaller ones, as long as that goes.
func Shrink(s Schedule, breaks func(Schedule) bool) Schedule {
	for n := max(1, len(s)/2); ; n = max(1, n/2) {
		hit := false
		for i := 0; i < len(s); {
			// The parity decides which half settles first, so it is tried both ways.
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
	Seeds, Steps                       int
	Compared, NotCompared, Differences int
}

// Try runs a seed. If it fails, the schedule comes back as short as it can be.
func (c *Campaign) Try(seed uint64, cfg Config, r *Rules, length int) *Failure {
	s := Random(seed, cfg, length)
	w, _, v := Run(cfg, r, s)
	c.Seeds++
	c.Steps += w.Told.Steps
	c.Compared += w.Told.Compared
	c.NotCompared += w.Told.NotCompared
	c.Differences += w.Told.Differences
	if v == nil {
		return nil
	}
	short := Shrink(s, func(s Schedule) bool {
		_, _, found := Run(cfg, r, s)
		return found != nil && found.Invariant == v.Invariant
	})
	_, done, v := Run(cfg, r, short)
	return &Failure{seed, cfg, done, v}
}
