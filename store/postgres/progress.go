package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
)

// Claim implements pinflow.LiveStore.
func (s *Store) Claim(ctx context.Context, generation string, start map[pinflow.TopicPartition]int64) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	const op = "claim partitions"
	claimed := make(map[pinflow.TopicPartition]pinflow.Progress, len(start))
	made := false
	err := s.write(ctx, op, "generation "+generation, func(tx pgx.Tx) error {
		made = false
		if err := generationThere(ctx, tx, op, generation); err != nil {
			return err
		}
		for _, tp := range sorted(start) {
			tag, err := tx.Exec(ctx, `INSERT INTO _pinflow.progress VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, generation, tp.Topic, tp.Partition, start[tp], int64(pinflow.NoPeriod))
			if err != nil {
				return err
			}
			made = made || tag.RowsAffected() > 0
		}
		have, err := progress(ctx, tx, ofGeneration, generation)
		for tp := range start {
			claimed[tp] = have[tp]
		}
		if err == nil && made {
			err = s.tellOthers(ctx, tx)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if made {
		s.announce()
	}
	return claimed, nil
}

// generationThere refuses a generation that there is not. It keeps others from dropping it until the transaction ends.
func generationThere(ctx context.Context, tx pgx.Tx, op, generation string) error {
	tag, err := tx.Exec(ctx, "SELECT FROM _pinflow.generations WHERE generation = $1 FOR KEY SHARE", generation)
	if err == nil && tag.RowsAffected() == 0 {
		err = noGeneration(op, generation)
	}
	return err
}

// Positions implements pinflow.StoreReader.
func (s *Store) Positions(ctx context.Context) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	return s.readProgress(ctx, "read positions", ofCurrent)
}

// Progress implements pinflow.BatchStore.
func (s *Store) Progress(ctx context.Context, generation string) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	return s.readProgress(ctx, "read progress", ofGeneration, generation)
}

func (s *Store) readProgress(ctx context.Context, op, where string, args ...any) (at map[pinflow.TopicPartition]pinflow.Progress, err error) {
	err = s.soon(ctx, func(ctx context.Context) (err error) { at, err = progress(ctx, s.db, where, args...); return err })
	return at, failed(op, s.place, err)
}

const (
	ofGeneration = "WHERE generation = $1"
	ofCurrent    = "WHERE generation = (SELECT current FROM _pinflow.store)"
	// inOrder locks rows, always in the same order, so that nobody waits for somebody who waits for him.
	inOrder = ` ORDER BY generation, topic, "partition" FOR NO KEY UPDATE`
)

// progress reads positions; where is a condition and what follows it.
func progress(ctx context.Context, q querier, where string, args ...any) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	rows, err := q.Query(ctx, `SELECT topic, "partition", next_offset, period FROM _pinflow.progress `+where, args...)
	if err != nil {
		return nil, err
	}
	return scanProgress(rows)
}

func scanProgress(rows pgx.Rows) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	all := map[pinflow.TopicPartition]pinflow.Progress{}
	var tp pinflow.TopicPartition
	var at pinflow.Progress
	_, err := pgx.ForEachRow(rows, []any{&tp.Topic, &tp.Partition, &at.NextOffset, &at.Period}, func() error {
		all[tp] = at
		return nil
	})
	return all, err
}

// sorted are a map's partitions in order.
func sorted[V any](m map[pinflow.TopicPartition]V) []pinflow.TopicPartition {
	all := make([]pinflow.TopicPartition, 0, len(m))
	for tp := range m {
		all = append(all, tp)
	}
	slices.SortFunc(all, pinflow.TopicPartition.Compare)
	return all
}
