package model

import (
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// Rules are the decisions by which a world goes on. Those of Protocol are package protocol's; a mutant replaces one.
type Rules struct {
	Of          func(l pinflow.PeriodLength, timestamp int64, floor pinflow.Period) pinflow.Period
	Misplaced   func(key []byte, partitions int, lies int32) bool
	Resume      func(t protocol.Tail, logStart, logEnd int64) (int64, protocol.Resumption)
	AfterExists func(mine, there protocol.Tail) protocol.Tail
	Sealable    func(p pinflow.Period, l pinflow.PeriodLength, now, grace int64, parts []protocol.Partition) ([]protocol.Range, bool, *pinflow.TopicPartition)
	PlanInstall func(at map[pinflow.TopicPartition]pinflow.Progress, ranges []protocol.Range, next pinflow.Period, installed, again bool) protocol.InstallPlan
	BatchStands func(keep string, storeHas bool, storeOffset int64, r protocol.Range) bool
	Replaces    func(rows, p pinflow.Period, ranges []protocol.Range) bool
	Behind      func(next, current map[pinflow.TopicPartition]pinflow.Progress) map[pinflow.TopicPartition]int64
	Fenced      func(position, start int64) bool
	Stale       func(floor, first pinflow.Period) bool
	Held        func(end, successor int64) bool
	Slips
}

// Slips are what a stage can do wrong with the right decisions.
type Slips struct {
	WriterForgetsFloor bool // a writer resumes without the period of the lake's last object
	WorkerForgetsFloor bool // a live worker resumes without progress.period
	NamedByFirst       bool // an object is named by its first record, not by where it resumed
	FolderRead         bool // the batch reads the period's folder, not the sealed ranges
	ClockReadLast      bool // a sealer reads the clock after the log
	KeptAfterFence     bool // a worker whose fence failed keeps what it holds
	RowsLeft           bool // an install leaves the rows of entities alone
	RowsOfJump         bool // an install brings only the rows that the live half has not seen
	ZerosAreRows       bool // a row of zeros is a row
	SetUnsigned        bool // count(DISTINCT) over an entity forgets nothing
	OnePath            bool // the lake's derived files do not carry the generation
	OneProgress        bool // generations share their progress
	SwitchedLater      bool // the switch trusts what was checked before it
}

// Protocol returns the rules as they are.
func Protocol() Rules {
	return Rules{
		Of:          pinflow.PeriodLength.Of,
		Misplaced:   func(key []byte, partitions int, lies int32) bool { return protocol.Home(key, partitions) != lies },
		Resume:      protocol.Resume,
		AfterExists: func(_, there protocol.Tail) protocol.Tail { return protocol.AfterExists(there) },
		Sealable:    protocol.Sealable,
		PlanInstall: protocol.PlanInstall,
		BatchStands: protocol.BatchStands,
		Replaces:    protocol.Replaces,
		Behind:      protocol.Behind,
		Fenced:      protocol.Fenced,
		Stale:       protocol.Stale,
		Held:        protocol.Held,
	}
}
