package refinetest

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/value"
)

// Oracle says what must come out: the definition's own SQL over all records at once. Records get to it
// as the lake's lines. Which ones are rejected it finds out by running the cleaning SQL over ever fewer of them. Of the rows of a
// model with a key it keeps those that count.
type Oracle struct {
	db         *db
	definition *pinflow.Definition
	plan       *pinflow.Plan
	// Rejected are the records rejected, by model.
	Rejected map[string]map[pinflow.Position]bool
}

// NewOracle asks for all the records of a log. Of the plan it takes the types of the models' columns only: a metric's SQL sees
// what stores can hold.
func NewOracle(t testing.TB, d *pinflow.Definition, p *pinflow.Plan, log Log) *Oracle {
	t.Helper()
	o := &Oracle{newDB(t), d, p, map[string]map[pinflow.Position]bool{}}
	for i := range d.Sources {
		accepted, refused := o.load(&d.Sources[i], log)
		for _, m := range d.Models {
			if m.From == d.Sources[i].Name {
				o.Rejected[m.Name] = map[pinflow.Position]bool{}
				for _, r := range refused {
					o.Rejected[m.Name][r.Position()] = true
				}
				rows := o.clean(&d.Sources[i], m, accepted)
				if len(m.Key) > 0 {
					o.keep(&d.Sources[i], m, rows)
				}
			}
		}
	}
	return o
}

// load puts the records that a source's schema accepts into the table all_<source>, numbered in the order of accepted.
func (o *Oracle) load(s *pinflow.Source, log Log) (accepted, refused []*pinflow.Record) {
	o.db.t.Helper()
	schema, faults := value.CompileSchema(s.SchemaFile, s.Schema)
	if len(faults) > 0 {
		o.db.t.Fatal(faults)
	}
	var lines []byte
	for _, tp := range log.Partitions() {
		for i := range log[tp] {
			switch r := &log[tp][i]; {
			case r.Topic != s.Topic:
			case schema.Check(r.Value) != nil:
				refused = append(refused, r)
			default:
				lines = value.AppendLine(lines, r)
				accepted = append(accepted, r)
			}
		}
	}
	file := filepath.Join(o.db.t.TempDir(), s.Name+".json")
	if err := os.WriteFile(file, lines, 0o600); err != nil {
		o.db.t.Fatal(err)
	}
	var columns []string
	for _, c := range slices.Concat(schema.Columns(), []pinflow.Column{{Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"},
		{Name: "_timestamp", Type: "TIMESTAMPTZ"}, {Name: "_key", Type: "VARCHAR"}, {Name: "_headers", Type: "JSON"}}) {
		columns = append(columns, duck.Literal(c.Name)+": "+duck.Literal(c.Type))
	}
	o.db.exec("CREATE TABLE all_" + s.Name + " AS SELECT row_number() OVER (ORDER BY _partition, _offset) - 1 AS number, * FROM read_json(" +
		duck.Literal(file) + ", format = 'newline_delimited', columns = {" + strings.Join(columns, ", ") + "})")
	return accepted, refused
}

// clean makes the model's table of the rows of those records that its SQL accepts, and returns the record of each row.
func (o *Oracle) clean(s *pinflow.Source, m pinflow.ModelScript, accepted []*pinflow.Record) (rows []*pinflow.Record) {
	o.db.t.Helper()
	o.show(s.Name, 0, 0)
	hasReject := o.db.try("EXPLAIN SELECT _reject FROM ("+m.SQL+"\n)") == nil
	columns := "*"
	if hasReject {
		columns = "* EXCLUDE (_reject)"
	}
	o.createTable(m.Name, "SELECT "+columns+" FROM ("+m.SQL+"\n)")
	var search func(from, to int)
	search = func(from, to int) {
		if from == to {
			return
		}
		o.show(s.Name, from, to)
		statement := "CREATE OR REPLACE TEMP TABLE picked AS " + m.SQL
		good := o.db.try(statement) == nil
		if good && hasReject {
			rejected, _ := o.db.rows("SELECT count(_reject) FROM picked")
			good = rejected[0][0] == "0"
		}
		switch {
		case good:
			o.db.exec("INSERT INTO " + m.Name + " SELECT " + columns + " FROM picked")
			rows = append(rows, accepted[from:to]...) // cleaning is row by row
		case to-from == 1:
			o.Rejected[m.Name][accepted[from].Position()] = true
		default:
			half := from + (to-from)/2
			search(from, half)
			search(half, to)
		}
	}
	search(0, len(accepted))
	return rows
}

// createTable makes an empty table of what a query yields, with the types of the model's columns.
func (o *Oracle) createTable(model, query string) {
	o.db.t.Helper()
	types := map[string]string{}
	for _, m := range o.plan.Models {
		for _, c := range m.Columns {
			if m.Name == model {
				types[c.Name] = c.Type
			}
		}
	}
	var columns []string
	for _, row := range o.db.query("DESCRIBE " + query) {
		columns = append(columns, duck.Quote(row[0])+" "+cmp.Or(types[row[0]], row[1]))
	}
	o.db.exec("CREATE TABLE " + model + " (" + strings.Join(columns, ", ") + ")")
}

// show makes the source's relation be some of its records.
func (o *Oracle) show(source string, from, to int) {
	o.db.exec(fmt.Sprintf("CREATE OR REPLACE VIEW %s AS SELECT * EXCLUDE (number) FROM all_%[1]s WHERE number >= %d AND number < %d", source, from, to))
}

// Metric returns the rows of a metric's SQL, in order, each value as text, and the types of its columns.
func (o *Oracle) Metric(name string) (rows [][]string, types []string) {
	o.db.t.Helper()
	for _, m := range o.definition.Metrics {
		if m.Name == name {
			return o.db.rows(m.SQL)
		}
	}
	o.db.t.Fatalf("the definition has no metric %s", name)
	return nil, nil
}

// Partitions returns the log's partitions in order.
func (l Log) Partitions() []pinflow.TopicPartition {
	return slices.SortedFunc(maps.Keys(l), pinflow.TopicPartition.Compare)
}
