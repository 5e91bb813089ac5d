package duckdb

import (
	"context"
	"database/sql"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// Claim implements pinflow.LiveStore.
func (s *Store) Claim(ctx context.Context, generation string, start map[pinflow.TopicPartition]int64) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	const op = "claim partitions"
	_, unlock, err := s.lockIn(ctx, op, generation)
	if err != nil {
		return nil, err
	}
	defer unlock()
	claimed := make(map[pinflow.TopicPartition]pinflow.Progress, len(start))
	made := false
	err = s.write(ctx, op, "generation "+generation, func(tx *sql.Tx) error {
		have, err := progress(ctx, tx, "WHERE generation = ?", generation)
		if err != nil {
			return err
		}
		for tp, offset := range start {
			p, ok := have[tp]
			if !ok {
				p, made = pinflow.Progress{NextOffset: offset, Period: pinflow.NoPeriod}, true
				if _, err := tx.ExecContext(ctx, "INSERT INTO _pinflow.progress VALUES (?, ?, ?, ?, ?)",
					generation, tp.Topic, tp.Partition, p.NextOffset, int64(p.Period)); err != nil {
					return err
				}
			}
			claimed[tp] = p
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if made {
		s.announce()
	}
	return claimed, nil
}

// Positions implements pinflow.StoreReader.
func (s *Store) Positions(ctx context.Context) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	positions, err := progress(ctx, s.db, ofCurrent)
	return positions, failed("read positions", s.file, err)
}

// Progress implements pinflow.BatchStore.
func (s *Store) Progress(ctx context.Context, generation string) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	at, err := progress(ctx, s.db, ofGeneration, generation)
	return at, failed("read progress", s.file, err)
}

const ofGeneration = "WHERE generation = ?"

const ofCurrent = "WHERE generation = (SELECT current FROM _pinflow.store)"

// querier is what reads: the database, a connection of it, or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func progress(ctx context.Context, q querier, where string, args ...any) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	rows, err := q.QueryContext(ctx, `SELECT topic, "partition", next_offset, period FROM _pinflow.progress `+where, args...)
	if err != nil {
		return nil, err
	}
	all := map[pinflow.TopicPartition]pinflow.Progress{}
	err = duck.EachRow(rows, func(row []any) error {
		tp := pinflow.TopicPartition{Topic: row[0].(string), Partition: row[1].(int32)}
		all[tp] = pinflow.Progress{NextOffset: row[2].(int64), Period: pinflow.Period(row[3].(int64))}
		return nil
	})
	return all, err
}
