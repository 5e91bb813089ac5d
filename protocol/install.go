package protocol

import (
	"fmt"
	"slices"

	"github.com/pinflow/pinflow"
)

// InstallPlan is what an install of a period does to a generation.
type InstallPlan struct {
	// Skip means that the period is installed and nothing is to be done.
	Skip bool
	// Early names the partitions whose position is before the period's start: nothing is done, the period before comes first.
	Early []pinflow.TopicPartition
	// Compare tells whether live and batch rows are compared; Why says why not.
	Compare bool
	Why     string
	// Moves are the positions that change: greatest(position, end) and greatest(period, the one behind).
	Moves map[pinflow.TopicPartition]pinflow.Progress
}

// PlanInstall decides what to do with a period of those ranges, given a generation's progress as it stands under lock. A partition
// without progress stands at 0. The live rows are only the period's if every position is at or past its end and none of them is a batch's.
func PlanInstall(at map[pinflow.TopicPartition]pinflow.Progress, ranges []Range, next pinflow.Period, installed, again bool) InstallPlan {
	if installed && !again {
		return InstallPlan{Skip: true}
	}
	p := InstallPlan{Compare: !installed, Moves: map[pinflow.TopicPartition]pinflow.Progress{}}
	if installed {
		p.Why = "it was installed before"
	}
	for _, r := range ranges {
		have, known := at[r.TopicPartition]
		if !known {
			have = pinflow.Progress{Period: pinflow.NoPeriod}
		}
		if have.NextOffset < r.Start {
			p.Early = append(p.Early, r.TopicPartition)
		}
		if have.NextOffset < r.End && p.Compare {
			p.Compare = false
			p.Why = fmt.Sprintf("the live half stood at %d in %s, the period ends at %d", have.NextOffset, r.TopicPartition, r.End)
		}
		moved := pinflow.Progress{NextOffset: max(have.NextOffset, r.End), Period: max(have.Period, next)}
		if moved != have || !known {
			p.Moves[r.TopicPartition] = moved
		}
	}
	return p
}

// BatchStands tells which row stands for a key after the install of a period whose range in the key's partition is r, when the key has
// a row of the period in the store or in the batch: the batch's state at the end of the period (which may be no row), or the store's row. That one
// stands if it is newer than the period; the first row of a key is never newer.
func BatchStands(keep string, storeHas bool, storeOffset int64, r Range) bool {
	return keep == "first" || !storeHas || storeOffset < r.End
}

// Replaces tells whether the install of period p takes away the live rows of a period: those of p and, if p is the first of all, those of any
// before it. There are such only if the broker's clock stepped back by more than the grace: they lie beyond p's ranges, so a later period counts them.
func Replaces(rows, p pinflow.Period, ranges []Range) bool {
	return rows == p || rows < p && !slices.ContainsFunc(ranges, func(r Range) bool { return r.Start > 0 })
}
