package pinflow

import (
	"cmp"
	"slices"
	"time"
)

// AuditReport is what an audit saw: counts per period and partition that must add up, what does not, and every comparison
// that was recorded. It is the answer of GET /api/audit and the output of pinflow audit.
type AuditReport struct {
	Pipeline   string    `json:"pipeline"`
	Generation string    `json:"generation"`
	Deep       bool      `json:"deep"` // all was computed anew from the lake's records
	StartedAt  time.Time `json:"started_at"`
	EndedAt    time.Time `json:"ended_at"`
	// OK is the verdict: there is no finding, and no recorded difference stands.
	OK bool `json:"ok"`
	// Positions are how far the store had counted when the audit began. What came later is left out.
	Positions []AuditPosition `json:"positions"`
	Counts    []AuditCount    `json:"counts"` // by period, then by partition
	Findings  []Finding       `json:"findings"`
	// MoreFindings is how many there are beyond those listed.
	MoreFindings int64 `json:"more_findings,omitempty"`
	// Notes are what one should know and what is no difference: a lake that lags, a part that could not be checked and why.
	Notes       []string           `json:"notes"`
	Comparisons []PeriodComparison `json:"comparisons"` // all that were recorded, oldest first
}

// AuditPosition is how far the store had counted a partition.
type AuditPosition struct {
	TopicPartition
	NextOffset int64 `json:"next_offset"`
}

// AuditCount is a period's share of a partition, seen at every place that holds it. A nil count is one that cannot be known.
type AuditCount struct {
	Period string `json:"period"`
	TopicPartition
	Start   int64        `json:"start"` // the offsets [Start, End)
	End     int64        `json:"end"`
	State   AuditState   `json:"state"`
	Journal *int64       `json:"journal"` // records; nil where the journal's retention has passed
	Lake    *int64       `json:"lake"`    // records; fewer than elsewhere without a finding where the lake lags, which a note tells
	Sealed  *int64       `json:"sealed"`  // records that _SUCCESS tells of; nil if the period is not sealed
	Models  []ModelAudit `json:"models"`
}

// AuditState is how far a period has come.
type AuditState string

// The states of a period.
const (
	OpenPeriod      AuditState = "open"      // records may still come
	SealedPeriod    AuditState = "sealed"    // complete in the lake
	InstalledPeriod AuditState = "installed" // its batch rows are in the store
)

// ModelAudit is what became of the records in one model.
type ModelAudit struct {
	Model string `json:"model"`
	Batch *Tally `json:"batch"` // as the manifest of the derived files counts; nil if there is none
	Store *Tally `json:"store"` // as the store's tables count; nil if they hold nothing
	Rows  *int64 `json:"rows"`  // stored rows; nil for a model whose rows are not all kept
}

// Tally is how many records were accepted and rejected.
type Tally struct {
	Accepted int64 `json:"accepted"`
	Rejected int64 `json:"rejected"`
	Erased   int64 `json:"erased,omitempty"`
}

// All returns how many records that is.
func (t Tally) All() int64 { return t.Accepted + t.Rejected + t.Erased }

// Finding is something that does not hold.
type Finding struct {
	Kind     string `json:"kind"`  // the place that is at odds: FindJournal …
	Where    string `json:"where"` // a topic:partition:offset, a period, a file or a table
	What     string `json:"what"`
	Expected string `json:"expected,omitempty"`
	Found    string `json:"found,omitempty"`
	Do       string `json:"do,omitempty"` // what the reader can do
	// Samples are some of the rows that differ, the found side as Live, the expected one as Batch.
	Samples []Divergence `json:"samples,omitempty"`
}

// The kinds of finding.
const (
	FindJournal  = "journal"  // the journal's and the lake's records differ
	FindLake     = "lake"     // objects do not tile the offsets, or do not hold what they should
	FindSeal     = "seal"     // _SUCCESS is not what the lake holds
	FindDerived  = "derived"  // a derived file is not what its manifest says, or not what follows from the records
	FindStore    = "store"    // the store's rows are not what follows from the records
	FindRecorded = "recorded" // a difference between live and batch was recorded, and stands
)

// PeriodComparison is a Comparison with its period's name.
type PeriodComparison struct {
	Name string `json:"period"`
	Comparison
	// Standing means that the difference is neither acknowledged nor settled by a later comparison that found none.
	Standing bool `json:"standing,omitempty"`
}

// NameComparisons names the periods of a generation's comparisons, and tells which differences stand.
func NameComparisons(l PeriodLength, all []Comparison) []PeriodComparison {
	named := make([]PeriodComparison, len(all))
	for i, c := range all {
		named[i] = PeriodComparison{Name: l.Name(c.Period), Comparison: c}
	}
	slices.SortStableFunc(named, func(a, b PeriodComparison) int { return cmp.Compare(a.ID, b.ID) })
	equal := map[Period]bool{} // periods with a later comparison that found no difference
	for i := len(named) - 1; i >= 0; i-- {
		c := &named[i]
		c.Standing = c.Differing > 0 && !c.Acknowledged && !equal[c.Period]
		if c.Why == "" {
			equal[c.Period] = equal[c.Period] || c.Differing == 0
		}
	}
	return named
}
