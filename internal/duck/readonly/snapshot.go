package readonly

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
)

// Snapshot begins a transaction that can only read, whatever the SQL says, and returns its connection and its end.
func Snapshot(ctx context.Context, db *sql.DB) (*sql.Conn, func(), error) {
	conn, err := db.Conn(ctx)
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
