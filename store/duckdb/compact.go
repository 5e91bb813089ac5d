package duckdb

import (
	"context"
	"database/sql"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// compactAfter is how many rows of a table of entities are replaced, at the least, before it is made anew.
const compactAfter = 128 << 10

// replaced tells whether so many rows of a table of entities have been replaced since it was made that it is to be made anew. DuckDB keeps what it
// knows of deleted rows in memory, which no limit counts, and looks through them. Doing it when as many have
// been replaced as the table has costs each of them one more row to write.
func (t *table) replaced(limit int64) bool {
	if limit <= 0 {
		limit = max(compactAfter, t.merged)
	}
	return t.Kind == pinflow.Entities && t.Keep == "latest" && t.recent > max(limit, t.retry)
}

// compact makes a table of entities anew, without the rows that were replaced, in one transaction.
func (s *Store) compact(ctx context.Context, t *table) error {
	var rows int64
	start := time.Now()
	next := t.schema + "." + duck.Quote(t.Name+":next")
	err := s.write(ctx, "make the table anew", t.Name, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "CREATE TABLE "+next+" "+storedList(t.columns())); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, "INSERT INTO "+next+" SELECT * FROM "+t.whole())
		if err != nil {
			return err
		}
		if rows, err = result.RowsAffected(); err != nil {
			return err
		}
		for _, statement := range []string{"DROP TABLE " + t.whole(), "ALTER TABLE " + next + " RENAME TO " + duck.Quote(t.Name)} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.metrics.folded(time.Since(start))
	t.recent, t.retry, t.merged = 0, 0, rows
	return nil
}
