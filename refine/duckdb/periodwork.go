package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// workshop is a scratch database with a connection of its own, on which SQL finds by their names what is shown to it.
type workshop struct {
	conn     *sql.Conn
	instance *duck.Instance
	scratch  string
}

func newWorkshop(ctx context.Context, i *duck.Instance) (*workshop, error) {
	scratch, err := i.Scratch(ctx)
	if err != nil {
		return nil, err
	}
	w := &workshop{instance: i, scratch: scratch}
	if w.conn, err = i.DB.Conn(ctx); err != nil {
		_ = w.end() // nothing is in it
		return nil, &pinflow.Error{Op: "connect to DuckDB", Err: err}
	}
	return w, nil
}

// end gives back all that the workshop holds, whatever has been cancelled.
func (w *workshop) end() error {
	return firstOf(discard(w.conn), w.instance.Detach(context.Background(), w.scratch))
}

// table returns the qualified name of a table.
func (w *workshop) table(name string) string { return w.scratch + "." + duck.Quote(name) }

func (w *workshop) exec(ctx context.Context, statement string) error {
	if _, err := w.conn.ExecContext(ctx, statement); err != nil {
		return workError(ctx, err)
	}
	return nil
}

// show makes a name mean a relation.
func (w *workshop) show(ctx context.Context, name, from string) error {
	return w.exec(ctx, "CREATE OR REPLACE TEMP VIEW "+duck.Quote(name)+" AS "+from)
}

// fill appends a relation's rows to a table.
func (w *workshop) fill(ctx context.Context, table string, rows pinflow.Relation) error {
	return w.conn.Raw(func(c any) error {
		appender, err := duckdb.NewAppender(c.(driver.Conn), w.scratch, "main", table)
		if err != nil {
			return err
		}
		var values []driver.Value
		err = rows.Scan(ctx, func(row []any) error {
			values = values[:0]
			for _, v := range row {
				values = append(values, v)
			}
			return appender.AppendRow(values...)
		})
		return firstOf(err, appender.Close())
	})
}

// workError says what a failed statement over a period's rows means to the caller.
func workError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return duck.Failure("refine", "", err)
}
