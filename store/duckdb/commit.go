package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pinflow/pinflow"
)

// Commit implements pinflow.LiveStore. An error of Kind Unavailable means that nothing was applied, or that the fence will
// tell: the same delta can be tried again and is applied once at the most.
func (s *Store) Commit(ctx context.Context, d pinflow.Delta) error {
	const op = "commit"
	start := time.Now()
	if err := s.lock(ctx, op); err != nil {
		return err
	}
	defer s.unlock()
	g := s.generations[d.Generation]
	if g == nil {
		return invalid(op, "generation "+d.Generation, "Prepare the store for it first.", fmt.Errorf("the store has no such generation"))
	}
	added := map[*table]int64{}
	err := s.commit(ctx, g, d, added)
	s.metrics.committed(err, time.Since(start))
	if err != nil {
		return err
	}
	for t, n := range added {
		t.recent += n
	}
	s.announce()
	s.maintain(ctx, g)
	return nil
}

// commit is write of a delta, tried once more when memory ran out, with nobody reading. An error of the COMMIT itself
// does not tell whether it was applied: the positions do, which nobody else can have moved.
func (s *Store) commit(ctx context.Context, g *generation, d pinflow.Delta, added map[*table]int64) error {
	apply := func(tx *sql.Tx) error { return s.apply(ctx, tx, g, d, added) }
	err := s.write(ctx, "commit", onAdvances(d.Advances), apply)
	if !outOfMemory(err) {
		return err
	}
	s.crowd.disperse(errForMemory)
	open, _ := s.closeToReaders(ctx, longest)
	defer open()
	var unsure *unsureError
	if errors.As(err, &unsure) && s.landed(ctx, g, d) {
		return nil
	}
	return s.write(ctx, "commit", onAdvances(d.Advances), apply)
}

// landed tells whether a delta's positions are all at its ends.
func (s *Store) landed(ctx context.Context, g *generation, d pinflow.Delta) bool {
	at, err := progress(ctx, s.writer, "WHERE generation = ?", g.name)
	moves := false
	for _, a := range d.Advances {
		moves = moves || a.End != a.Start
		if err != nil || at[a.TopicPartition].NextOffset != a.End {
			return false
		}
	}
	return moves
}

// apply moves the positions first, which is the fence, and then adds the rows.
func (s *Store) apply(ctx context.Context, tx *sql.Tx, g *generation, d pinflow.Delta, added map[*table]int64) error {
	clear(added)
	for _, a := range d.Advances {
		if err := advance(ctx, tx, g.name, a); err != nil {
			return err
		}
	}
	for _, a := range d.Added {
		t := g.tables[a.Table]
		if t == nil {
			return invalid("commit", a.Table, "", fmt.Errorf("the generation has no such table"))
		}
		n, err := s.add(ctx, tx, t, a.Rows)
		if err != nil {
			return failed("commit", "rows of "+a.Table, err)
		}
		if t.Kind == pinflow.Partials {
			added[t] += n
		}
	}
	return nil
}

// advance moves one partition's position; Kind Fenced if it is not where the advance starts.
func advance(ctx context.Context, tx *sql.Tx, generation string, a pinflow.Advance) error {
	if a.End < a.Start {
		return invalid("commit", a.TopicPartition.String(), "", fmt.Errorf("the advance ends at %d, before its start %d", a.End, a.Start))
	}
	result, err := tx.ExecContext(ctx, `UPDATE _pinflow.progress SET next_offset = ?, period = greatest(period, ?)
		WHERE generation = ? AND topic = ? AND "partition" = ? AND next_offset = ?`,
		a.End, int64(a.Period), generation, a.Topic, a.Partition, a.Start)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if n != 1 {
		return &pinflow.Error{Op: "commit", On: a.TopicPartition.String(), Kind: pinflow.Fenced,
			Err:  fmt.Errorf("the position is not at %d any more", a.Start),
			Hint: "Another worker has gone on: drop what is held for the partition and claim it again."}
	}
	return nil
}

func onAdvances(advances []pinflow.Advance) string {
	switch len(advances) {
	case 0:
		return "no partition"
	case 1:
		return advances[0].TopicPartition.String()
	default:
		return fmt.Sprintf("%s and %d more", advances[0].TopicPartition, len(advances)-1)
	}
}
