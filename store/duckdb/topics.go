package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pinflow/pinflow"
)

// Bind holds the store to a topic: it notes the topic's id, and refuses a topic in which the offsets of what is counted are not
// those records. That is one with another id (Invalid), or whose log ends before the position of a generation (OutOfRange): going on
// there would leave out as many of its records as were counted of another log.
func (s *Store) Bind(ctx context.Context, t pinflow.Topic) error {
	const op = "bind topic"
	if err := s.lock(ctx, op); err != nil {
		return err
	}
	defer s.unlock()
	return s.write(ctx, op, t.Name, func(tx *sql.Tx) error {
		if err := s.bindID(ctx, tx, t); err != nil {
			return err
		}
		for _, p := range t.Partitions {
			var at sql.NullInt64
			err := tx.QueryRowContext(ctx, `SELECT max(next_offset) FROM _pinflow.progress WHERE topic = ? AND "partition" = ?`, t.Name, p.Partition).Scan(&at)
			if err != nil {
				return err
			}
			if at.Int64 > p.End {
				return s.anotherLog(t, pinflow.OutOfRange, fmt.Errorf("partition %d is counted up to offset %d, the journal's log ends at %d: it has lost records or is another one",
					p.Partition, at.Int64, p.End))
			}
		}
		return nil
	})
}

func (s *Store) bindID(ctx context.Context, tx *sql.Tx, t pinflow.Topic) error {
	var have string
	err := tx.QueryRowContext(ctx, "SELECT topic_id FROM _pinflow.topics WHERE topic = ?", t.Name).Scan(&have)
	switch {
	case t.ID == "": // an old broker
		return nil
	case errors.Is(err, sql.ErrNoRows):
		_, err = tx.ExecContext(ctx, "INSERT INTO _pinflow.topics VALUES (?, ?)", t.Name, t.ID)
		return err
	case err != nil:
		return err
	case have != t.ID:
		return s.anotherLog(t, pinflow.Invalid, fmt.Errorf("the journal's topic has the id %s, the metrics count that of id %s: it was deleted and made anew, or this is another journal", t.ID, have))
	}
	return nil
}

func (s *Store) anotherLog(t pinflow.Topic, kind pinflow.Kind, why error) error {
	return &pinflow.Error{Op: "count topic " + t.Name + " in", On: s.file, Kind: kind, Err: why,
		Hint: "Use the journal that this store was filled from, or another store."}
}
