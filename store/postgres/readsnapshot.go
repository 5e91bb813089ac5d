package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck/readonly"
)

// snapshot is a transaction that reads one state of the database.
type snapshot struct {
	conn      *pgxpool.Conn
	end       func() // ends the transaction; it may be called again
	shape     *shape
	positions map[pinflow.TopicPartition]pinflow.Progress
}

// snapshot begins to read. It holds the views before it takes its snapshot: a switch makes them anew, and PostgreSQL finds views by what they
// are now, tables' rows by what they were. Views that no longer have the shape are errMoved.
func (s *Store) snapshot(ctx context.Context, shape *shape, views []*view) (*snapshot, error) {
	conn, err := s.readers.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	snap := &snapshot{conn: conn, shape: shape, end: sync.OnceFunc(func() { s.endRead(ctx, conn) })}
	if err := snap.begin(ctx, views); err != nil {
		snap.end()
		return nil, err
	}
	return snap, nil
}

// endRead gives a connection back without its transaction. One that is still busy, since its query was left, is dropped.
func (s *Store) endRead(ctx context.Context, conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		_ = conn.Conn().Close(ctx)
	}
	conn.Release()
}

func (s *snapshot) begin(ctx context.Context, views []*view) error {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	if at, ok := ctx.Deadline(); ok { // should the server not hear that the query is given up
		ms := max(time.Until(at).Milliseconds(), 1) + 1000
		batch.Queue("SET LOCAL statement_timeout = " + strconv.FormatInt(ms, 10))
	}
	if len(views) > 0 {
		names := make([]string, len(views))
		for i, v := range views {
			names[i] = v.name
		}
		batch.Queue("LOCK TABLE " + strings.Join(names, ", ") + " IN ACCESS SHARE MODE")
	}
	var key string
	batch.Queue("SELECT " + shapeKey + " FROM " + shapeSource).QueryRow(func(row pgx.Row) error { return row.Scan(&key) })
	batch.Queue(`SELECT topic, "partition", next_offset, period FROM _pinflow.progress ` + ofCurrent).Query(func(rows pgx.Rows) (err error) {
		s.positions, err = scanProgress(rows)
		return err
	})
	if err := s.conn.SendBatch(ctx, batch).Close(); err != nil {
		return moved(err)
	}
	if key != s.shape.key {
		return errMoved
	}
	return nil
}

// query reads columns of a view under conditions, with more of them in PostgreSQL's words.
func (v *view) query(columns []pinflow.Column, filters []readonly.Bound, more string) (query string, args []any, err error) {
	conditions := []string{}
	for _, f := range filters {
		text, value, err := condition(f, len(args)+1)
		if err != nil {
			return "", nil, err
		}
		conditions, args = append(conditions, text), append(args, value)
	}
	if more != "" {
		conditions = append(conditions, more)
	}
	query = fmt.Sprintf("SELECT %s FROM %s", strings.Join(quoted(namesOf(columns)), ", "), v.name)
	if len(conditions) > 0 {
		query += " WHERE " + strings.Join(conditions, " AND ")
	}
	return query, args, nil
}
