package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/internal/duck/readonly"
)

// Query implements pinflow.StoreReader. SQL that is refused is an Invalid error, an unknown view a NotFound one. What a view shows under
// conditions that PostgreSQL has in the same sense is its answer. All else DuckDB answers, from the rows that it needs.
func (s *Store) Query(ctx context.Context, q pinflow.Query) (*pinflow.Result, error) {
	start := time.Now()
	result, err := s.gate.Query(ctx, q, func(ctx context.Context, on string) (*pinflow.Result, error) {
		var result *pinflow.Result
		err := s.retry(ctx, func() (err error) { result, err = s.read(ctx, q); return err })
		return result, s.failedQuery("query", on, err)
	})
	s.metrics.queried(err, time.Since(start))
	return result, err
}

// read answers q from one snapshot, of the views as they are by then.
func (s *Store) read(ctx context.Context, q pinflow.Query) (*pinflow.Result, error) {
	for before := ""; ; {
		shape, err := s.shape(ctx)
		if err != nil {
			return nil, err
		}
		result, err := s.readAs(ctx, q, shape)
		if !errors.Is(err, errMoved) || shape.key == before || ctx.Err() != nil {
			return result, err
		}
		before = shape.key
	}
}

// readAs answers q while the views have a shape; errMoved if they have no longer.
func (s *Store) readAs(ctx context.Context, q pinflow.Query, shape *shape) (*pinflow.Result, error) {
	work, err := s.workspace(ctx, shape)
	if err != nil {
		return nil, err
	}
	defer work.close()
	asked, err := work.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	snap, err := s.snapshot(ctx, shape, asked.views)
	if err != nil {
		return nil, err
	}
	defer snap.end()
	result := &pinflow.Result{Columns: asked.columns, Positions: snap.positions, Generation: shape.generation}
	limits := readonly.Limits{Rows: q.MaxRows, Bytes: s.o.ResultBytes}
	if asked.ofView() {
		result.Rows, err = snap.answer(ctx, asked, limits.Limit(q.Limit), limits)
		return result, err
	}
	for _, v := range asked.views {
		if err := work.load(ctx, snap, asked, v); err != nil {
			return nil, err
		}
	}
	snap.end() // PostgreSQL is not kept waiting for DuckDB
	result.Rows, err = work.run(ctx, asked, limits.Limit(q.Limit), limits)
	return result, err
}

// question is a query held against the views.
type question struct {
	columns []pinflow.Column // of the answer
	views   []*view          // that are read
	reads   readonly.Reads
	from    string // in DuckDB's words, with parameters for args
	args    []any
	filters []readonly.Bound // on the one view, that PostgreSQL can judge too
	where   bool             // there is a condition that only DuckDB can judge
	order   []pinflow.Order
	sql     bool
}

// ofView tells whether PostgreSQL can give the answer.
func (a *question) ofView() bool { return !a.sql && !a.where && !a.views[0].recentOnly() }

// failedQuery is failed for what a user wrote: what DuckDB refuses in it is the user's to put right.
func (s *Store) failedQuery(op, on string, err error) error {
	var theirs *duckdb.Error
	var e *pinflow.Error
	if code(err) == "42501" {
		user := s.readers.Config().ConnConfig.User
		return invalid(op, on, "As the store's owner: GRANT <pipeline>"+readerSuffix+" TO "+quote(user)+". The role's rights are those of every reader.", err)
	}
	if !errors.As(err, &theirs) || errors.As(err, &e) {
		return failed(op, on, err)
	}
	failure := duck.Failure(op, on, err)
	if errors.As(failure, &e) && e.Kind == pinflow.Internal && theirs.Type != duckdb.ErrorTypeFatal && theirs.Type != duckdb.ErrorTypeInternal {
		e.Kind = pinflow.Invalid
	}
	return failure
}

// errMoved means that other views have come while a query was on its way.
var errMoved = errors.New("another generation has taken over")

// moved is errMoved too for the error of a view that is no longer there.
func moved(err error) error {
	switch code(err) {
	case "42P01", "3F000":
		return fmt.Errorf("%w: %w", errMoved, err)
	}
	return err
}

// answer reads a view in PostgreSQL.
func (s *snapshot) answer(ctx context.Context, a *question, limit string, limits readonly.Limits) ([][]any, error) {
	query, args, err := a.views[0].query(a.columns, a.filters, "")
	if err != nil {
		return nil, err
	}
	order, err := readonly.OrderBy(a.columns, a.order, func(c pinflow.Column, descending bool) string {
		if descending {
			return sortKey(c.Name, c.Type) + " DESC NULLS LAST"
		}
		return sortKey(c.Name, c.Type)
	})
	if err != nil {
		return nil, err
	}
	answer := readonly.NewAnswer(a.columns, limits)
	err = s.each(ctx, query+order+limit, args, a.columns, forRelation, func(row []any) error { return answer.Add(ctx, row) })
	return answer.Rows, err
}

// each calls f with each row of an answer that has these columns. f must not keep the slice.
func (s *snapshot) each(ctx context.Context, query string, args []any, columns []pinflow.Column, as asDecoder, f func(row []any) error) error {
	ctx, cancel := context.WithCancel(ctx)
	rows, err := s.conn.Query(ctx, query, args...)
	if err != nil {
		cancel()
		return err
	}
	defer rows.Close() // which reads what is left: after cancel nothing
	defer cancel()
	var decode []decoder
	row := make([]any, len(columns))
	for rows.Next() {
		if decode == nil {
			if decode, err = decoders(rows.FieldDescriptions(), columns, as); err != nil {
				return err
			}
		}
		for i, raw := range rows.RawValues() {
			if row[i] = nil; raw == nil {
				continue
			}
			if row[i], err = decode[i](raw); err != nil {
				return err
			}
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return rows.Err()
}
