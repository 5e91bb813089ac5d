package duckdb

import (
	"context"
	"errors"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
)

// failed returns err as a pinflow.Error, nil for nil. One that is a pinflow.Error already stays as it is.
func failed(op, on string, err error) error {
	var ours *pinflow.Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	e := &pinflow.Error{Op: op, On: on, Err: err}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		e.Kind = pinflow.Unavailable
		return e
	}
	if outOfMemory(err) {
		e.Kind, e.Hint = pinflow.Unavailable, "DuckDB's memory limit was reached: try again, ask for less, or raise the limit."
		return e
	}
	var theirs *duckdb.Error
	if !errors.As(err, &theirs) {
		return e
	}
	if theirs.Type == duckdb.ErrorTypeIO || theirs.Type == duckdb.ErrorTypeTransaction && ofDisk(theirs) {
		e.Kind, e.Hint = pinflow.Unavailable, "Look at the disk that holds the store: is it full, or not to be written to?"
		return e
	}
	switch theirs.Type {
	case duckdb.ErrorTypeConnection, duckdb.ErrorTypeInterrupt, duckdb.ErrorTypeTransaction:
		e.Kind = pinflow.Unavailable
	case duckdb.ErrorTypeFatal:
		e.Hint = "Look at the disk that holds the store, then start Pinflow again: what was committed is safe."
	}
	return e
}

// ofDisk tells whether a COMMIT failed for the disk. The error's type does not tell, only its text.
func ofDisk(err error) bool {
	text := err.Error()
	return strings.Contains(text, "Could not write file") || strings.Contains(text, "Could not truncate file") || strings.Contains(text, "Could not fsync") || strings.Contains(text, "No space left")
}

// failedQuery is failed for SQL that a user wrote: what DuckDB refuses in it is the user's to put right.
func failedQuery(op, on string, err error) error {
	err = failed(op, on, err)
	var e *pinflow.Error
	var theirs *duckdb.Error
	if errors.As(err, &e) && e.Kind == pinflow.Internal && errors.As(e.Err, &theirs) && theirs.Type != duckdb.ErrorTypeFatal && theirs.Type != duckdb.ErrorTypeInternal {
		e.Kind = pinflow.Invalid
	}
	return err
}

func invalid(op, on, hint string, err error) error {
	return &pinflow.Error{Op: op, On: on, Kind: pinflow.Invalid, Err: err, Hint: hint}
}

// outOfMemory tells whether DuckDB's memory limit was reached. The appender's errors have no type, only text.
func outOfMemory(err error) bool {
	var theirs *duckdb.Error
	if errors.As(err, &theirs) {
		return theirs.Type == duckdb.ErrorTypeOutOfMemory
	}
	return err != nil && (strings.Contains(err.Error(), "failed to allocate data of size") || strings.Contains(err.Error(), "failed to pin block of size"))
}

// unsureError is a COMMIT that failed: DuckDB can run out of memory after it has written all there is to write.
type unsureError struct{ err error }

// Error implements error.
func (u *unsureError) Error() string { return u.err.Error() }

// Unwrap returns DuckDB's error.
func (u *unsureError) Unwrap() error { return u.err }
