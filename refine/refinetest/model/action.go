package model

import (
	"fmt"
	"strings"
)

// Verb is what an action does.
type Verb int8

// The verbs, by who does them.
const (
	Post   Verb = iota // a record is appended
	Mark               // an offset that no reader sees is
	Tick               // the broker's clock moves by N
	Retain             // the journal forgets up to N offsets that the lake has
	Grow               // the topic gets a partition

	Resume  // a writer takes a partition
	Fetch   // and a record into its buffer
	Put     // sends the buffer, or sends it once more
	Land    // the put number N arrives; its answer does not if Lost
	Unwrite // a writer dies

	ReadClock // a sealer reads the clock
	ReadLake  // then the lake
	ReadLog   // then the journal, and decides
	PutSeal   // then it puts the seal

	Claim  // a live worker takes a partition
	Read   // and up to N records
	Commit // counts them
	Skip   // leaves them out, and says that it did not: a bug
	Unlive // a live worker dies

	Refine   // a batch computes period N
	PutParts // puts what it made
	Install  // installs it; once more if Again
	Unbatch  // a batch dies

	Create // a second generation is made
	Check  // somebody looks whether the other generation is there
	Hold   // the current one waits for the other
	Unhold
	Switch // the other one becomes the current

	verbs
)

var verbNames = [verbs]string{"post", "mark", "tick", "retain", "grow", "resume", "fetch", "put", "land", "unwrite", "readclock", "readlake", "readlog", "putseal",
	"claim", "read", "commit", "skip", "unlive", "refine", "putparts", "install", "unbatch", "create", "check", "hold", "unhold", "switch"}

func (v Verb) String() string { return verbNames[v] }

// Action is one step of one process. Which fields matter, the verb says.
type Action struct {
	Verb Verb
	Who  int8 // the process
	Gen  int8
	Part int8
	N    int8

	Kind          Kind
	Key, Dim, Val int8
	Lost, Again   bool
}

// String writes an action as a line that tells what matters of it.
func (a Action) String() string {
	var b strings.Builder
	b.WriteString(a.Verb.String())
	add := func(format string, v any) { fmt.Fprintf(&b, " "+format, v) }
	switch a.Verb {
	case Resume, Fetch, Put, Unwrite, ReadClock, ReadLake, ReadLog, PutSeal, Claim, Read, Commit, Skip, Unlive, Refine, PutParts, Install, Unbatch:
		add("by=%d", a.Who)
	}
	switch a.Verb {
	case Claim, Read, Commit, Skip, Unlive, Refine:
		add("gen=%d", a.Gen)
	}
	switch a.Verb {
	case Post, Mark, Retain, Resume, Fetch, Put, Unwrite, Claim, Read, Commit, Skip, Unlive:
		add("part=%d", a.Part)
	}
	switch a.Verb {
	case Tick, Retain, Land, Read, Refine:
		add("n=%d", a.N)
	case Post:
		fmt.Fprintf(&b, " key=%d dim=%d val=%d", a.Key, a.Dim, a.Val)
		if a.Kind == Bad {
			b.WriteString(" bad")
		}
	}
	if a.Lost {
		b.WriteString(" answer lost")
	}
	if a.Again {
		b.WriteString(" again")
	}
	return b.String()
}

// Schedule is actions one after another.
type Schedule []Action

// String writes an action per line.
func (s Schedule) String() string {
	var b strings.Builder
	for _, a := range s {
		fmt.Fprintf(&b, "  %s\n", a)
	}
	return b.String()
}

// Step does one action and holds what it changed against the oracle. It tells whether there was anything to do.
func (w *World) Step(a Action) (done bool, v *Violation) {
	var before State
	told := w.Told
	if w.Follow != nil {
		before = w.State
	}
	if done, v = w.do(a); v == nil && done {
		w.Told.Steps++
		v = w.check()
	}
	if v == nil && w.Follow != nil {
		if err := w.Follow(a, &before, told, done); err != nil {
			v = broken("followed", "%s: %v", a, err)
		}
	}
	return done, v
}

func (w *World) do(a Action) (bool, *Violation) {
	if a.Part >= w.Parts && a.Verb != Post && a.Verb != Grow {
		return false, nil
	}
	switch a.Verb {
	case Post:
		return w.post(a), nil
	case Mark:
		return w.mark(a.Part), nil
	case Tick:
		return w.tick(a.N), nil
	case Retain:
		return w.retain(a.Part, a.N), nil
	case Grow:
		return w.grow(), nil
	case Resume:
		return w.resume(a.Who, a.Part)
	case Fetch:
		return w.fetch(a.Who, a.Part), nil
	case Put:
		return w.put(a.Who, a.Part), nil
	case Land:
		return w.land(a.N, a.Lost), nil
	case Unwrite:
		return w.unwrite(a.Who, a.Part), nil
	case ReadClock:
		return w.readClock(a.Who), nil
	case ReadLake:
		return w.readLake(a.Who), nil
	case ReadLog:
		return w.readLog(a.Who), nil
	case PutSeal:
		return w.putSeal(a.Who), nil
	case Claim:
		return w.claim(a.Who, a.Gen, a.Part), nil
	case Read:
		return w.read(a.Who, a.Gen, a.Part, a.N), nil
	case Commit:
		return w.commit(a.Who, a.Gen, a.Part), nil
	case Skip:
		return w.skip(a.Who, a.Gen, a.Part), nil
	case Unlive:
		return w.unlive(a.Who, a.Gen, a.Part), nil
	case Refine:
		return w.refine(a.Who, a.Gen, a.N), nil
	case PutParts:
		return w.putParts(a.Who), nil
	case Install:
		return w.install(a.Who, a.Again)
	case Unbatch:
		return w.unbatch(a.Who), nil
	case Create:
		return w.create(), nil
	case Check:
		return w.lookBehind(), nil
	case Hold, Unhold:
		return w.hold(a.Verb == Hold), nil
	case Switch:
		return w.turn()
	}
	return false, nil
}
