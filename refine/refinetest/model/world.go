package model

import (
	"fmt"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// Config is the size and the unruliness of a world. Times are in ticks.
type Config struct {
	Parts  int8
	Period int8 // the log period's length
	Grace  int8
	Back   int8 // how far the broker's clock may step back
	Keys   int8
	Posts  int8
	Gens   int8
	Bugs   int8 // batches that a live worker may leave out

	Misroute bool // posts go to any partition
	Gaps     bool
	Bad      bool
	Retain   bool // the journal forgets what the lake has
	Grow     bool // a partition may be added
	NoLive   bool // the live half never runs
	// Beyond means that the clock may step back by more than the grace: then only what lasts is held against the oracle.
	Beyond bool
}

// Usual returns a world in which anything that the protocol allows for may happen.
func Usual() Config {
	return Config{Parts: 2, Period: 2, Grace: 1, Back: 1, Keys: 3, Posts: 10, Gens: 2, Misroute: true, Gaps: true, Bad: true, Retain: true}
}

// Worlds are those in which schedules run; a seed has one of them. In all of them every promise holds at every moment.
func Worlds() []Config {
	usual := Usual()
	short, long, grows, batch, buggy := usual, usual, usual, usual, usual
	short.Period, short.Grace, short.Back = 1, 2, 2
	long.Parts, long.Period, long.Grace, long.Back, long.Gens = 3, 4, 3, 3, 1
	grows.Grow = true
	batch.NoLive = true
	buggy.Bugs = 1
	return []Config{usual, short, usual, long, grows, batch, buggy}
}

// BeyondWorlds are those in which the broker's clock steps back by more than the grace: a period's live rows may differ from the batch's,
// which is told, and at rest nothing is lost or doubled.
func BeyondWorlds() []Config {
	usual := Usual()
	usual.Beyond, usual.Grace, usual.Back = true, 0, 3
	graceful, small := usual, usual
	graceful.Grace, graceful.Gens = 1, 1
	small.Parts, small.Keys, small.Period, small.Gens, small.Posts = 1, 1, 1, 1, 6
	small.Gaps, small.Bad, small.Misroute, small.Retain = false, false, false, false
	return []Config{usual, graceful, small}
}

// tick is how long a tick is, in milliseconds.
const tick = 1000

// Topic is the topic of a world.
const Topic = "events"

// World is a State with what it goes by.
type World struct {
	Config Config
	Rules  *Rules
	State

	length pinflow.PeriodLength
	keys   [MaxKeys][]byte

	lakeDirty bool
	genDirty  [Gens]bool
	rest      bool // everything has run to its end

	skipped [Gens][MaxPeriods]bool // records of these were left out by a bug

	Told Told
	// Follow, if not nil, is called after each step, also one that did nothing, with what there was before. An error of it breaks the run.
	Follow func(a Action, before *State, told Told, done bool) error
}

// Told is what is counted for those who watch.
type Told struct {
	Steps, Compared, NotCompared, Differences int
}

// NewWorld returns an empty world.
func NewWorld(c Config, r *Rules) *World {
	w := &World{Config: c, Rules: r, length: pinflow.PeriodLength(time.Duration(c.Period) * tick * time.Millisecond)}
	w.Parts = c.Parts
	for i := range w.keys {
		w.keys[i] = keyIn(int32(i)%int32(c.Parts), int(c.Parts), i)
	}
	for g := range w.Gens {
		for p := range w.Gens[g].At {
			w.Gens[g].At[p].Floor = noPeriod
		}
	}
	w.Gens[0].Exists = true
	return w
}

// keyIn returns the text of a key that lives in partition p of n.
func keyIn(p int32, n, which int) []byte {
	for i := 0; ; i++ {
		if key := fmt.Appendf(nil, "key-%d-%d", which, i); protocol.Home(key, n) == p {
			return key
		}
	}
}

// Key returns the text of a key.
func (w *World) Key(k int8) []byte { return w.keys[k] }

// noPeriod is pinflow.NoPeriod as an index.
const noPeriod = -1

// PeriodAt returns the log period of an index, which counts from the first instant of all.
func (w *World) PeriodAt(i int8) pinflow.Period {
	if i < 0 {
		return pinflow.NoPeriod
	}
	return pinflow.Period(int64(i) * int64(w.Config.Period) * tick)
}

// index is the other way round.
func (w *World) index(p pinflow.Period) int8 {
	if p < 0 {
		return noPeriod
	}
	return int8(int64(p) / (int64(w.Config.Period) * tick))
}

// of returns the period of a record behind a floor.
func (w *World) of(at, floor int8) int8 {
	return w.index(w.Rules.Of(w.length, int64(at)*tick, w.PeriodAt(floor)))
}

// partition is a partition as package protocol calls it.
func partition(p int8) pinflow.TopicPartition {
	return pinflow.TopicPartition{Topic: Topic, Partition: int32(p)}
}

// visible returns the first offset from off on that has a record, -1 if there is none.
func (w *World) visible(p, off int8) int8 {
	l := &w.Log[p]
	for ; off < l.End; off++ {
		if l.Records[off].Kind != Gap {
			return off
		}
	}
	return -1
}

// tail is where a partition's part of the lake ends.
func (w *World) tail(p int8) (end, floor int8) {
	c := &w.Lake[p]
	if c.N == 0 {
		return 0, noPeriod
	}
	last := c.Objects[c.N-1]
	return last.Last + 1, last.Period
}

// Violation is a promise broken.
type Violation struct {
	Invariant string // I1 to I9, as docs call them
	Text      string
}

func (v *Violation) Error() string { return v.Invariant + ": " + v.Text }

func broken(invariant, format string, args ...any) *Violation {
	return &Violation{invariant, fmt.Sprintf(format, args...)}
}
