package pinflow

import (
	"context"
	"iter"
	"time"
)

// Seal says that a log period is complete in one topic, and which records it is: the range of offsets of each
// partition, for ever. A record beyond a range counts as one of a later period, wherever it lies.
type Seal struct {
	Topic      string
	Period     Period
	Partitions []SealedPartition // all of the topic's, in order
}

// SealedPartition is a sealed period's share of a partition: the offsets [Start, End).
type SealedPartition struct {
	Partition  int32
	Start, End int64
	Records    int64          // how many records that is
	Objects    []SealedObject // that hold them, in the order of offsets
}

// SealedObject is an object of the lake that holds records of a sealed period.
type SealedObject struct {
	Name       string // in the lake
	Start, End int64  // the offsets that it covers
	Records    int64
	Size       int64 // bytes as stored
}

// Line is a record as the lake keeps it: with its value compact, and nil if it was empty.
type Line struct {
	Record
	Erased bool // only Topic, Partition and Offset are left
}

// RawReader is the read half of the lake's records for those who do not follow the journal.
type RawReader interface {
	// Seals yields a topic's sealed periods without a gap, oldest first.
	Seals(ctx context.Context, topic string) iter.Seq2[Seal, error]
	// ReadObject yields the lines of a sealed partition's object in the order of offsets. Lines are the caller's to keep.
	ReadObject(ctx context.Context, topic string, o SealedObject) iter.Seq2[Line, error]
	// ReadFrom yields a partition's lines from an offset on as far as the lake has them, none if it ends there. Kind
	// OutOfRange if the lake does not have the offset although it has later ones.
	ReadFrom(ctx context.Context, tp TopicPartition, offset int64) iter.Seq2[Line, error]
}

// BatchEngine recomputes a closed period from the lake.
type BatchEngine interface {
	// Refine reads a period's records and writes what follows from them as Parquet files into in.Dir. What is wrong
	// with a record becomes a reject, never an error. The same period gives the same rows.
	Refine(ctx context.Context, in Closed) (*Refined, error)
	// Report runs a report over a past state and writes its rows as Parquet into dir.
	Report(ctx context.Context, report string, over State, dir string) ([]Part, error)
}

// Closed is a closed period as it goes into a BatchEngine.
type Closed struct {
	Period Period
	Seals  []Seal // one per topic of the plan; a topic that began later has none
	// Before is the state of each table of kind Entities at the end of the period before: files to be read in this
	// order, a later row of a key in place of an earlier one (keep first: the other way round).
	Before map[string][]Part
	Dir    string // an empty local folder
	// Progress is told of work done since the last call: objects read, rows cleaned; nil for nobody.
	Progress func(objects, rows int64)
}

// PartKind is what a Parquet file tells of a period.
type PartKind string

// The kinds of part. Each is a folder of a generation in the lake.
const (
	CleanPart    PartKind = "clean"   // the accepted rows of a model: _period, _topic and the model's columns
	MetricPart   PartKind = "metrics" // the partials of a table of kind Partials, in its columns
	RejectPart   PartKind = "rejects" // a model's rejects, in the columns of RejectsTable
	LatestPart   PartKind = "latest"  // the rows of an entities table that came to stand in the period
	SnapshotPart PartKind = "state"   // all rows of an entities table at the end of the period; not made for every one
	ReportPart   PartKind = "reports" // the rows of a report
)

// Part is a Parquet file. Types that Parquet lacks are written as others that hold the same values: HUGEINT as DECIMAL(38,0).
type Part struct {
	Kind   PartKind `json:"kind"`
	Of     string   `json:"of"`   // the model, table or report
	File   string   `json:"-"`    // where it lies on this machine
	Name   string   `json:"name"` // in the lake, once it is there
	Rows   int64    `json:"rows"`
	Size   int64    `json:"size"`   // bytes
	SHA256 string   `json:"sha256"` // of the file, in hex
}

// Refined is what a BatchEngine made of a period.
type Refined struct {
	Parts  []Part // with File set
	Counts []ModelCount
}

// ModelCount is what became of a partition's records in a model. Accepted + Rejected + Erased is how many there are.
type ModelCount struct {
	Model string `json:"model"`
	TopicPartition
	Accepted int64 `json:"accepted"`
	Rejected int64 `json:"rejected"`
	Erased   int64 `json:"erased,omitempty"`
}

// State is all that is derived up to the end of a period.
type State struct {
	Clean   map[string][]Part // by model
	Metrics map[string][]Part // by table of kind Partials
	Latest  map[string][]Part // by table of kind Entities, as Closed.Before
	Rejects []Part
}

// Derived is the part of the lake that is made from its records: gen=<generation>/.
type Derived interface {
	// Put stores the parts of a period and then, for each folder of one kind and name, the manifest that names them, in place
	// of the one there was. Folders without a part get a manifest of none. Parts come back with their Names. A manifest of
	// reports alone is added to what was made of the period, which must be there (NotFound), and takes the place of the same reports only.
	Put(ctx context.Context, m Manifest) (Manifest, error)
	// Manifest returns what was made of a period: NotFound if it was not, or not to its end.
	Manifest(ctx context.Context, generation string, p Period) (Manifest, error)
	// Stage returns the part with a File that can be read on this machine until release is called.
	Stage(ctx context.Context, p Part) (staged Part, release func(), err error)
	// Sweep removes what no manifest of the period names. Not while somebody may still read the parts of a manifest replaced.
	Sweep(ctx context.Context, generation string, p Period) error
	// Drop removes all of a generation.
	Drop(ctx context.Context, generation string) error
	// Replacing notes that a run is about to make a period anew that is installed. The note stays until its End is called: also if the run is killed.
	Replacing(ctx context.Context, generation string, p Period) (Replacement, error)
	// Replacements returns the notes that there are.
	Replacements(ctx context.Context, generation string) ([]Replacement, error)
}

// Replacement is a note that a run makes a period anew, so that its manifest may name other files than those from which it is installed.
type Replacement struct {
	Period Period
	Began  time.Time
	End    func(context.Context) error // removes the note; more than once does no harm
}

// Manifest names what was made of a period.
type Manifest struct {
	Generation string
	Period     Period
	Seals      []Seal // what it was made of: topics, ranges and counts; objects are left out
	Parts      []Part
	Before     map[string][]Part // by table of kind Entities without a SnapshotPart among Parts: the state before, to be read first
	Counts     []ModelCount
	// Folders are those that a reader will look for, also if there is no part in them.
	Folders []Folder
}

// Folder is one kind of parts of one name.
type Folder struct {
	Kind PartKind
	Of   string
}

// StateOf returns the files that make the state of an entities table at the end of the manifest's period, in the order of reading.
func (m *Manifest) StateOf(table string) []Part {
	var changes, whole []Part
	for _, p := range m.Parts {
		switch {
		case p.Of != table:
		case p.Kind == SnapshotPart:
			whole = append(whole, p)
		case p.Kind == LatestPart:
			changes = append(changes, p)
		}
	}
	if len(whole) > 0 {
		return whole
	}
	return append(append([]Part(nil), m.Before[table]...), changes...)
}
