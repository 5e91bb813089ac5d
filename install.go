package pinflow

import (
	"context"
	"errors"
	"time"
)

// BatchStore is the write half of the store for the batch.
type BatchStore interface {
	// Prepare creates the generation's tables; see LiveStore.
	Prepare(ctx context.Context, p *Plan) error
	// Installed returns the generation's installed periods, oldest first.
	Installed(ctx context.Context, generation string) ([]Installed, error)
	// Progress returns where a generation stands, for partitions that it has begun.
	Progress(ctx context.Context, generation string) (map[TopicPartition]Progress, error)
	// Install compares and replaces a period in one transaction, and returns what was recorded. Kind Fenced if a
	// position is before the period's start: the period before is to be installed first.
	Install(ctx context.Context, in Installation) (*Comparison, error)
	// PutReport replaces the table of a report in one step.
	PutReport(ctx context.Context, generation, report string, asOf Period, rows Relation) error
}

// ReportInfo tells of a report's stored rows.
type ReportInfo struct {
	Report string    `json:"report"`
	AsOf   Period    `json:"-"` // the last period that went into them
	At     time.Time `json:"at"`
	Rows   int64     `json:"rows"`
}

// Installed is a period that was installed.
type Installed struct {
	Period Period
	At     time.Time
	Ranges []InstalledRange
	Parts  []Part
}

// InstalledRange is an installed period's share of a partition: the offsets [Start, End), and how many records that is.
type InstalledRange struct {
	TopicPartition
	Start, End int64
	Records    int64
}

// Installation is a period that goes into the store.
type Installation struct {
	Generation string
	Period     Period
	Next       Period           // the one behind it
	Ranges     []InstalledRange // of every partition of every topic
	// Added are all rows of the period by table: Partials, Rows and Rejects. A table that is left out has none.
	// Of a table of kind Entities: the rows that came to stand in the period, one per key.
	Added []Addition
	// StateOf returns the rows of a table of kind Entities that stand at the end of the period for some keys (rows of
	// the key's columns); a key without one is left out.
	StateOf func(ctx context.Context, table string, keys Relation) (Relation, error)
	Parts   []Part // where the rows come from, with File set; SQL reads the clean parts of models that keep recent rows only
	// Again replaces the period although it is installed. Without it, Install changes nothing then.
	Again bool
}

// Comparison is the record of a period's live and batch rows beside one another.
type Comparison struct {
	ID         int64     `json:"id"` // counts up
	Generation string    `json:"generation"`
	Period     Period    `json:"-"`
	At         time.Time `json:"at"`
	// Why tells why nothing was compared, "" if it was.
	Why       string            `json:"not_compared,omitempty"`
	Rows      int64             `json:"rows"`      // compared, over all tables
	Differing int64             `json:"differing"` // rows that only one side has, or has otherwise
	Tables    []TableComparison `json:"tables,omitempty"`
	// Acknowledged means that somebody has seen the difference and taken it.
	Acknowledged bool `json:"acknowledged,omitempty"`
	// Unchanged means that the period was installed already and nothing was done; such a comparison is not recorded.
	Unchanged bool `json:"-"`
}

// TableComparison is a Comparison's share of one table.
type TableComparison struct {
	Table     string `json:"table"`
	Rows      int64  `json:"rows"`
	Differing int64  `json:"differing"`
	// Samples are some of the differing rows, each as JSON of the row's columns.
	Samples []Divergence `json:"samples,omitempty"`
}

// Divergence is a row on which the two computations differ; a side that has none is "".
type Divergence struct {
	Live  string `json:"live"`
	Batch string `json:"batch"`
}

// GenerationStore manages a store's generations.
type GenerationStore interface {
	// Generations lists them, oldest first.
	Generations(ctx context.Context) ([]Generation, error)
	// PlanOf returns the plan that a generation was made with. NotFound if there is no such generation.
	PlanOf(ctx context.Context, generation string) (*Plan, error)
	// Hold keeps the current generation from committing beyond the positions of another, which is to take over,
	// until a time or a switch. A commit beyond is an Unavailable error that wraps ErrHeld.
	Hold(ctx context.Context, generation string, until time.Time) error
	// Switch points the stable views at a generation, in one transaction with the check that its positions are at or
	// past the current one's in every partition: Unavailable, telling how far it is behind, if they are not.
	Switch(ctx context.Context, generation string) error
	// DropGeneration removes a generation's tables and progress. The current one is an Invalid error.
	DropGeneration(ctx context.Context, generation string) error
}

// ErrHeld is why a commit is to be tried again after a while: its generation is held, see GenerationStore.
var ErrHeld = errors.New("another generation is about to take over")

// Generation is what the store knows of one.
type Generation struct {
	Name      string                      `json:"generation"`
	Current   bool                        `json:"current"`
	MadeAt    time.Time                   `json:"made_at"`
	Installed int                         `json:"installed_periods"`
	Positions map[TopicPartition]Progress `json:"-"`
}

// AuditStore is the read half of the store for the audit.
type AuditStore interface {
	Installed(ctx context.Context, generation string) ([]Installed, error)
	// Comparisons returns all that were recorded of a generation, oldest first.
	Comparisons(ctx context.Context, generation string) ([]Comparison, error)
	// Acknowledge marks the differences recorded of a period as seen. NotFound if there is none.
	Acknowledge(ctx context.Context, generation string, p Period) error
	// Counts returns what the generation's tables hold, with the positions of the same snapshot.
	Counts(ctx context.Context, generation string) (StoreCounts, error)
	// Compare holds the store's rows of some periods and ranges against others, as Install does, and records the outcome if
	// record is true; nothing is replaced. Rows of the store at or past a range's end are left out for tables that tell offsets.
	Compare(ctx context.Context, in Installation, record bool) (*Comparison, error)
}

// StoreCounts are the numbers of rows in a generation's tables.
type StoreCounts struct {
	Positions map[TopicPartition]Progress
	// Counts have an entry per model, partition and period of which anything is held.
	Counts []StoreCount
}

// StoreCount is what the tables hold of a model in a period and partition.
type StoreCount struct {
	Model string
	TopicPartition
	Period   Period
	Accepted int64 // as the table of PlannedModel.Accepted counts
	Rejected int64
	Rows     int64 // stored rows; -1 for a model whose rows are not all kept
}
