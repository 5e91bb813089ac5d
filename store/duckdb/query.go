package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// Query implements pinflow.StoreReader. SQL that is refused is an Invalid error, an unknown view a NotFound one.
func (s *Store) Query(ctx context.Context, q pinflow.Query) (*pinflow.Result, error) {
	start := time.Now()
	result, err := s.query(ctx, q)
	s.metrics.queried(err, time.Since(start))
	return result, err
}

func (s *Store) query(ctx context.Context, q pinflow.Query) (*pinflow.Result, error) {
	const op = "query"
	on := q.View
	if (q.SQL == "") == (q.View == "") {
		return nil, invalid(op, on, "", fmt.Errorf("give either SQL or a view"))
	}
	if q.View == "" {
		on = "SQL"
	}
	timeout := q.Timeout
	if timeout <= 0 {
		timeout = s.o.Timeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it took longer than %s", timeout))
	defer cancel()
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	case <-s.closed:
		return nil, errClosed(op)
	case <-ctx.Done():
		return nil, tooSlow(ctx, op, on, context.Cause(ctx))
	}
	ctx, leave := s.crowd.join(ctx)
	var watching sync.WaitGroup
	defer watching.Wait() // or it would use the instance after Close
	defer leave()
	watching.Go(func() { s.watch(ctx) })
	result, err := s.read(ctx, q)
	if err != nil && ctx.Err() != nil {
		return nil, tooSlow(ctx, op, on, err)
	}
	return result, failedQuery(op, on, err)
}

// tooSlow is the error of a query that did not end in time, or whose reader has gone.
func tooSlow(ctx context.Context, op, on string, err error) error {
	cause := context.Cause(ctx)
	if cause == nil {
		cause = err
	}
	e := &pinflow.Error{Op: op, On: on, Kind: pinflow.Unavailable, Err: cause}
	if !errors.Is(cause, context.Canceled) {
		e.Hint = "Ask for less, give it more time, or try again later."
	}
	return e
}

// read runs q in one transaction, and so on one snapshot, with the positions.
func (s *Store) read(ctx context.Context, q pinflow.Query) (*pinflow.Result, error) {
	tx, end, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	positions, err := progress(ctx, tx, ofCurrent)
	if err != nil {
		return nil, err
	}
	var generation sql.NullString
	if err := tx.QueryRowContext(ctx, "SELECT current FROM _pinflow.store").Scan(&generation); err != nil {
		return nil, err
	}
	from, args, tail, err := s.compose(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	columns, err := describe(ctx, tx, from, args)
	if err != nil {
		return nil, err
	}
	if q.MaxRows > 0 && (q.Limit <= 0 || q.Limit > q.MaxRows) {
		tail += fmt.Sprintf(" LIMIT %d", q.MaxRows+1)
	} else if q.Limit > 0 {
		tail += fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	rows, err := tx.QueryContext(ctx, "SELECT "+exact(columns)+" FROM "+from+tail, args...)
	if err != nil {
		return nil, err
	}
	result := &pinflow.Result{Columns: columns, Positions: positions, Generation: generation.String, Rows: [][]any{}}
	return result, s.collect(ctx, rows, q.MaxRows, result)
}

// snapshot begins a transaction that can only read, whatever the SQL says, and returns its connection and its end.
func (s *Store) snapshot(ctx context.Context) (*sql.Conn, func(), error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	// Beginning and end do not end with ctx, so that the connection's next user finds no transaction.
	whole := context.WithoutCancel(ctx)
	if _, err := conn.ExecContext(whole, "BEGIN TRANSACTION READ ONLY"); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, func() {
		if _, err := conn.ExecContext(whole, "ROLLBACK"); err != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // the pool drops it
		}
		_ = conn.Close()
	}, nil
}

// compose returns what to read from, the values bound in it, and what follows it.
func (s *Store) compose(ctx context.Context, tx querier, q pinflow.Query) (from string, args []any, tail string, err error) {
	if q.View == "" {
		from, err = selectOnly(ctx, tx, q.SQL)
		return from, nil, "", err
	}
	name, err := viewName(ctx, tx, q.View)
	if err != nil {
		return "", nil, "", err
	}
	columns, err := describe(ctx, tx, name, nil)
	if err != nil {
		return "", nil, "", err
	}
	var conditions []string
	if q.Where != "" {
		if err := checkExpression(ctx, tx, q.Where); err != nil {
			return "", nil, "", err
		}
		conditions = append(conditions, "(\n"+q.Where+"\n)")
	}
	for _, f := range q.Filter {
		condition, value, err := filter(ctx, tx, columns, f)
		if err != nil {
			return "", nil, "", err
		}
		conditions, args = append(conditions, condition), append(args, value)
	}
	from = name
	if len(conditions) > 0 {
		from += " WHERE " + strings.Join(conditions, " AND ")
	}
	tail, err = orderBy(columns, q.Order)
	return from, args, tail, err
}

// viewName returns the view's name, qualified and quoted; NotFound names the views that there are.
func viewName(ctx context.Context, tx querier, view string) (string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT view_name, schema_name FROM duckdb_views() WHERE database_name = current_database()
		AND NOT internal AND schema_name = (SELECT pipeline FROM _pinflow.store) ORDER BY view_name`)
	if err != nil {
		return "", err
	}
	var names []string
	found := ""
	err = duck.EachRow(rows, func(row []any) error {
		name := row[0].(string)
		if strings.EqualFold(name, view) {
			found = duck.Quote(row[1].(string)) + "." + duck.Quote(name)
		}
		names = append(names, name)
		return nil
	})
	if err == nil && found == "" {
		hint := "There is none yet: nothing has been counted into this store."
		if len(names) > 0 {
			hint = "There are " + strings.Join(names, ", ") + "."
		}
		err = &pinflow.Error{Op: "query", On: view, Kind: pinflow.NotFound, Err: errors.New("there is no such view"), Hint: hint}
	}
	return found, err
}

// describe returns the columns of what stands behind FROM.
func describe(ctx context.Context, tx querier, from string, args []any) ([]pinflow.Column, error) {
	rows, err := tx.QueryContext(ctx, "DESCRIBE SELECT * FROM "+from, args...)
	if err != nil {
		return nil, err
	}
	var columns []pinflow.Column
	err = duck.EachRow(rows, func(row []any) error {
		columns = append(columns, pinflow.Column{Name: row[0].(string), Type: columnType(row[1].(string))})
		return nil
	})
	return columns, err
}

// columnType is the short name of a type that DuckDB spells out.
func columnType(t string) string {
	element := strings.TrimRight(t, "[]")
	if element == "TIMESTAMP WITH TIME ZONE" {
		return "TIMESTAMPTZ" + t[len(element):]
	}
	return t
}
