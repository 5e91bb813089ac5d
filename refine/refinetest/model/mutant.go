package model

import (
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// Mutant is the rules with one of them off, and a world in which that must be noticed.
type Mutant struct {
	Name  string
	Rule  string // what is left out
	Off   func(r *Rules)
	World Config
}

// Mutants are one for each rule.
func Mutants() []Mutant {
	usual, beyond := Usual(), BeyondWorlds()[0]
	short := beyond
	short.Period, short.Keys, short.Gens, short.Grace = 1, 2, 1, 1
	quiet := usual
	quiet.NoLive = true
	buggy := usual
	buggy.Bugs = 1
	return []Mutant{
		{"period", "a record's period is never before that of the record before it", func(r *Rules) {
			r.Of = func(l pinflow.PeriodLength, at int64, _ pinflow.Period) pinflow.Period {
				return l.Of(at, pinflow.NoPeriod)
			}
		}, usual},
		{"writer floor", "a writer takes the period's floor from the lake's last object", func(r *Rules) { r.WriterForgetsFloor = true }, usual},
		{"worker floor", "a live worker takes the period's floor from progress", func(r *Rules) { r.WorkerForgetsFloor = true }, usual},
		{"name", "an object is named by the position at which it resumed", func(r *Rules) { r.NamedByFirst = true }, usual},
		{"resume", "a writer resumes at the end of the lake", func(r *Rules) {
			r.Resume = func(_ protocol.Tail, start, _ int64) (int64, protocol.Resumption) { return start, protocol.GoOn }
		}, usual},
		{"resume late", "a writer leaves nothing out", func(r *Rules) {
			r.Resume = func(_ protocol.Tail, _, end int64) (int64, protocol.Resumption) { return end, protocol.GoOn }
		}, usual},
		{"exists", "an object that is there is never taken for one's own", func(r *Rules) {
			r.AfterExists = func(mine, _ protocol.Tail) protocol.Tail { return mine }
		}, usual},

		{"grace", "a period is sealed when the grace is over", func(r *Rules) {
			r.Sealable = func(p pinflow.Period, l pinflow.PeriodLength, now, _ int64, parts []protocol.Partition) ([]protocol.Range, bool, *pinflow.TopicPartition) {
				return protocol.Sealable(p, l, now, 0, parts)
			}
		}, usual},
		{"period's end", "a period is sealed when it is over", func(r *Rules) {
			r.Sealable = func(p pinflow.Period, l pinflow.PeriodLength, _, grace int64, parts []protocol.Partition) ([]protocol.Range, bool, *pinflow.TopicPartition) {
				return protocol.Sealable(p, l, 1<<60, grace, parts)
			}
		}, usual},
		{"quiet", "a partition without a later object must be quiet", func(r *Rules) {
			r.Sealable = func(p pinflow.Period, l pinflow.PeriodLength, now, grace int64, parts []protocol.Partition) ([]protocol.Range, bool, *pinflow.TopicPartition) {
				for i := range parts {
					parts[i].Quiet = true
				}
				return protocol.Sealable(p, l, now, grace, parts)
			}
		}, usual},
		{"later object", "a range ends where the first object of a later period starts", func(r *Rules) {
			r.Sealable = func(p pinflow.Period, l pinflow.PeriodLength, now, grace int64, parts []protocol.Partition) ([]protocol.Range, bool, *pinflow.TopicPartition) {
				ranges, ok, waits := protocol.Sealable(p, l, now, grace, parts)
				for i := range ranges {
					ranges[i].End = parts[i].End
				}
				return ranges, ok, waits
			}
		}, usual},
		{"clock first", "a sealer reads the clock before it reads lake and journal", func(r *Rules) { r.ClockReadLast = true }, usual},
		{"ranges", "the batch reads the sealed ranges, not the folder", func(r *Rules) { r.FolderRead = true }, beyond},

		{"fence", "a commit is fenced by the position", func(r *Rules) { r.Fenced = func(int64, int64) bool { return false } }, usual},
		{"stale", "a commit that counts before the floor is dropped", func(r *Rules) {
			r.Stale = func(_, _ pinflow.Period) bool { return false }
		}, beyond},
		{"drop after fence", "a worker whose fence failed drops what it holds", func(r *Rules) { r.KeptAfterFence = true }, usual},

		{"install blind", "an install moves the positions", func(r *Rules) {
			plans(r, func(p *protocol.InstallPlan, _ []protocol.Range, _ pinflow.Period) { p.Moves = nil })
		}, usual},
		{"install waits", "an install overtakes the live half", func(r *Rules) {
			plans(r, func(p *protocol.InstallPlan, ranges []protocol.Range, _ pinflow.Period) {
				if !p.Compare && p.Why != "it was installed before" {
					for _, r := range ranges {
						p.Early = append(p.Early, r.TopicPartition)
					}
				}
			})
		}, quiet},
		{"order", "the period before is installed first", func(r *Rules) {
			plans(r, func(p *protocol.InstallPlan, _ []protocol.Range, _ pinflow.Period) { p.Early = nil })
		}, usual},
		{"guard", "only what is purely live is compared", func(r *Rules) {
			plans(r, func(p *protocol.InstallPlan, _ []protocol.Range, _ pinflow.Period) { p.Compare = true })
		}, usual},
		{"floor", "an install raises the floor past the period", func(r *Rules) {
			plans(r, func(p *protocol.InstallPlan, ranges []protocol.Range, next pinflow.Period) {
				for tp, m := range p.Moves {
					m.Period = min(m.Period, next-1)
					p.Moves[tp] = m
				}
			})
		}, beyond},
		{"before the first", "the first install takes rows of earlier periods away", func(r *Rules) {
			r.Replaces = func(rows, p pinflow.Period, _ []protocol.Range) bool { return rows == p }
		}, short},
		{"rows", "an install brings the entities", func(r *Rules) { r.RowsLeft = true }, usual},
		{"repair", "an install puts right the entities that the live half made", func(r *Rules) { r.RowsOfJump = true }, buggy},
		{"newer rows", "an install leaves entities alone that are newer than the period", func(r *Rules) {
			r.BatchStands = func(string, bool, int64, protocol.Range) bool { return true }
		}, usual},
		{"older rows", "an install replaces entities that are not newer than the period", func(r *Rules) {
			r.BatchStands = func(_ string, storeHas bool, _ int64, _ protocol.Range) bool { return !storeHas }
		}, usual},

		{"zeros", "a row of zeros is no row", func(r *Rules) { r.ZerosAreRows = true }, usual},
		{"multiset", "count distinct over an entity is a signed multiset", func(r *Rules) { r.SetUnsigned = true }, usual},
		{"home", "a keyed model takes a record only in its key's home", func(r *Rules) {
			r.Misplaced = func([]byte, int, int32) bool { return false }
		}, usual},
		{"path", "the lake's derived files carry the generation", func(r *Rules) { r.OnePath = true }, usual},
		{"progress", "progress is per generation", func(r *Rules) { r.OneProgress = true }, usual},
		{"switch", "the switch checks the positions in its own transaction", func(r *Rules) { r.SwitchedLater = true }, usual},
		{"behind", "a generation takes over when it is not behind", func(r *Rules) {
			r.Behind = func(_, _ map[pinflow.TopicPartition]pinflow.Progress) map[pinflow.TopicPartition]int64 { return nil }
		}, usual},
	}
}

// plans changes what PlanInstall says.
func plans(r *Rules, change func(p *protocol.InstallPlan, ranges []protocol.Range, next pinflow.Period)) {
	r.PlanInstall = func(at map[pinflow.TopicPartition]pinflow.Progress, ranges []protocol.Range, next pinflow.Period, installed, again bool) protocol.InstallPlan {
		p := protocol.PlanInstall(at, ranges, next, installed, again)
		if !p.Skip {
			change(&p, ranges, next)
		}
		return p
	}
}
