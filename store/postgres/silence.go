package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// silence is how long a server that should answer at once, and that nobody keeps waiting, may say nothing, by default. A connection can be dead without either
// end being told: a proxy in between, a cable.
const silence = 30 * time.Second

// errSilent is why a connection was given up on which nothing came.
var errSilent = errors.New("the server does not answer")

// answered runs what the server answers soon, or as soon as it gets a lock.
func (s *Store) answered(ctx context.Context, f func(ctx context.Context) error) error {
	limit := s.o.Lock + s.o.silence
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w for %s", errSilent, limit))
	defer cancel()
	return silent(ctx, f(ctx))
}

// soon is retry for what the server answers soon.
func (s *Store) soon(ctx context.Context, f func(ctx context.Context) error) error {
	return s.retry(ctx, func() error { return s.answered(ctx, f) })
}

// acquire takes a connection of the pool. The caller releases it.
func (s *Store) acquire(ctx context.Context) (conn *pgxpool.Conn, err error) {
	err = s.answered(ctx, func(ctx context.Context) error { conn, err = s.db.Acquire(ctx); return err })
	return conn, err
}

// silent is err, or why ctx gave up.
func silent(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errSilent) {
		return errors.Join(cause, &hidden{err})
	}
	return err
}

// hidden keeps an error that says less than the one beside it out of the text.
type hidden struct{ err error }

// Error implements error.
func (h *hidden) Error() string { return "the connection was given up" }

// patiently runs one statement that may take as long as it takes. From time to time another connection looks whether the server is at it.
func (s *Store) patiently(ctx context.Context, conn *pgx.Conn, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.watch(ctx, conn.PgConn().PID(), done, cancel)
	}()
	err := f(ctx)
	close(done)
	<-ended
	err = silent(ctx, err)
	cancel(nil)
	return err
}

// watch gives up a statement at which the server is not seen several times in a row.
func (s *Store) watch(ctx context.Context, pid uint32, done <-chan struct{}, cancel context.CancelCauseFunc) {
	t := time.NewTicker(s.o.silence / 3)
	defer t.Stop()
	for missed := 0; missed < 3; {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if missed++; s.isAt(ctx, pid, done) {
			missed = 0
		}
	}
	cancel(errSilent)
}

// isAt tells whether the server works on a statement of a session, or waits for something else than for us.
func (s *Store) isAt(ctx context.Context, pid uint32, done <-chan struct{}) (at bool) {
	ctx, cancel := context.WithTimeout(ctx, s.o.silence/3)
	defer cancel()
	go func() {
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	const query = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Client')"
	err := s.db.QueryRow(ctx, query, int32(pid)).Scan(&at)
	return err == nil && at
}

// moving reads as long as it is asked for more: who sends on sees that the other end takes what is sent.
type moving struct {
	io.Reader
	quiet *time.Timer
	limit time.Duration
}

// Read implements io.Reader.
func (m *moving) Read(p []byte) (int, error) {
	m.quiet.Reset(m.limit)
	return m.Reader.Read(p)
}
