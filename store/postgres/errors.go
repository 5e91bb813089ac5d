package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
	"github.com/pinflow/pinflow"
)

// failed returns err as a pinflow.Error, nil for nil. One that is a pinflow.Error already stays as it is.
func failed(op, on string, err error) error {
	var ours *pinflow.Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	e := &pinflow.Error{Op: op, On: on, Err: err}
	var theirs *pgconn.PgError
	var unsure *unsureError
	switch {
	case errors.Is(err, errSilent):
		e.Kind, e.Err, e.Hint = pinflow.Unavailable, errSilent, "The connection to PostgreSQL was given up: it is tried again."
	case errors.As(err, &unsure):
		e.Kind, e.Hint = pinflow.Unavailable, "The positions tell whether it was: they are read before anything is tried again."
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		e.Kind = pinflow.Unavailable
	case errors.Is(err, puddle.ErrClosedPool):
		return errClosed(op)
	case errors.As(err, &theirs):
		e.Kind, e.Hint = kindOf(theirs)
	case isConnection(err):
		e.Kind, e.Err, e.Hint = pinflow.Unavailable, lastOf(err), "The connection to PostgreSQL was lost or could not be made: it is tried again."
	}
	return e
}

// kindOf tells what to make of an error of the server.
func kindOf(e *pgconn.PgError) (pinflow.Kind, string) {
	switch e.Code {
	case "40001", "40P01":
		return pinflow.Unavailable, "Others were in the way: try again."
	case "55P03":
		return pinflow.Unavailable, "Somebody else holds the lock: another worker, an install, or a long query on the views. Try again."
	case "53300":
		return pinflow.Unavailable, "The server has no connection left: raise its max_connections, or lower ours."
	case "53100":
		return pinflow.Unavailable, "Look at the disk that holds the database: it is full."
	case "53200", "53400":
		return pinflow.Unavailable, "The server ran out of memory or of what else it limits."
	case "57014":
		return pinflow.Unavailable, "It took longer than it may, or somebody ended it."
	case "42501":
		return pinflow.Invalid, "The user of the store's URL lacks a right: connect as the owner of the store, or have it granted."
	case "25006":
		return pinflow.Unavailable, "The server only reads: it is a standby, or its default_transaction_read_only is on."
	}
	if ended(e.Code) {
		return pinflow.Unavailable, "The server has ended the connection: it is tried again."
	}
	return pinflow.Internal, ""
}

// ended tells whether an error's code says that the session is over through no fault of its statement.
func ended(code string) bool {
	switch code {
	case "57P01", "57P02", "57P03", "57P05", "25P03":
		return true
	}
	return strings.HasPrefix(code, "08")
}

// isConnection tells whether an error is one of the connection, not of what was asked.
func isConnection(err error) bool {
	var theirs *pgconn.PgError
	if errors.As(err, &theirs) {
		return ended(theirs.Code) || theirs.Code == "53300"
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.Is(err, errSilent) || errors.As(err, &network) || errors.As(err, &connect) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "closed the connection")
}

// code is the server's code of an error, "" if it is none of the server's.
func code(err error) string {
	var theirs *pgconn.PgError
	if errors.As(err, &theirs) {
		return theirs.Code
	}
	return ""
}

func invalid(op, on, hint string, err error) error {
	return &pinflow.Error{Op: op, On: on, Kind: pinflow.Invalid, Err: err, Hint: hint}
}

func errClosed(op string) error {
	return &pinflow.Error{Op: op, On: "store", Kind: pinflow.Unavailable, Hint: "The store is closed: Pinflow is stopping."}
}

func noGeneration(op, name string) error {
	return invalid(op, "generation "+name, "Prepare the store for it first.", fmt.Errorf("the store has no such generation"))
}
