package model

// How large a world can get. All numbers in a State are so small that they fit into a byte.
const (
	MaxParts   = 3
	MaxOffsets = 24
	MaxPeriods = 16
	MaxKeys    = 3
	Dims       = 2
	Vals       = 2
	Gens       = 2
	Processes  = 2 // of each role
	maxFlights = 4
	maxBatch   = 5 // records of a live batch
	maxObjects = 16
)

// Kind is what stands at an offset of the log.
type Kind int8

// The kinds of record.
const (
	Good Kind = iota
	Bad       // rejected by every model
	Gap       // an offset that no reader sees: a transaction's marker, a compacted record
)

// Record is a record in the journal.
type Record struct {
	At            int8 // the broker's clock in ticks
	Kind          Kind
	Key, Dim, Val int8
}

// Log is a partition of the journal.
type Log struct {
	Start, End int8 // offsets before Start are forgotten
	Records    [MaxOffsets]Record
}

// Object is one of the lake: the records that a reader sees in [First, Last], named by its period and the position at which it resumed.
type Object struct {
	Period, Start, First, Last int8
}

// Chain is a partition's objects by (Start, Period).
type Chain struct {
	N       int8
	Objects [maxObjects]Object
}

// Flight is a put on its way.
type Flight struct {
	Object
	Part int8
	By   int8 // 1 + the writer that waits for an answer, 0 for nobody any more
}

// Writer is a session of a lake writer for one partition. Sessions for the same partition do not know of one another.
type Writer struct {
	Open    bool
	Start   int8 // where the next object starts
	Next    int8 // the next offset wanted
	Floor   int8
	Filling bool // Buffer has records
	Waiting bool // Put is on its way
	Buffer  Object
	Put     Object
}

// Sealer is a sealer at work.
type Sealer struct {
	Step       SealStep
	Now        int8
	Period     int8
	Parts      int8
	End, Later [MaxParts]int8
	Ranges     Seal
}

// SealStep is how far a Sealer is.
type SealStep int8

// The steps, in their order.
const (
	SealIdle SealStep = iota
	SealClock
	SealLake
	SealReady
)

// Seal is the ranges of a sealed period.
type Seal struct {
	Is         bool
	Parts      int8
	Start, End [MaxParts]int8
}

// Has tells whether an offset is in the period.
func (s *Seal) Has(p, offset int8) bool {
	return s.Is && p < s.Parts && s.Start[p] <= offset && offset < s.End[p]
}

// Position is a generation's progress in a partition.
type Position struct{ Next, Floor int8 }

// Cell is the partials of a (period, shard, dimension) in all metrics.
type Cell struct {
	Count, Least, Set int8       // all records: count(*), 1 + min(val), count(DISTINCT val) as bits
	Touched           bool       // the row below exists
	Rows, Sum         int8       // entities, keep latest: _rows, sum(val)
	Stand             [Vals]int8 // count(DISTINCT val) as a multiset
	Firsts            int8       // entities, keep first: _rows
}

// Shard is the partials of a (period, shard).
type Shard struct {
	Accepted [Models]int8
	Cells    [Dims]Cell
}

// The models: one row per record, and one per key.
const (
	Plain = iota
	Keyed
	Models
)

// Row is an entity's row.
type Row struct {
	Has                 bool
	Part, Off, Dim, Val int8
	Period              int8
}

// Rows are the rows of an entity by key, one table for each way to keep.
type Rows struct{ Latest, First [MaxKeys]Row }

// Rejects have 1 + the period of each rejected record, by model.
type Rejects [Models][MaxParts][MaxOffsets]int8

// Generation is the tables and positions of one.
type Generation struct {
	Exists    bool
	At        [MaxParts]Position
	Partials  [MaxPeriods][MaxParts]Shard
	Rows      Rows
	Rejects   Rejects
	Installed [MaxPeriods]bool
}

// Live is a live worker's hold on a partition in a generation.
type Live struct {
	Open     bool
	Pos      int8
	Floor    int8
	N        int8 // records in hand
	End      int8 // behind them
	NewFloor int8
	Offsets  [maxBatch]int8
	Periods  [maxBatch]int8
}

// Batch is a batch run.
type Batch struct {
	Step        BatchStep
	Gen, Period int8
	Out         Refined
}

// BatchStep is how far a Batch is.
type BatchStep int8

// The steps, in their order.
const (
	BatchIdle BatchStep = iota
	BatchRefined
	BatchPut
)

// Refined is what a batch makes of a period.
type Refined struct {
	Shards  [MaxParts]Shard
	Rejects Rejects
	Rows    Rows // at the end of the period
}

// Derived is what the lake keeps of a Refined.
type Derived struct {
	Is   bool
	Rows Rows
}

// State is all that there is.
type State struct {
	Clock, MaxClock int8
	Posts           int8
	Bugs            int8
	Parts           int8
	Log             [MaxParts]Log
	Lake            [MaxParts]Chain
	Flights         [maxFlights]Flight // in order, unused ones last
	Flying          int8
	Writers         [Processes][MaxParts]Writer
	Sealers         [Processes]Sealer
	Seals           [MaxPeriods]Seal
	Lives           [Processes][Gens][MaxParts]Live
	Batches         [Processes]Batch
	Derived         [Gens][MaxPeriods]Derived
	Gens            [Gens]Generation
	Current         int8
	Held            bool // the current generation commits only as far as the other one is
	Caught          bool // the other one was seen to be at the current one's positions
}
