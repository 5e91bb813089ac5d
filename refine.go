package pinflow

import "context"

// Batch is what a live engine works on at a time: for some partitions, the records
// from Start to End, with the log period of each.
type Batch struct {
	Slices []Slice
}

// Slice is a contiguous part [Start, End) of one partition. End is the offset after the
// last record, or later where no reader sees a record.
type Slice struct {
	TopicPartition
	Start, End int64
	Records    []Record
	Periods    []Period // of each record
	Floor      Period   // the period of the last record, or the floor before it if there is none
}

// LiveEngine turns a micro-batch into what it adds to the tables. It holds no state between
// calls but caches; the same batch gives the same delta.
type LiveEngine interface {
	// Refine computes the delta of a batch. What is wrong with a record becomes a
	// reject, never an error. The caller closes the delta.
	Refine(ctx context.Context, b Batch) (Delta, error)
}

// Delta is what a batch adds to the tables of a plan's generation.
type Delta struct {
	Generation string
	Advances   []Advance
	Added      []Addition // by table; tables to which nothing is added may be left out
	Changes    []Change   // by table of kind Entities
	Close      func()     // frees what the relations hold; never nil
}

// Advance moves a partition's position. It is also the fence: the commit fails unless the
// position is at Start.
type Advance struct {
	TopicPartition
	Start, End int64
	Period     Period // of the last record, or the floor if there is none
	// First is the period of the first record, 0 if that is not told. The commit is Fenced too if an install has raised the partition's period beyond it.
	First Period
}

// Addition is rows for one table, in the table's column order.
type Addition struct {
	Table string
	Rows  Relation
}

// Change is what a batch does to the rows of a model with a key. The store applies it in the transaction of the commit, behind the
// fence: it looks up the rows that it holds of the keys in Rows, asks Deltas what the metrics over the model change by, adds that,
// and then lets Rows stand: with keep latest the last one of each key, with keep first the first one of each key that it did not hold.
type Change struct {
	Table string
	// Rows are accepted rows in the table's column order, per key in the order of their offsets. Of rows
	// with the same key and period there is only the last (keep latest), of rows with the same key the first (keep first).
	Rows Relation
	// Single tells that no two Rows have the same key.
	Single bool
	// Before are the columns of the rows held that Deltas wants, the key's first.
	Before []Column
	// Deltas returns the signed partials, given the rows that the store holds of the keys in Rows, as Before. It
	// can be called again if the commit is tried again.
	Deltas func(ctx context.Context, held Relation) ([]Addition, error)
}

// Relation is rows that can be read once or more.
type Relation interface {
	// Scan calls f with each row; f must not keep the slice. Values are nil, bool, int32, int64, *big.Int
	// (HUGEINT), float64, Decimal's text as string for DECIMAL, string, []byte, time.Time, []any (list).
	Scan(ctx context.Context, f func(row []any) error) error
}
