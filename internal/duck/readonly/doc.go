// Package readonly is what the stores share to answer a pinflow.Query on DuckDB: it takes SQL that only reads, binds the values of
// conditions, gives rows in which no digit is lost, and bounds how much memory the queries take.
package readonly

import (
	"context"
	"database/sql"

	"github.com/pinflow/pinflow"
)

// Querier is what reads: a database, a connection of it, or a transaction.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

const op = "query"

func invalid(on, hint string, err error) error {
	return &pinflow.Error{Op: op, On: on, Kind: pinflow.Invalid, Err: err, Hint: hint}
}
