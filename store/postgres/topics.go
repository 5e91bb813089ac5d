package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
)

// Bind holds the store to a topic: it notes the topic's id, and refuses a topic in which the offsets of what is counted are not
// those records. That is one with another id (Invalid), or whose log ends before the position of a generation (OutOfRange): going on
// there would leave out as many of its records as were counted of another log.
func (s *Store) Bind(ctx context.Context, t pinflow.Topic) error {
	return s.write(ctx, "bind topic", t.Name, func(tx pgx.Tx) error {
		if err := s.bindID(ctx, tx, t); err != nil {
			return err
		}
		for _, p := range t.Partitions {
			var at int64
			err := tx.QueryRow(ctx, `SELECT coalesce(max(next_offset), 0) FROM _pinflow.progress WHERE topic = $1 AND "partition" = $2`, t.Name, p.Partition).Scan(&at)
			if err != nil {
				return err
			}
			if at > p.End {
				return s.anotherLog(t, pinflow.OutOfRange, fmt.Errorf("partition %d is counted up to offset %d, the journal's log ends at %d: it has lost records or is another one",
					p.Partition, at, p.End))
			}
		}
		return nil
	})
}

func (s *Store) bindID(ctx context.Context, tx pgx.Tx, t pinflow.Topic) error {
	if t.ID == "" { // an old broker
		return nil
	}
	// What is there already is not written again: two may bind at once, and one that only reads may bind too.
	var have string
	err := tx.QueryRow(ctx, "SELECT coalesce((SELECT topic_id FROM _pinflow.topics WHERE topic = $1), '')", t.Name).Scan(&have)
	if err == nil && have == "" {
		if _, err = tx.Exec(ctx, "INSERT INTO _pinflow.topics VALUES ($1, $2) ON CONFLICT DO NOTHING", t.Name, t.ID); err == nil {
			err = tx.QueryRow(ctx, "SELECT topic_id FROM _pinflow.topics WHERE topic = $1", t.Name).Scan(&have)
		}
	}
	if err == nil && have != t.ID {
		err = s.anotherLog(t, pinflow.Invalid, fmt.Errorf("the journal's topic has the id %s, the metrics count that of id %s: it was deleted and made anew, or this is another journal", t.ID, have))
	}
	return err
}

func (s *Store) anotherLog(t pinflow.Topic, kind pinflow.Kind, why error) error {
	return &pinflow.Error{Op: "count topic " + t.Name + " in", On: s.place, Kind: kind, Err: why,
		Hint: "Use the journal that this store was filled from, or another store."}
}
