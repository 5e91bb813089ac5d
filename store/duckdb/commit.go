package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// Commit implements pinflow.LiveStore. An error of Kind Unavailable means that nothing was applied, or that the fence will
// tell: the same delta can be tried again and is applied once at the most.
func (s *Store) Commit(ctx context.Context, d pinflow.Delta) error {
	const op = "commit"
	start := time.Now()
	g, unlock, err := s.lockIn(ctx, op, d.Generation)
	if err != nil {
		return err
	}
	defer unlock()
	added := map[*table]int64{}
	err = s.commit(ctx, g, d, added)
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
	s.gate.Crowd.Disperse(errForMemory)
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
	if err := s.waits(ctx, tx, g, d.Advances); err != nil {
		return err
	}
	var w work
	defer w.release()
	if err := s.gather(ctx, g, d, &w); err != nil {
		return err
	}
	for _, step := range w.steps {
		n, err := step.run(ctx, tx)
		if err != nil {
			return failed("commit", "rows of "+step.t.Name, err)
		}
		if step.t.Kind == pinflow.Partials || step.t.Kind == pinflow.Entities {
			added[step.t] += n
		}
	}
	return nil
}

// work is the statements of a commit. A transaction sees of another database what there was when it first read there: so all
// that the statements read is put in its place before the first one of them runs.
type work struct {
	steps    []step
	releases []func()
}

// step is statements on one table, of which the last one tells how many rows were added.
type step struct {
	t          *table
	statements []string
}

func (st step) run(ctx context.Context, tx *sql.Tx) (n int64, err error) {
	for _, statement := range st.statements {
		result, err := tx.ExecContext(ctx, statement)
		if err != nil {
			return 0, err
		}
		if n, err = result.RowsAffected(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (w *work) release() {
	for _, release := range w.releases {
		release()
	}
}

// gather puts in its place what the delta adds and changes.
func (s *Store) gather(ctx context.Context, g *generation, d pinflow.Delta, w *work) error {
	if err := s.gatherAdded(ctx, g, d.Added, w); err != nil {
		return err
	}
	for _, c := range d.Changes {
		if err := s.gatherChange(ctx, g, c, w); err != nil {
			return failed("commit", "rows of "+c.Table, err)
		}
	}
	return nil
}

func (s *Store) gatherAdded(ctx context.Context, g *generation, all []pinflow.Addition, w *work) error {
	for _, a := range all {
		t := g.tables[a.Table]
		if t == nil || t.Kind == pinflow.Entities {
			return invalid("commit", a.Table, "", fmt.Errorf("the generation has no such table to add to"))
		}
		from, release, err := s.place(ctx, t.columns(), a.Rows)
		if err != nil {
			return failed("commit", "rows of "+a.Table, err)
		}
		w.releases = append(w.releases, release)
		w.steps = append(w.steps, step{t, []string{"INSERT INTO " + t.target() + " SELECT * FROM " + from}})
	}
	return nil
}

// generation returns what is known of a generation's tables; one that there is not is an Invalid error. The caller holds the right to write.
func (s *Store) generation(op, name string) (*generation, error) {
	if g := s.generations[name]; g != nil {
		return g, nil
	}
	return nil, invalid(op, "generation "+name, "Prepare the store for it first.", fmt.Errorf("the store has no such generation"))
}

// advance moves one partition's position; Kind Fenced if it is not where the advance starts, or in a later period than its first record.
func advance(ctx context.Context, tx *sql.Tx, generation string, a pinflow.Advance) error {
	if a.End < a.Start {
		return invalid("commit", a.TopicPartition.String(), "", fmt.Errorf("the advance ends at %d, before its start %d", a.End, a.Start))
	}
	if stale, err := isStale(ctx, tx, generation, a); err != nil || stale {
		return firstOf(err, fenced(a, fmt.Errorf("an install has moved the partition beyond the period of the first record")))
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
		return fenced(a, fmt.Errorf("the position is not at %d any more", a.Start))
	}
	return nil
}

// isStale tells whether an advance's first record would be counted in a period that is over.
func isStale(ctx context.Context, tx *sql.Tx, generation string, a pinflow.Advance) (bool, error) {
	if a.First == 0 || a.Start == a.End {
		return false, nil
	}
	var floor int64
	err := tx.QueryRowContext(ctx, `SELECT period FROM _pinflow.progress WHERE generation = ? AND topic = ? AND "partition" = ?`, generation, a.Topic, a.Partition).Scan(&floor)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil // the position will tell
	}
	return err == nil && protocol.Stale(pinflow.Period(floor), a.First), err
}

func fenced(a pinflow.Advance, why error) error {
	return &pinflow.Error{Op: "commit", On: a.TopicPartition.String(), Kind: pinflow.Fenced, Err: why,
		Hint: "Another worker has gone on: drop what is held for the partition and claim it again."}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
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
