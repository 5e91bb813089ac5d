package web

import (
	"context"

	"github.com/pinflow/pinflow"
)

// Operator does what takes long or changes something: audits, batches, generations. Periods go by their names. Only
// one batch, audit or building of a generation runs at a time: another waits, or is an Exists error. What is not there is NotFound.
type Operator interface {
	// Comparisons returns all that were recorded of the current generation, oldest first. It is cheap.
	Comparisons(ctx context.Context) ([]pinflow.PeriodComparison, error)
	// LastAudit returns the report of the last audit that this process has run, nil if it has run none.
	LastAudit() *pinflow.AuditReport
	// Audit runs one. That it finds differences is no error.
	Audit(ctx context.Context, req AuditRequest, progress func(pinflow.Work)) (*pinflow.AuditReport, error)
	// Acknowledge marks the differences recorded of a period as seen. NotFound if there is none.
	Acknowledge(ctx context.Context, period string) error
	// ReportAsOf returns a report's rows over the state at the end of a period.
	ReportAsOf(ctx context.Context, report, period string) (*pinflow.Result, error)
	// Generations lists them, oldest first.
	Generations(ctx context.Context) ([]GenerationInfo, error)
	// BuildGeneration makes the generation of the pipeline's definition as it is now; it returns its name. With Switch, readers see
	// it once it has all that the current one has.
	BuildGeneration(ctx context.Context, req BuildRequest, progress func(pinflow.Work)) (*GenerationInfo, error)
	// SwitchGeneration makes a generation the current one. Unavailable, telling how far it is behind, if it lacks records.
	SwitchGeneration(ctx context.Context, generation string, progress func(pinflow.Work)) (*GenerationInfo, error)
	// DropGeneration removes a generation. The current one is an Invalid error.
	DropGeneration(ctx context.Context, generation string) error
	// Batch seals what can be sealed and installs periods.
	Batch(ctx context.Context, req BatchRequest, progress func(pinflow.Work)) (*BatchResult, error)
	// BatchStatus tells which periods are installed, and what comes next.
	BatchStatus(ctx context.Context) (*BatchStatus, error)
}

// AuditRequest is how an audit is to be done.
type AuditRequest struct {
	Deep   bool `json:"deep,omitempty" doc:"Compute everything anew from the lake's records, and compare that with the stored Parquet and with the store"`
	Record bool `json:"record,omitempty" doc:"With deep: record what the store was compared with; an equal comparison settles a difference that was recorded"`
}

// BatchRequest says which periods. Without Period, From and To: every sealed one that is not installed.
type BatchRequest struct {
	Period string `json:"period,omitempty" doc:"One period, by its name, such as 2026-11-22"`
	From   string `json:"from,omitempty" doc:"The first period of a range"`
	To     string `json:"to,omitempty" doc:"The last period of a range, which is included"`
	Rerun  bool   `json:"rerun,omitempty" doc:"Also periods that are installed already"`
	Wait   bool   `json:"wait,omitempty" doc:"Wait until the period can be sealed"`
}

// BuildRequest is how a generation is to be built.
type BuildRequest struct {
	Switch bool `json:"switch,omitempty" doc:"Show it to readers once it has all that the current one has"`
}

// GenerationRequest names a generation.
type GenerationRequest struct {
	Generation string `json:"generation" doc:"Its name"`
}

// AcknowledgeRequest names a period.
type AcknowledgeRequest struct {
	Period string `json:"period" doc:"The period's name, such as 2026-11-22"`
}

// BatchResult is what a batch did.
type BatchResult struct {
	Periods []BatchPeriod `json:"periods" doc:"In their order; none if there was nothing to do"`
	Waits   string        `json:"waits,omitempty" doc:"What the next period waits for"`
}

// Differing tells whether live and batch rows differed in one of the periods.
func (r *BatchResult) Differing() bool {
	for _, p := range r.Periods {
		if p.Comparison != nil && p.Comparison.Differing > 0 {
			return true
		}
	}
	return false
}

// BatchPeriod is what a batch did with a period.
type BatchPeriod struct {
	Period     string              `json:"period"`
	Unchanged  bool                `json:"unchanged,omitempty" doc:"It was installed already, and nothing was done"`
	Records    int64               `json:"records" doc:"Records of the period in the lake"`
	Seconds    float64             `json:"seconds" doc:"How long it took"`
	Comparison *pinflow.Comparison `json:"comparison,omitempty" doc:"Live and batch rows beside one another"`
}

// BatchStatus is where the batch stands.
type BatchStatus struct {
	Installed int            `json:"installed" doc:"How many periods are installed"`
	Periods   []PeriodStatus `json:"periods" doc:"The newest of them, newest first"`
	Next      string         `json:"next,omitempty" doc:"The period that is installed next"`
	Waits     string         `json:"waits,omitempty" doc:"What that waits for"`
	Running   *Running       `json:"running,omitempty" doc:"The batch, audit or building of a generation that runs"`
	Failed    string         `json:"failed,omitempty" doc:"Why the last batch failed; absent while all is well"`
}

// PeriodStatus is an installed period.
type PeriodStatus struct {
	Period       string `json:"period"`
	InstalledAt  string `json:"installed_at" doc:"RFC 3339"`
	Records      int64  `json:"records"`
	NotCompared  string `json:"not_compared,omitempty" doc:"Why live and batch rows were not compared"`
	Rows         int64  `json:"rows" doc:"How many rows were compared"`
	Differing    int64  `json:"differing" doc:"How many of them differ"`
	Acknowledged bool   `json:"acknowledged,omitempty" doc:"Somebody has seen the difference and taken it"`
	Standing     bool   `json:"standing,omitempty" doc:"The difference is neither acknowledged nor settled"`
}

// Running is what long work is going on.
type Running struct {
	What string       `json:"what" doc:"batch, audit or generation"`
	Work pinflow.Work `json:"work"`
}

// GenerationInfo is a generation and how far it is.
type GenerationInfo struct {
	pinflow.Generation
	Positions []Position    `json:"positions" doc:"How far it has counted"`
	Behind    int64         `json:"behind" doc:"How many records it lacks of what the current one has counted"`
	Building  *pinflow.Work `json:"building,omitempty" doc:"How far its building has come, while it is being built"`
}

// Positions lists a generation's positions in order.
func Positions(at map[pinflow.TopicPartition]pinflow.Progress) []Position { return sortedPositions(at) }
