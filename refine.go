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
	Close      func()     // frees what the relations hold; never nil
}

// Advance moves a partition's position. It is also the fence: the commit fails unless the
// position is at Start.
type Advance struct {
	TopicPartition
	Start, End int64
	Period     Period
}

// Addition is rows for one table, in the table's column order.
type Addition struct {
	Table string
	Rows  Relation
}

// Relation is rows that can be read once or more.
type Relation interface {
	// Scan calls f with each row; f must not keep the slice. Values are nil, bool, int32, int64, *big.Int
	// (HUGEINT), float64, Decimal's text as string for DECIMAL, string, []byte, time.Time, []any (list).
	Scan(ctx context.Context, f func(row []any) error) error
}
