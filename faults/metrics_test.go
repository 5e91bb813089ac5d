package faults

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2" // the driver

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/refine/refinetest"
	"github.com/pinflow/pinflow/value"
)

// metricsAreExact holds every metric as the command shows it to the definition's SQL, run once over the lake's files. Posts that are no JSON are not among these.
func (w *world) metricsAreExact() {
	t, dir := w.t, w.t.TempDir()
	t.Helper()
	w.copyLake(dir)
	db := w.openDuck()
	exec := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%v\n%s", err, statement)
		}
	}
	source, model := w.definition.Sources[0], w.definition.Models[0]
	schema, faults := value.CompileSchema(source.SchemaFile, source.Schema)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	columns := []string{"_partition: 'INTEGER'", "_offset: 'BIGINT'", "_timestamp: 'TIMESTAMPTZ'", "_key: 'VARCHAR'"}
	for _, c := range schema.Columns() {
		columns = append(columns, duck.Literal(c.Name)+": "+duck.Literal(c.Type))
	}
	exec("CREATE VIEW " + source.Name + " AS SELECT * FROM read_json(" + duck.Literal(dir+"/*.json.gz") + ", format = 'newline_delimited', columns = {" + strings.Join(columns, ", ") + "})")
	exec("CREATE TABLE " + model.Name + " AS " + model.SQL)
	keyed := w.definition.Models[1]
	exec("CREATE TABLE " + keyed.Name + " AS SELECT * FROM " + model.Name + " QUALIFY row_number() OVER (PARTITION BY " + keyed.Key[0] + " ORDER BY _partition, _offset DESC) = 1")
	for _, m := range w.plan.Metrics {
		at := slices.IndexFunc(w.definition.Metrics, func(s pinflow.Script) bool { return s.Name == m.Name })
		sql := w.definition.Metrics[at].SQL
		computed := map[string]string{}
		for _, row := range textRows(w, db, "DESCRIBE "+sql) {
			computed[row[0]] = row[1]
		}
		types, names := make([]string, len(m.Columns)), make([]string, len(m.Columns))
		for i, c := range m.Columns {
			names[i], types[i] = duck.Quote(c.Name), c.Type
			if computed[c.Name] == "DOUBLE" { // what is exact here is rounded there
				types[i] = "DOUBLE"
			}
		}
		want := textRows(w, db, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (SELECT "+strings.Join(names, ", ")+" FROM ("+sql+"\n))")
		if len(want) == 0 {
			t.Errorf("%s has no rows to compare", m.Name)
		}
		refinetest.SameMetric(t, m.Name, types, w.shown(db, &m), want)
	}
}

func (w *world) openDuck() *sql.Conn {
	w.t.Helper()
	pool, err := sql.Open("duckdb", "")
	must(w.t, err)
	conn, err := pool.Conn(w.t.Context())
	must(w.t, err)
	w.t.Cleanup(func() { _, _ = conn.Close(), pool.Close() })
	for _, s := range []string{"SET TimeZone = 'UTC'", "SET threads = 1", "SET memory_limit = '1GB'", "SET ieee_floating_point_ops = false"} {
		_, err = conn.ExecContext(w.t.Context(), s)
		must(w.t, err)
	}
	return conn
}

// shown returns a metric's rows as the command prints them, each value as DuckDB writes values of the columns' types.
func (w *world) shown(db *sql.Conn, m *pinflow.PlannedMetric) [][]string {
	w.t.Helper()
	out, _ := w.command(0, "metric", m.Name, "--output", "json")
	file := filepath.Join(w.t.TempDir(), m.Name+".json")
	must(w.t, os.WriteFile(file, []byte(out), 0o600))
	columns := make([]string, len(m.Columns))
	for i, c := range m.Columns {
		columns[i] = duck.Literal(c.Name) + ": " + duck.Literal(c.Type)
	}
	return textRows(w, db, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM read_json("+duck.Literal(file)+", format = 'array', columns = {"+strings.Join(columns, ", ")+"})")
}

// textRows returns the rows of a query that yields text, NULL as ∅.
func textRows(w *world, db *sql.Conn, query string) (all [][]string) {
	w.t.Helper()
	rows, err := db.QueryContext(context.WithoutCancel(w.t.Context()), query)
	if err != nil {
		w.t.Fatalf("%v\n%s", err, query)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	must(w.t, err)
	for rows.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		must(w.t, rows.Scan(into...))
		row := make([]string, len(columns))
		for i, v := range values {
			if row[i] = "∅"; v.Valid {
				row[i] = strings.Clone(v.String)
			}
		}
		all = append(all, row)
	}
	must(w.t, rows.Err())
	return all
}
