package duckdb

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// columns are all columns of the table, in order.
func (t *table) columns() []pinflow.Column {
	var all []pinflow.Column
	switch t.Kind {
	case pinflow.Partials:
		all = append(all, pinflow.Column{Name: "_period", Type: "BIGINT"}, pinflow.Column{Name: "_shard", Type: "INTEGER"})
	case pinflow.Rows, pinflow.Entities:
		all = append(all, pinflow.Column{Name: "_period", Type: "BIGINT"}, pinflow.Column{Name: "_topic", Type: "VARCHAR"})
	}
	all = append(all, t.Keys...)
	for _, m := range t.Measures {
		all = append(all, m.Column)
	}
	return all
}

// part returns the qualified name of one of the tables behind a view of the table's name.
func (t *table) part(name string) string { return t.schema + "." + duck.Quote(t.Name+":"+name) }

// whole returns the qualified name under which all of the table's rows are read.
func (t *table) whole() string { return t.schema + "." + duck.Quote(t.Name) }

// recentOnly tells whether the table holds the rows only of periods that are not installed.
func (t *table) recentOnly() bool { return t.Kind == pinflow.Rows && t.Rows == "recent" }

// target is the table to which a commit appends.
func (t *table) target() string {
	switch {
	case t.Kind == pinflow.Partials:
		return t.part("recent")
	case t.recentOnly():
		return t.part("rows")
	}
	return t.whole()
}

func createTable(t *table) []string {
	columns := storedList(t.columns())
	switch {
	case t.Kind == pinflow.Partials:
		return []string{
			"CREATE TABLE " + t.part("merged") + " " + columns,
			"CREATE TABLE " + t.part("recent") + " " + columns,
			"CREATE VIEW " + t.whole() + " AS SELECT * FROM " + t.part("merged") + " UNION ALL SELECT * FROM " + t.part("recent"),
		}
	case t.recentOnly():
		return []string{"CREATE TABLE " + t.target() + " " + columns, t.recentView(nil)}
	}
	return []string{"CREATE TABLE " + t.target() + " " + columns}
}

// columnList is columns as CREATE TABLE wants them. No keys and no NOT NULL: the fence keeps out what is there
// already, and an index would cost every commit.
func columnList(columns []pinflow.Column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = duck.Quote(c.Name) + " " + c.Type
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// storedList is columnList for a table in the file. DuckDB packs the bits of 128-bit numbers so that reading them back
// takes 200 times as long as from runs, which is longer than all the rest of a metric's query.
func storedList(columns []pinflow.Column) string {
	stored := make([]pinflow.Column, len(columns))
	for i, c := range columns {
		if stored[i] = c; is128Bits(c.Type) {
			stored[i].Type += " USING COMPRESSION rle"
		}
	}
	return columnList(stored)
}

// is128Bits tells whether a type's values are 128-bit numbers.
func is128Bits(columnType string) bool {
	base, parameters, _ := strings.Cut(strings.ToUpper(columnType), "(")
	if base == "DECIMAL" || base == "NUMERIC" {
		width, _, _ := strings.Cut(strings.TrimSuffix(parameters, ")"), ",")
		digits, err := strconv.Atoi(strings.TrimSpace(width))
		return err == nil && digits > 18 && !strings.HasSuffix(columnType, "]")
	}
	return base == "HUGEINT" || base == "UHUGEINT"
}

// count counts the rows of the two tables of partials.
func (t *table) count(ctx context.Context, c *sql.Conn) error {
	if t.Kind != pinflow.Partials {
		return nil
	}
	return c.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM "+t.part("recent")+"), (SELECT count(*) FROM "+t.part("merged")+")").Scan(&t.recent, &t.merged)
}
