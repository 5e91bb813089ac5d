package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
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
