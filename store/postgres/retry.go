package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
)

const (
	attempts   = 5
	firstDelay = 50 * time.Millisecond
	longDelay  = time.Second
)

// retry calls f again a few times while its error is one that passes and that leaves nothing behind: a deadlock, a connection that was lost.
func (s *Store) retry(ctx context.Context, f func() error) error {
	for n, delay := 1, firstDelay; ; n, delay = n+1, min(2*delay, longDelay) {
		err := f()
		if err == nil || n == attempts || !passes(err) {
			return err
		}
		s.metrics.retried()
		s.o.Log.Debug("the store is tried again", "error", err)
		if ctx.Err() != nil || !s.pause(delay/2+rand.N(delay)) {
			return err
		}
	}
}

// passes tells whether it is no use to give an error to the caller before another attempt.
func passes(err error) bool {
	var ours *pinflow.Error
	var unsure *unsureError
	if errors.As(err, &ours) || errors.As(err, &unsure) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	switch code(err) {
	case "40001", "40P01":
		return true
	}
	return isConnection(err)
}

// unsureError is a COMMIT without an answer: it may have been carried out.
type unsureError struct{ err error }

// Error implements error.
func (u *unsureError) Error() string {
	return "it is not known whether it was committed: " + u.err.Error()
}

// Unwrap returns what kept the answer away.
func (u *unsureError) Unwrap() error { return u.err }

// write runs f, which is short, in one transaction, again where that is safe. If it fails nothing of it stays, unless the answer to the COMMIT is what was lost: then
// the error is Unavailable.
func (s *Store) write(ctx context.Context, op, on string, f func(tx pgx.Tx) error) error {
	return failed(op, on, s.soon(ctx, func(ctx context.Context) error { return s.once(ctx, f) }))
}

// writeLong is write for what may take long.
func (s *Store) writeLong(ctx context.Context, op, on string, f func(tx pgx.Tx) error) error {
	return failed(op, on, s.retry(ctx, func() error { return s.once(ctx, f) }))
}

func (s *Store) once(ctx context.Context, f func(tx pgx.Tx) error) error {
	var tx pgx.Tx
	err := s.answered(ctx, func(ctx context.Context) (err error) { tx, err = s.db.Begin(ctx); return err })
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		s.rollBack(ctx, tx)
		return err
	}
	if err := s.answered(ctx, tx.Commit); err != nil {
		if !errors.Is(err, pgx.ErrTxCommitRollback) && (code(err) == "" || isConnection(err)) {
			return &unsureError{err}
		}
		return err
	}
	return nil
}

// rollBack ends a transaction whose error is told already. A connection that does not even do that is dropped.
func (s *Store) rollBack(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = tx.Rollback(ctx)
}
