package model

import (
	"hash/maphash"
	"slices"
)

// Small is a world so small that every interleaving in it can be tried.
type Small struct {
	Name    string
	Start   func(r *Rules) (*World, *Violation)
	Actions []Action      // all that may be done at any time
	Budget  map[Verb]int8 // how often, for those with a limit
}

// Exploration is what came of trying all interleavings.
type Exploration struct {
	States, Steps, Depth int
	All                  bool     // no limit was met
	Trace                Schedule // the shortest way to what broke
	Violation            *Violation
}

// node is a state with all by which states differ.
type node struct {
	State
	left [verbs]int8
}

// Explore tries every interleaving, breadth first, until something breaks or there are more than limit states.
func Explore(s Small, r *Rules, limit int) (e Exploration) {
	w, v := s.Start(r)
	if v != nil {
		return Exploration{Violation: v}
	}
	start := node{State: w.State}
	for verb := range start.left {
		start.left[verb] = -1
	}
	for verb, n := range s.Budget {
		start.left[verb] = n
	}
	seed := maphash.MakeSeed()
	seen := map[uint64]struct{}{maphash.Comparable(seed, start): {}}
	type step struct {
		from int
		Action
	}
	steps := []step{{from: -1}}
	type open struct {
		node
		at int
	}
	front := []open{{start, 0}}
	trace := func(at int, last Action) Schedule {
		way := Schedule{last}
		for ; at > 0; at = steps[at].from {
			way = append(way, steps[at].Action)
		}
		slices.Reverse(way)
		return way
	}
	for len(front) > 0 {
		var next []open
		for i := range front {
			for _, a := range s.Actions {
				if front[i].left[a.Verb] == 0 {
					continue
				}
				w.State = front[i].State
				did, v := w.Step(a)
				e.Steps++
				if v != nil {
					e.Trace, e.Violation = trace(front[i].at, a), v
					return e
				}
				if !did {
					continue
				}
				n := node{w.State, front[i].left}
				if n.left[a.Verb] > 0 {
					n.left[a.Verb]--
				}
				h := maphash.Comparable(seed, n)
				if _, known := seen[h]; known {
					continue
				}
				seen[h] = struct{}{}
				e.States = len(seen)
				if len(seen) > limit {
					return e
				}
				steps = append(steps, step{front[i].at, a})
				next = append(next, open{n, len(steps) - 1})
			}
		}
		front = next
		e.Depth++
	}
	e.All = true
	return e
}
