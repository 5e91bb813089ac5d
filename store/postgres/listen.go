package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// channel is where who has changed something tells those of other stores. The payload is who it was.
const channel = "pinflow_changed"

// announceSQL tells the others when the transaction is committed.
const announceSQL = "SELECT pg_notify('" + channel + "', $1)"

// tellOthers wakes who waits for a change elsewhere, once the transaction is committed.
func (s *Store) tellOthers(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, announceSQL, s.id)
	return err
}

// beat is how often a connection that listens is asked whether it is still there.
const beat = 10 * time.Second

// startListening wakes who waits here when something was changed elsewhere, until the store closes.
func (s *Store) startListening(ctx context.Context) error {
	conn, err := s.openListener(ctx)
	if err == nil && !s.goBeside(func() { s.listen(conn) }) {
		closeConn(conn)
	}
	return err
}

func (s *Store) openListener(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, s.db.Config().ConnConfig.Copy())
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		closeConn(conn)
		return nil, err
	}
	return conn, nil
}

// closeConn closes a connection in which nothing can be lost.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

func (s *Store) listen(conn *pgx.Conn) {
	for delay := firstDelay; ; {
		if conn != nil {
			err := s.hear(s.ctx, conn)
			closeConn(conn)
			conn, delay = nil, firstDelay
			s.o.Log.Debug("the store listens anew", "error", err)
		}
		if !s.pause(delay) {
			return
		}
		delay = min(2*delay, beat)
		var err error
		if conn, err = s.openListener(s.ctx); err == nil {
			s.announce() // something may have changed while nobody listened
		}
	}
}

// pause waits; false means that the store closes.
func (s *Store) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return s.ctx.Err() == nil
	case <-s.ctx.Done():
		return false
	}
}

// hear listens as long as the connection lasts.
func (s *Store) hear(ctx context.Context, conn *pgx.Conn) error {
	for {
		n, err := waitFor(ctx, conn)
		switch {
		case err == nil && n.Payload != s.id:
			s.announce()
		case err != nil && (ctx.Err() != nil || conn.IsClosed()):
			return err
		case err != nil: // it was quiet: is anybody there?
			if err := ping(ctx, conn); err != nil {
				return err
			}
		}
	}
}

func waitFor(ctx context.Context, conn *pgx.Conn) (*pgconn.Notification, error) {
	ctx, cancel := context.WithTimeout(ctx, beat)
	defer cancel()
	return conn.WaitForNotification(ctx)
}

func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, beat)
	defer cancel()
	return conn.Ping(ctx)
}
