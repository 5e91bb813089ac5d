package faults

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2" // the driver

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/refine/refinetest"
	"github.com/pinflow/pinflow/value"
	"github.com/pinflow/pinflow/web/client"
)

// metricsAreExact holds every metric, as those show it who serve it, to the definition's SQL, run once over the lake's files. The batch may be at work meanwhile.
func (w *world) metricsAreExact() {
	t, dir := w.t, w.t.TempDir()
	t.Helper()
	w.copyLake(dir)
	server := append(w.of("web"), w.of("up")...)
	at := slices.IndexFunc(server, func(p *process) bool { return !p.hasEnded() })
	if at < 0 {
		t.Fatal("nobody serves metrics")
	}
	base := server[at].at()
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
		refinetest.SameMetric(t, m.Name, types, w.shown(db, base, &m), want)
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

// shown returns a metric's rows as a server answers, each value as DuckDB writes values of the columns' types.
func (w *world) shown(db *sql.Conn, at string, m *pinflow.PlannedMetric) [][]string {
	t := w.t
	t.Helper()
	result, err := client.Client{Base: at}.Metric(t.Context(), m.Name, url.Values{})
	must(t, err)
	columns := make([]string, len(m.Columns))
	for i, c := range m.Columns {
		columns[i] = duck.Literal(c.Name) + ": " + duck.Literal(c.Type)
	}
	rows := []map[string]any{}
	for _, values := range result.Rows {
		row := map[string]any{}
		for i, c := range result.Columns {
			row[c.Name] = values[i]
		}
		rows = append(rows, row)
	}
	text, err := json.Marshal(rows)
	must(t, err)
	file := filepath.Join(t.TempDir(), m.Name+".json")
	must(t, os.WriteFile(file, text, 0o600))
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
