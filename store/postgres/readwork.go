package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck/readonly"
)

// workspace is where DuckDB answers one query: a connection, and a database in memory that only this query's rows are in.
type workspace struct {
	s       *Store
	shape   *shape
	conn    *sql.Conn
	private string   // the database's name, "" while there is none
	release []func() // of files that are read
}

// home is the database in which connections begin.
const home = "memory"

func (s *Store) workspace(ctx context.Context, shape *shape) (*workspace, error) {
	conn, err := s.o.Instance.DB.Conn(ctx)
	return &workspace{s: s, shape: shape, conn: conn}, err
}

// open makes the query's own database, and has names looked up in it first.
func (w *workspace) open(ctx context.Context) (err error) {
	if w.private, err = w.s.o.Instance.Scratch(ctx); err != nil {
		return err
	}
	statements := []string{"USE " + w.private, "CREATE SCHEMA " + rowsSchema}
	if w.shape.pipeline != "" {
		statements = append(statements, "CREATE SCHEMA IF NOT EXISTS "+quote(w.shape.pipeline))
	}
	return execAll(ctx, w.conn, statements)
}

// show makes views without rows, which tell whether a statement binds.
func (w *workspace) show(ctx context.Context, views []*view) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	var statements []string
	for _, v := range views {
		statements = append(statements, w.shape.viewsOf(v.View.Name, nothing(v.Columns))...)
	}
	return execAll(ctx, w.conn, statements)
}

func (w *workspace) close() {
	ctx := context.Background()
	if w.private != "" {
		if _, err := w.conn.ExecContext(ctx, "USE "+home); err != nil {
			_ = w.conn.Raw(func(any) error { return driver.ErrBadConn }) // the pool drops it
		}
		if err := w.s.o.Instance.Detach(ctx, w.private); err != nil {
			w.s.o.Log.Warn("a query's rows were not given back", "database", w.private, "error", err)
		}
	}
	_ = w.conn.Close()
	for _, f := range w.release {
		f()
	}
}

// ask holds a query against the views. What is wrong with it is told before anything is read.
func (w *workspace) ask(ctx context.Context, q pinflow.Query) (*question, error) {
	if q.View == "" {
		return w.askSQL(ctx, q.SQL)
	}
	v, err := w.shape.find(q.View)
	if err != nil {
		return nil, err
	}
	a := &question{columns: v.Columns, views: []*view{v}, reads: readonly.All(v.View.Name), from: v.name, order: q.Order}
	var conditions []string
	if q.Where != "" {
		if err := readonly.Expression(ctx, w.conn, q.Where); err != nil {
			return nil, err
		}
		a.where = true
		conditions = append(conditions, "(\n"+q.Where+"\n)")
	}
	for _, f := range q.Filter {
		bound, err := readonly.Bind(ctx, w.conn, v.Columns, f)
		if err != nil {
			return nil, err
		}
		a.filters = append(a.filters, bound)
		conditions, a.args = append(conditions, bound.SQL()), append(a.args, bound.Text)
	}
	if len(conditions) > 0 {
		a.from += " WHERE " + strings.Join(conditions, " AND ")
	}
	if _, err := readonly.OrderBy(a.columns, a.order, readonly.Key); err != nil || a.ofView() {
		return a, err
	}
	if err := w.show(ctx, a.views); err != nil {
		return nil, err
	}
	_, err = readonly.Describe(ctx, w.conn, a.from, a.args...)
	return a, err
}

func (w *workspace) askSQL(ctx context.Context, text string) (*question, error) {
	from, reads, err := readonly.Select(ctx, w.conn, text)
	if err != nil {
		return nil, err
	}
	a := &question{sql: true, from: from, reads: reads}
	for _, v := range w.shape.views {
		if reads.Table(v.View.Name) {
			a.views = append(a.views, v)
		}
	}
	named := a.views
	if reads.Catalog {
		named = w.shape.views
	}
	if err := w.show(ctx, named); err != nil {
		return nil, err
	}
	a.columns, err = readonly.Describe(ctx, w.conn, from)
	return a, err
}

// run has DuckDB answer from what was loaded.
func (w *workspace) run(ctx context.Context, a *question, limit string, limits readonly.Limits) ([][]any, error) {
	order, err := readonly.OrderBy(a.columns, a.order, readonly.Key)
	if err != nil {
		return nil, err
	}
	whole := context.WithoutCancel(ctx)
	if _, err := w.conn.ExecContext(whole, "BEGIN TRANSACTION READ ONLY"); err != nil {
		return nil, err
	}
	rows, err := readonly.Run(ctx, w.conn, a.columns, a.from, order+limit, a.args, limits)
	if _, ended := w.conn.ExecContext(whole, "ROLLBACK"); err == nil {
		err = ended
	}
	return rows, err
}
