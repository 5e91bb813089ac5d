package refinetest

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2" // the driver
)

// db is a DuckDB of a test's own.
type db struct {
	t    testing.TB
	conn *sql.Conn
}

func newDB(t testing.TB) *db {
	t.Helper()
	pool, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = conn.Close(), pool.Close() })
	d := &db{t: t, conn: conn}
	d.exec("SET TimeZone = 'UTC'")
	d.exec("SET threads = 1")
	d.exec("SET ieee_floating_point_ops = false") // what is divided by zero is NULL, as in every store
	return d
}

// exec runs a statement that must succeed.
func (d *db) exec(statement string, args ...any) {
	d.t.Helper()
	if err := d.try(statement, args...); err != nil {
		d.t.Fatalf("%v\n%s", err, statement[:min(len(statement), 2000)])
	}
}

func (d *db) try(statement string, args ...any) error {
	// The test's context has ended when its cleanups look at the rest.
	_, err := d.conn.ExecContext(context.Background(), statement, args...)
	return err
}

// rows returns the rows of a query in order, each value as text and NULL as ∅, and the columns' types.
func (d *db) rows(query string) (all [][]string, types []string) {
	d.t.Helper()
	for _, row := range d.query("DESCRIBE " + query) {
		types = append(types, row[1])
	}
	all = d.query("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (" + query + "\n)")
	slices.SortFunc(all, slices.Compare)
	return all, types
}

// query returns the rows of a query that yields text.
func (d *db) query(query string) [][]string {
	d.t.Helper()
	result, err := d.conn.QueryContext(context.Background(), query)
	if err != nil {
		d.t.Fatalf("%v\n%s", err, query)
	}
	return d.scan(result)
}

func (d *db) scan(result *sql.Rows) (all [][]string) {
	d.t.Helper()
	defer result.Close()
	names, err := result.Columns()
	for err == nil && result.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err = result.Scan(into...); err != nil {
			break
		}
		row := make([]string, len(names))
		for i, v := range values {
			if row[i] = strings.Clone(v.String); !v.Valid {
				row[i] = "∅"
			}
		}
		all = append(all, row)
	}
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}
