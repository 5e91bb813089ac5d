package refinetest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// Tables are a generation's tables, filled by deltas: the rule of a store, in its plainest form. They merge no partials until they are
// asked for them.
type Tables struct {
	plan    *pinflow.Plan
	db      *db
	changes int // so far
}

// NewTables makes empty tables.
func NewTables(t testing.TB, p *pinflow.Plan) *Tables {
	t.Helper()
	tables := &Tables{plan: p, db: newDB(t)}
	tables.db.exec("CREATE SCHEMA gen")
	for i := range p.Tables {
		var parts []string
		for _, c := range columnsOf(&p.Tables[i]) {
			parts = append(parts, duck.Quote(c.Name)+" "+c.Type)
		}
		tables.db.exec("CREATE TABLE gen." + duck.Quote(p.Tables[i].Name) + " (" + strings.Join(parts, ", ") + ")")
	}
	return tables
}

func columnsOf(t *pinflow.Table) []pinflow.Column {
	var columns []pinflow.Column
	switch t.Kind {
	case pinflow.Partials:
		columns = []pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_shard", Type: "INTEGER"}}
	case pinflow.Rows, pinflow.Entities:
		columns = []pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_topic", Type: "VARCHAR"}}
	}
	columns = append(columns, t.Keys...)
	for _, m := range t.Measures {
		columns = append(columns, m.Column)
	}
	return columns
}

// Add adds a delta's rows, which come through Scan. Deltas of models with a key are to be added in the order of their batches.
func (t *Tables) Add(d pinflow.Delta) {
	t.db.t.Helper()
	for _, a := range d.Added {
		t.Insert(a.Table, a.Rows)
	}
	for _, c := range d.Changes {
		t.change(c)
	}
}

// Insert adds rows to a table, as they are.
func (t *Tables) Insert(table string, rows pinflow.Relation) {
	t.db.t.Helper()
	of := t.table(table)
	t.fill("gen."+duck.Quote(of.Name), columnsOf(of), rows, func([]any) {})
}

func (t *Tables) table(name string) *pinflow.Table {
	t.db.t.Helper()
	of := t.plan.Table(name)
	if of == nil {
		t.db.t.Fatalf("there are rows for %s, which the plan does not have", name)
	}
	return of
}

// fill inserts rows into a table of those columns and shows each to f.
func (t *Tables) fill(into string, columns []pinflow.Column, rows pinflow.Relation, f func(row []any)) {
	t.db.t.Helper()
	var args []any
	flush := func() {
		t.insert(into, columns, args)
		args = args[:0]
	}
	err := rows.Scan(context.Background(), func(row []any) error {
		if len(row) != len(columns) {
			return fmt.Errorf("%d values for %d columns", len(row), len(columns))
		}
		for i, v := range row {
			text, err := argument(v, columns[i].Type)
			if err != nil {
				return err
			}
			args = append(args, text)
		}
		f(row)
		if len(args) >= 1000 {
			flush()
		}
		return nil
	})
	if err != nil {
		t.db.t.Fatalf("rows for %s: %v", into, err)
	}
	flush()
}

func (t *Tables) insert(into string, columns []pinflow.Column, args []any) {
	t.db.t.Helper()
	if len(args) == 0 {
		return
	}
	casts := make([]string, len(columns))
	for i, c := range columns {
		casts[i] = "CAST(? AS " + c.Type + ")"
		if strings.HasSuffix(c.Type, "[]") {
			casts[i] = "CAST(CAST(? AS JSON) AS " + c.Type + ")"
		}
	}
	row := "(" + strings.Join(casts, ", ") + ")"
	rows := strings.Repeat(row+", ", len(args)/len(columns)-1) + row
	t.db.exec("INSERT INTO "+into+" VALUES "+rows, args...)
}

// argument turns a value of a relation into one to be bound: text mostly. Another type than pinflow.Relation names is an error.
func argument(v any, typ string) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int32:
		return strconv.Itoa(int(v)), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case *big.Int:
		return v.String(), nil
	case float64:
		return strconv.FormatFloat(v, 'e', -1, 64), nil // an exponent, for JSON would take -0 for an integer
	case string, []byte:
		return v, nil
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), nil
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			text, err := argument(item, strings.TrimSuffix(typ, "[]"))
			if err != nil {
				return nil, err
			}
			if s, ok := text.(string); ok && typ != "VARCHAR[]" {
				text = json.RawMessage(s)
			}
			items[i] = text
		}
		text, err := json.Marshal(items)
		return string(text), err
	}
	return nil, fmt.Errorf("a relation's value is a %T", v)
}

// Merged returns a table's rows, merged by its keys, in order, each value as text. Of a signed table rows of zeros are left out.
func (t *Tables) Merged(table string) [][]string {
	t.db.t.Helper()
	of := t.table(table)
	var list, groups []string
	for _, c := range columnsOf(of) {
		at := slices.IndexFunc(of.Measures, func(m pinflow.Measure) bool { return m.Name == c.Name })
		name := duck.Quote(c.Name)
		if at >= 0 {
			list = append(list, string(of.Measures[at].Merge)+"("+name+")::"+c.Type+" AS "+name)
			continue
		}
		list, groups = append(list, name), append(groups, name)
	}
	query := "SELECT " + strings.Join(list, ", ") + " FROM gen." + duck.Quote(table)
	if of.Kind == pinflow.Partials {
		query += " GROUP BY " + strings.Join(groups, ", ")
	}
	if of.Signed {
		var zeros []string
		for _, m := range of.Measures {
			zeros = append(zeros, "coalesce("+duck.Quote(m.Name)+", 0) = 0")
		}
		query = "SELECT * FROM (" + query + ") WHERE NOT (" + strings.Join(zeros, " AND ") + ")"
	}
	rows, _ := t.db.rows(query)
	return rows
}

// From implements Shown.
func (t *Tables) From(view string) string {
	t.db.t.Helper()
	for _, v := range t.plan.Views {
		if v.Name == view {
			return "(" + strings.ReplaceAll(v.DuckDB, "{gen}", "gen") + ")"
		}
	}
	t.db.t.Fatalf("the plan has no view %s", view)
	return ""
}

// Rows implements Shown.
func (t *Tables) Rows(query string) ([][]string, []string) { return t.db.rows(query) }
