package model

import (
	"math"

	"github.com/pinflow/pinflow/protocol"
)

// readClock is the first thing that a sealer does: the later of its clock and the newest append time. Whatever is appended
// afterwards has a time of at least that, less what the broker's clock steps back.
func (w *World) readClock(who int8) bool {
	w.Sealers[who] = Sealer{Step: SealClock, Now: w.now()}
	return true
}

func (w *World) now() int8 {
	now := w.Clock
	for p := range w.Parts {
		for o := range w.Log[p].End {
			now = max(now, w.Log[p].Records[o].At)
		}
	}
	return now
}

// readLake finds which period is next, and reads where each partition's part of the lake ends.
func (w *World) readLake(who int8) bool {
	s := &w.Sealers[who]
	if s.Step != SealClock {
		return false
	}
	if s.Period = w.nextToSeal(); s.Period < 0 {
		*s = Sealer{}
		return true
	}
	s.Step, s.Parts = SealLake, w.Parts
	for p := range s.Parts {
		s.End[p], _ = w.tail(p)
		s.Later[p] = -1
		for i := range w.Lake[p].N {
			if o := w.Lake[p].Objects[i]; o.Period > s.Period {
				s.Later[p] = o.Start
				break
			}
		}
	}
	return true
}

// nextToSeal is the period behind the last one sealed, or the first one that has a record.
func (w *World) nextToSeal() int8 {
	if last := w.lastSealed(); last >= 0 {
		return last + 1
	}
	first := int8(-1)
	for p := range w.Parts {
		if w.Lake[p].N > 0 && (first < 0 || w.Lake[p].Objects[0].Period < first) {
			first = w.Lake[p].Objects[0].Period
		}
	}
	return first
}

// readLog looks which partitions are quiet, and decides.
func (w *World) readLog(who int8) bool {
	s := &w.Sealers[who]
	if s.Step != SealLake || s.Period >= MaxPeriods-1 {
		return false
	}
	parts := make([]protocol.Partition, s.Parts)
	for p := range s.Parts {
		parts[p] = protocol.Partition{TopicPartition: partition(p), End: int64(s.End[p]), Later: int64(s.Later[p]), Quiet: w.visible(p, s.End[p]) < 0}
		if s.Period > 0 && w.Seals[s.Period-1].Is {
			parts[p].Before = int64(w.Seals[s.Period-1].End[p])
		}
	}
	now := s.Now
	if w.Rules.ClockReadLast {
		now = math.MaxInt8
	}
	ranges, ok, _ := w.Rules.Sealable(w.PeriodAt(s.Period), w.length, int64(now)*tick, int64(w.Config.Grace)*tick, parts)
	if !ok {
		*s = Sealer{}
		return true
	}
	seal := Seal{Is: true, Parts: s.Parts}
	for p, r := range ranges {
		seal.Start[p], seal.End[p] = int8(r.Start), int8(r.End)
	}
	*s = Sealer{Step: SealReady, Period: s.Period, Ranges: seal}
	return true
}

// putSeal is put-if-absent.
func (w *World) putSeal(who int8) bool {
	s := &w.Sealers[who]
	if s.Step != SealReady {
		return false
	}
	d, ranges := s.Period, s.Ranges
	*s = Sealer{}
	if w.Rules.ClockReadLast && w.now() < (d+1)*w.Config.Period+w.Config.Grace {
		return false
	}
	if !w.Seals[d].Is {
		w.Seals[d] = ranges
		w.lakeDirty = true
	}
	return true
}
