package duckdb

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/internal/duck/readonly"
)

// Query implements pinflow.StoreReader. SQL that is refused is an Invalid error, an unknown view a NotFound one.
func (s *Store) Query(ctx context.Context, q pinflow.Query) (*pinflow.Result, error) {
	start := time.Now()
	result, err := s.gate.Query(ctx, q, func(ctx context.Context, on string) (*pinflow.Result, error) {
		result, err := s.read(ctx, q)
		return result, failedQuery("query", on, err)
	})
	s.metrics.queried(err, time.Since(start))
	return result, err
}

// read runs q in one transaction, and so on one snapshot, with the positions.
func (s *Store) read(ctx context.Context, q pinflow.Query) (*pinflow.Result, error) {
	tx, end, err := readonly.Snapshot(ctx, s.db)
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
	columns, err := readonly.Describe(ctx, tx, from, args...)
	if err != nil {
		return nil, err
	}
	limits := readonly.Limits{Rows: q.MaxRows, Bytes: s.o.ResultBytes}
	rows, err := readonly.Run(ctx, tx, columns, from, tail+limits.Limit(q.Limit), args, limits)
	if err != nil {
		return nil, err
	}
	return &pinflow.Result{Columns: columns, Positions: positions, Generation: generation.String, Rows: rows}, nil
}

// compose returns what to read from, the values bound in it, and what follows it.
func (s *Store) compose(ctx context.Context, tx querier, q pinflow.Query) (from string, args []any, tail string, err error) {
	if q.View == "" {
		from, _, err = readonly.Select(ctx, tx, q.SQL)
		return from, nil, "", err
	}
	name, err := viewName(ctx, tx, q.View)
	if err != nil {
		return "", nil, "", err
	}
	columns, err := readonly.Describe(ctx, tx, name)
	if err != nil {
		return "", nil, "", err
	}
	var conditions []string
	if q.Where != "" {
		if err := readonly.Expression(ctx, tx, q.Where); err != nil {
			return "", nil, "", err
		}
		conditions = append(conditions, "(\n"+q.Where+"\n)")
	}
	for _, f := range q.Filter {
		bound, err := readonly.Bind(ctx, tx, columns, f)
		if err != nil {
			return "", nil, "", err
		}
		conditions, args = append(conditions, bound.SQL()), append(args, bound.Text)
	}
	from = name
	if len(conditions) > 0 {
		from += " WHERE " + strings.Join(conditions, " AND ")
	}
	tail, err = readonly.OrderBy(columns, q.Order, readonly.Key)
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
	schema := ""
	err = duck.EachRow(rows, func(row []any) error {
		names, schema = append(names, row[0].(string)), row[1].(string)
		return nil
	})
	if err != nil {
		return "", err
	}
	name, err := readonly.View(names, view)
	return duck.Quote(schema) + "." + duck.Quote(name), err
}
