package pinflow

// Plan is a compiled Definition: what to compute per micro-batch and per
// period, which tables hold it, how their rows merge, and what the views show. Engines and
// stores execute it; they know nothing of SQL beyond it.
type Plan struct {
	Pipeline   string // names the schema of the stable views
	Generation string // hash of the definition and of the plan's semantics, an SQL identifier
	Sources    []PlannedSource
	Models     []PlannedModel
	Metrics    []PlannedMetric
	Reports    []PlannedReport
	Tables     []Table // every table of a generation, in a fixed order
	Views      []View  // the stable views, in the order in which they can be made
}

// PlannedSource is a source and the columns that models read.
type PlannedSource struct {
	Source
	// Columns are the schema's properties as the cleaning SQL sees them; behind them the engine
	// gives _partition INTEGER, _offset BIGINT, _timestamp TIMESTAMPTZ, _key VARCHAR and _headers. Behind
	// these stands _home INTEGER for the compiler's own use: the partition in which the value of Key should lie.
	Columns []Column
}

// Column is a name and a type, in DuckDB's words.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// PlannedModel is cleaning: one SELECT over the source, row by row.
type PlannedModel struct {
	Name    string
	Source  string // the source's name
	File    string
	Columns []Column // of the model's rows, always with _partition and _offset, without _reject
	// SQL is DuckDB text that reads the relation named by the source and yields Columns, then
	// _reject VARCHAR (a reason, or NULL for an accepted row).
	SQL string
	// Careful yields the same rows where SQL succeeds, and never fails on a record: one for which SQL fails
	// has the reason in _reject. It is slower: for a batch that SQL has failed on.
	Careful string
	Table   string // the Table that holds its rows; "" if the store keeps none
	Rows    string // "all", "recent" or "none": which rows the store keeps; of a model with a key, one per key ("all")
	// Key makes the model an entity: of the rows with the same values in these columns, the one that Keep says counts.
	// Rows with a NULL among them, and records outside their home partition, are rejected (SQL and Careful see to it).
	Key  []string
	Keep string // "latest" or "first" with a key: by the order of offsets, as all rows of a key lie in one partition
	// Accepted counts the model's accepted rows, one per record, whether it has a key or not: its table has
	// no keys and the one measure n.
	Accepted Partial
}

// PlannedMetric is a metric: partials per (period, shard, dimensions), and how users see them merged.
type PlannedMetric struct {
	Name        string
	Description string
	Model       string
	Columns     []Column // as users see them
	Partials    []Partial
}

// PlannedReport is any SQL over the stable views.
type PlannedReport struct {
	Name        string
	Description string
	// SQL is one SELECT in DuckDB's words, as it was written but for the semicolon, and in casts where a column is of a
	// type that not every store holds. It yields Columns, and can stand in brackets on lines of its own.
	SQL     string
	Columns []Column
}

// Partial fills one table. SQL is DuckDB text that reads the relation named by the model, which
// here has the columns _period BIGINT (start, Unix ms) and _partition besides its own, and yields
// _period, _partition (the shard), then the table's keys and measures in their order, grouped.
//
// A metric over a model with a key reads a relation that has _sign INTEGER too: each row that came to stand
// for its key with 1, each row that it replaced with -1, both with the period of the record that caused it. Only Accepted reads rows as they were.
type Partial struct {
	Table string
	SQL   string
}

// TableKind tells what a table's rows are.
type TableKind string

// The kinds of table.
const (
	Partials TableKind = "partials" // mergeable rows per (_period, _shard, keys)
	Rows     TableKind = "rows"     // a model's rows per (_topic, _partition, _offset)
	Entities TableKind = "entities" // the row that stands for each key of a model with a key
	Rejects  TableKind = "rejects"  // rejected records per (model, topic, partition, offset)
)

// Table is a table of a generation. Of kind Partials it has the columns _period BIGINT and
// _shard INTEGER before Keys and Measures; of kind Rows and Entities _period BIGINT and _topic VARCHAR before the model's columns in Keys.
type Table struct {
	Name     string
	Kind     TableKind
	Model    string
	Keys     []Column
	Measures []Measure // empty for a set (count distinct) and for rows
	// Signed means partials over a model with a key: all merges are Sum, and a row of zeros (or NULLs) is no row,
	// neither to who reads nor in a comparison. A set is then a multiset: it has one measure, how often its value stands.
	Signed bool     `json:",omitempty"`
	Rows   string   `json:",omitempty"` // of kind Rows: "all" or "recent"
	Key    []string `json:",omitempty"` // of kind Entities
	Keep   string   `json:",omitempty"` // of kind Entities
}

// Measure is a partial value and how two of them merge.
type Measure struct {
	Column
	Merge Merge
}

// Merge is how partial values of the same keys become one.
type Merge string

// The merges. Each ignores NULL and gives NULL for nothing else.
const (
	Sum Merge = "sum"
	Min Merge = "min"
	Max Merge = "max"
)

// View is what users read: a metric's partials merged over all periods, or a model's rows. In the
// texts, {gen} stands for the quoted schema that holds the generation's tables.
type View struct {
	Name     string
	Columns  []Column
	DuckDB   string // a SELECT
	Postgres string // the same in PostgreSQL's words; "" if the plan has not been asked for it
}

// Table returns the table of that name, nil if there is none.
func (p *Plan) Table(name string) *Table {
	for i := range p.Tables {
		if p.Tables[i].Name == name {
			return &p.Tables[i]
		}
	}
	return nil
}

// RejectsTable is the table of rejects of every generation.
func RejectsTable() Table {
	return Table{Name: "rejects", Kind: Rejects, Keys: []Column{
		{"model", "VARCHAR"}, {"topic", "VARCHAR"}, {"partition", "INTEGER"}, {"offset", "BIGINT"},
		{"period", "BIGINT"}, {"rejected_at", "TIMESTAMPTZ"}, {"reason", "VARCHAR"}, {"payload", "BLOB"},
	}}
}
