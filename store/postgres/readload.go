package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// rowsSchema holds the rows that came from PostgreSQL, under their views' names.
const rowsSchema = `"_rows"`

// load makes a view in the query's own database: over the rows that PostgreSQL has, copied, and over files of the lake where they lie.
func (w *workspace) load(ctx context.Context, snap *snapshot, a *question, v *view) error {
	columns := a.reads.Columns(v.View.Name, v.Columns)
	if len(columns) == 0 {
		columns = v.Columns[:1] // they are counted
	}
	in, err := w.inFiles(ctx, snap, v)
	if err != nil {
		return err
	}
	have, from := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		have[i], from[i] = placed(c)
	}
	table := rowsSchema + "." + quote(v.View.Name)
	show := "SELECT " + strings.Join(from, ", ") + " FROM " + table
	if len(in.files) > 0 {
		show += " UNION ALL SELECT " + strings.Join(quoted(namesOf(columns)), ", ") + " FROM " + duck.Parquet(nil, in.files, columns).Name
	}
	statements := append([]string{"CREATE TABLE " + table + " (" + strings.Join(have, ", ") + ")"}, w.shape.viewsOf(v.View.Name, show)...)
	if err := execAll(ctx, w.conn, statements); err != nil || in.all {
		return err
	}
	return w.copy(ctx, snap, a, v, columns, in.rest)
}

// copy appends what PostgreSQL shows of a view to the table of its rows.
func (w *workspace) copy(ctx context.Context, snap *snapshot, a *question, v *view, columns []pinflow.Column, rest string) error {
	query, args, err := v.query(columns, a.filters, rest)
	if err != nil {
		return err
	}
	return w.conn.Raw(func(c any) error {
		appender, err := duckdb.NewAppender(c.(driver.Conn), w.private, strings.Trim(rowsSchema, `"`), v.View.Name)
		if err != nil {
			return err
		}
		values := make([]driver.Value, len(columns))
		err = snap.each(ctx, query, args, columns, forDuckDB, func(row []any) error {
			for i := range row {
				values[i] = row[i]
			}
			return appender.AppendRow(values...)
		})
		return errors.Join(err, appender.CloseWithCancel(ctx))
	})
}

// placed is the column of a table of rows that come from PostgreSQL, and the expression that is the column of the view.
func placed(c pinflow.Column) (column, show string) {
	name, t := quote(c.Name), stagedType(c.Type)
	element, isList := strings.CutSuffix(t, "[]")
	switch {
	case isTime(element) && isList:
		return name + " BIGINT[]", fmt.Sprintf("list_transform(%s, lambda t: %s)::%s AS %s", name, shownTime("t", element), c.Type, name)
	case isTime(element):
		return name + " BIGINT", fmt.Sprintf("(%s)::%s AS %s", shownTime(name, t), c.Type, name)
	case t != c.Type:
		return name + " " + t, fmt.Sprintf("%s::%s AS %s", name, c.Type, name)
	}
	return name + " " + t, name
}

// shownTime is the time of so many microseconds in DuckDB's words.
func shownTime(micros, columnType string) string {
	function := "make_timestamp"
	if columnType == "TIMESTAMPTZ" {
		function = "make_timestamptz"
	}
	return fmt.Sprintf("CASE %s WHEN %d THEN %s 'infinity' WHEN %d THEN %[3]s '-infinity' ELSE %[5]s(%[1]s) END", micros, int64(math.MaxInt64), columnType, -math.MaxInt64, function)
}
