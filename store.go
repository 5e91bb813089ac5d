package pinflow

import (
	"context"
	"time"
)

// LiveStore is the write half of the store for the live half of refine.
type LiveStore interface {
	// Prepare creates the generation's tables and, if there is no current generation, points the stable
	// views at it. It is idempotent. A store of another pipeline or of a newer version is refused.
	Prepare(ctx context.Context, p *Plan) error
	// Claim returns where each partition stands in the generation, creating its progress at
	// offset start[tp] and NoPeriod where there is none.
	Claim(ctx context.Context, generation string, start map[TopicPartition]int64) (map[TopicPartition]Progress, error)
	// Commit applies a delta in one transaction, fence first. Kind Fenced if a partition's position is not at
	// its advance's start: then nothing was applied.
	Commit(ctx context.Context, d Delta) error
}

// Progress is how far a generation has counted a partition.
type Progress struct {
	NextOffset int64
	Period     Period
}

// StoreReader is the read half of the store.
type StoreReader interface {
	// Query runs a read-only query over the stable views and returns its rows together with the
	// position of which they are exact, both from one snapshot.
	Query(ctx context.Context, q Query) (*Result, error)
	// Positions returns the current generation's next offset per partition.
	Positions(ctx context.Context) (map[TopicPartition]Progress, error)
	// Changes returns a channel that is closed after the next commit. Several commits may share one close.
	Changes() <-chan struct{}
}

// Query is a read. Exactly one of SQL and View is set.
type Query struct {
	SQL     string        // one SELECT in DuckDB's words
	View    string        // a view's name: a metric, a model, "rejects"
	Where   string        // with View: a boolean expression over its columns, DuckDB's words; "" for all
	Filter  []Condition   // with View: conditions that all hold, values bound
	Order   []Order       // with View
	Limit   int           // rows at the most; 0 for no limit
	MaxRows int           // more rows than this are a TooLarge error; 0 for no bound
	Timeout time.Duration // Unavailable after it; 0 for the store's default
}

// Condition is column op value.
type Condition struct {
	Column string
	Op     string // = != < <= > >=
	Value  string // as text; the store casts it to the column's type
}

// Order is one sort key.
type Order struct {
	Column     string
	Descending bool
}

// Result is rows. Values are as in Relation, ready to be encoded: HUGEINT and DECIMAL as json.Number.
type Result struct {
	Columns   []Column
	Rows      [][]any
	Positions map[TopicPartition]Progress
	// Generation is the one that was read, that of Positions.
	Generation string
}
