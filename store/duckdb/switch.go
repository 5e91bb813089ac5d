package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck/readonly"
	"github.com/pinflow/pinflow/protocol"
)

// Generations implements pinflow.GenerationStore.
func (s *Store) Generations(ctx context.Context) ([]pinflow.Generation, error) {
	const op = "list generations"
	tx, end, err := readonly.Snapshot(ctx, s.db)
	if err != nil {
		return nil, failed(op, s.file, err)
	}
	defer end()
	rows, err := tx.QueryContext(ctx, `SELECT g.generation, coalesce(g.generation = (SELECT current FROM _pinflow.store), false), g.made_at,
		(SELECT count(*) FROM _pinflow.installed i WHERE i.generation = g.generation) FROM _pinflow.generations g ORDER BY g.made_at, g.generation`)
	if err != nil {
		return nil, failed(op, s.file, err)
	}
	defer rows.Close()
	var all []pinflow.Generation
	for rows.Next() {
		var g pinflow.Generation
		if err := rows.Scan(&g.Name, &g.Current, &g.MadeAt, &g.Installed); err != nil {
			return nil, failed(op, s.file, err)
		}
		g.MadeAt = g.MadeAt.UTC()
		all = append(all, g)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(op, s.file, err)
	}
	for i := range all {
		if all[i].Positions, err = progress(ctx, tx, ofGeneration, all[i].Name); err != nil {
			return nil, failed(op, s.file, err)
		}
	}
	return all, nil
}

// PlanOf implements pinflow.GenerationStore.
func (s *Store) PlanOf(ctx context.Context, generation string) (*pinflow.Plan, error) {
	return planOf(ctx, s.db, generation)
}

func planOf(ctx context.Context, q querier, generation string) (*pinflow.Plan, error) {
	fail := func(kind pinflow.Kind, hint string, err error) error {
		return &pinflow.Error{Op: "read plan", On: "generation " + generation, Kind: kind, Err: err, Hint: hint}
	}
	var text sql.NullString
	err := q.QueryRowContext(ctx, "SELECT plan FROM _pinflow.generations WHERE generation = ?", generation).Scan(&text)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fail(pinflow.NotFound, "", errors.New("the store has no such generation"))
	case err != nil:
		return nil, failed("read plan", "generation "+generation, err)
	case !text.Valid:
		return nil, fail(pinflow.NotFound, "Start Pinflow once with the definition that the generation was made with: the plan is stored then.",
			errors.New("an older version made it, which did not store the plan"))
	}
	var p pinflow.Plan
	if err := json.Unmarshal([]byte(text.String), &p); err != nil {
		return nil, fail(pinflow.Internal, "", err)
	}
	return &p, nil
}

// Switch implements pinflow.GenerationStore. It ends a Hold.
func (s *Store) Switch(ctx context.Context, generation string) error {
	const op = "switch generation"
	if err := s.lock(ctx, op); err != nil {
		return err
	}
	defer s.unlock()
	if err := s.exists(op, generation); err != nil {
		return err
	}
	err := s.write(ctx, op, generation, func(tx *sql.Tx) error {
		if err := mayTakeOver(ctx, tx, op, generation); err != nil {
			return err
		}
		var pipeline, text string
		err := tx.QueryRowContext(ctx, "SELECT (SELECT pipeline FROM _pinflow.store), views FROM _pinflow.generations WHERE generation = ?", generation).Scan(&pipeline, &text)
		if err != nil {
			return err
		}
		var views []pinflow.View
		if err := json.Unmarshal([]byte(text), &views); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM _pinflow.hold"); err != nil {
			return err
		}
		return pointViews(ctx, tx, pipeline, generation, views)
	})
	if err != nil {
		return err
	}
	s.current, s.held = generation, nil
	s.announce()
	return nil
}

// mayTakeOver refuses a generation that has counted less than the current one.
func mayTakeOver(ctx context.Context, tx *sql.Tx, op, generation string) error {
	next, err := progress(ctx, tx, ofGeneration, generation)
	if err != nil {
		return err
	}
	current, err := progress(ctx, tx, ofCurrent)
	if err != nil {
		return err
	}
	behind := protocol.Behind(next, current)
	if len(behind) == 0 {
		return nil
	}
	partitions := make([]pinflow.TopicPartition, 0, len(behind))
	for tp := range behind {
		partitions = append(partitions, tp)
	}
	slices.SortFunc(partitions, pinflow.TopicPartition.Compare)
	texts := make([]string, len(partitions))
	for i, tp := range partitions {
		texts[i] = fmt.Sprintf("%d records in %s", behind[tp], tp)
	}
	return &pinflow.Error{Op: op, On: generation, Kind: pinflow.Unavailable, Err: fmt.Errorf("it is behind the current one by %s", strings.Join(texts, ", ")),
		Hint: "Build it on, and try again when it has caught up."}
}

// exists refuses a generation that there is not. The caller holds the right to write.
func (s *Store) exists(op, generation string) error {
	if s.generations[generation] == nil {
		return &pinflow.Error{Op: op, On: generation, Kind: pinflow.NotFound, Err: errors.New("the store has no such generation")}
	}
	return nil
}

// DropGeneration implements pinflow.GenerationStore.
func (s *Store) DropGeneration(ctx context.Context, generation string) error {
	const op = "drop generation"
	_, unlock, err := s.lockIn(ctx, op, generation)
	if pinflow.KindOf(err) == pinflow.Invalid {
		return &pinflow.Error{Op: op, On: generation, Kind: pinflow.NotFound, Err: errors.New("the store has no such generation")}
	}
	if err != nil {
		return err
	}
	defer unlock()
	if generation == s.current {
		return invalid(op, generation, "Switch to another one first.", errors.New("readers read this one"))
	}
	err = s.write(ctx, op, generation, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DROP SCHEMA "+schemaOf(generation)+" CASCADE"); err != nil {
			return err
		}
		for _, t := range []string{"progress", "installed", "comparisons", "reports", "hold", "generations"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM _pinflow."+t+" WHERE generation = ?", generation); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	delete(s.generations, generation)
	if s.held != nil && s.held.generation == generation {
		s.held = nil
	}
	if err := s.checkpointIfLong(context.WithoutCancel(ctx)); err != nil {
		s.o.Log.Warn("the write-ahead log was not folded into the store's file", "file", s.file, "error", err)
	}
	return nil
}

// hold keeps the current generation behind another one.
type hold struct {
	generation string
	until      time.Time
}

// Hold implements pinflow.GenerationStore. There is one at a time: the last one counts.
func (s *Store) Hold(ctx context.Context, generation string, until time.Time) error {
	const op = "hold the current generation"
	if err := s.lock(ctx, op); err != nil {
		return err
	}
	defer s.unlock()
	if err := s.exists(op, generation); err != nil {
		return err
	}
	if generation == s.current {
		return invalid(op, generation, "", errors.New("it is the current one itself"))
	}
	err := s.write(ctx, op, generation, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM _pinflow.hold"); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO _pinflow.hold VALUES (?, ?)", generation, until)
		return err
	})
	if err != nil {
		return err
	}
	s.held = &hold{generation, until}
	return nil
}

// loadHold reads the hold that there is. The caller holds the right to write.
func (s *Store) loadHold(ctx context.Context) error {
	var h hold
	err := s.writer.QueryRowContext(ctx, "SELECT generation, until FROM _pinflow.hold").Scan(&h.generation, &h.until)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return failed("open store", s.file, err)
	}
	s.held = &h
	return nil
}

// waits is the error of a commit that goes beyond the generation that is to take over.
func (s *Store) waits(ctx context.Context, tx *sql.Tx, g *generation, advances []pinflow.Advance) error {
	if s.held == nil || g.name != s.current || !time.Now().Before(s.held.until) {
		return nil
	}
	successor, err := progress(ctx, tx, ofGeneration, s.held.generation)
	if err != nil {
		return err
	}
	for _, a := range advances {
		if to := successor[a.TopicPartition].NextOffset; a.End > a.Start && protocol.Held(a.End, to) {
			return &pinflow.Error{Op: "commit", On: a.TopicPartition.String(), Kind: pinflow.Unavailable,
				Err:  fmt.Errorf("%w: generation %s, which stands at %d", pinflow.ErrHeld, s.held.generation, to),
				Hint: "Try again: it ends with the switch, or at " + s.held.until.UTC().Format(time.RFC3339) + "."}
		}
	}
	return nil
}
