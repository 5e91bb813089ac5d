package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
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

// inFiles tells where the rows of a view lie.
type inFiles struct {
	files []string
	rest  string // a condition for the rows that PostgreSQL is to give; "" for all that it has
	all   bool   // there are no others
}

// inFiles looks for the files of the lake that hold rows of a view, and gets them. Rows that PostgreSQL has as well are read there if a file is not at hand.
func (w *workspace) inFiles(ctx context.Context, snap *snapshot, v *view) (in inFiles, err error) {
	if v.rows == nil {
		return in, nil
	}
	installed, err := snap.installed(ctx)
	if err != nil {
		return in, err
	}
	var ranges []pinflow.InstalledRange
	for _, i := range installed {
		var parts []pinflow.Part
		for _, p := range i.Parts {
			if p.Kind == pinflow.CleanPart && p.Of == v.rows.Model {
				parts = append(parts, p)
			}
		}
		if !v.recentOnly() && (len(parts) == 0 || !w.tells(v)) {
			continue
		}
		files, err := w.stage(ctx, parts)
		if err != nil && (v.recentOnly() || ctx.Err() != nil) {
			return in, err
		}
		if err == nil {
			in.files, ranges = append(in.files, files...), append(ranges, i.Ranges...)
		}
	}
	if v.recentOnly() {
		return in, nil // PostgreSQL has no others
	}
	if len(ranges) > 0 {
		in.rest = outside(ranges, v.topic, snap.positions)
		in.all = in.rest == ""
	}
	return in, nil
}

// tells tells whether a view's rows say at which offset of which partition they are from.
func (w *workspace) tells(v *view) bool {
	has := func(name string) bool {
		return slices.ContainsFunc(v.Columns, func(c pinflow.Column) bool { return c.Name == name })
	}
	return v.topic != "" && has("_partition") && has("_offset")
}

// stage gets a period's parts as files.
func (w *workspace) stage(ctx context.Context, parts []pinflow.Part) ([]string, error) {
	var files []string
	for _, p := range parts {
		if p.Rows == 0 {
			continue
		}
		staged, release, err := w.s.o.Stage(ctx, p)
		if err != nil {
			return nil, err
		}
		w.release = append(w.release, release)
		files = append(files, staged.File)
	}
	return files, nil
}
