package model

import "github.com/pinflow/pinflow"

func (w *World) create() bool {
	if w.Config.Gens < 2 || w.Gens[1].Exists {
		return false
	}
	w.Gens[1].Exists = true
	return true
}

// other is the generation that may take over.
func (w *World) other() (g int8, ok bool) { return 1 - w.Current, w.Gens[1].Exists }

// behind tells whether the other generation lacks records of the current one.
func (w *World) behind() bool {
	at := func(g int8) map[pinflow.TopicPartition]pinflow.Progress {
		all := map[pinflow.TopicPartition]pinflow.Progress{}
		for p := range w.Parts {
			all[partition(p)] = pinflow.Progress{NextOffset: int64(w.progress(g)[p].Next)}
		}
		return all
	}
	return len(w.Rules.Behind(at(1-w.Current), at(w.Current))) > 0
}

func (w *World) lookBehind() bool {
	if _, ok := w.other(); !ok || !w.Rules.SwitchedLater {
		return false
	}
	w.Caught = !w.behind()
	return true
}

func (w *World) hold(on bool) bool {
	if _, ok := w.other(); !ok || w.Held == on {
		return false
	}
	w.Held = on
	return true
}

// turn makes the other generation the current one, in one transaction with the check that no record is lost to readers.
func (w *World) turn() (bool, *Violation) {
	g, ok := w.other()
	if !ok {
		return false, nil
	}
	if w.Rules.SwitchedLater && !w.Caught || !w.Rules.SwitchedLater && w.behind() {
		return false, nil
	}
	for p := range w.Parts {
		if old, new := w.progress(w.Current)[p].Next, w.progress(g)[p].Next; new < old {
			return true, broken("I7", "readers who saw [0,%d) of partition %d see [0,%d) after the switch to generation %d", old, p, new, g)
		}
	}
	w.Current, w.Held, w.Caught = g, false, false
	w.genDirty = [Gens]bool{true, true}
	return true, nil
}
