package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// Switch implements pinflow.GenerationStore. It ends a Hold.
func (s *Store) Switch(ctx context.Context, generation string) error {
	const op = "switch generation"
	if err := s.look(ctx, op, generation, func(tx pgx.Tx) error { return mayTakeOver(ctx, tx, op, generation, "") }); err != nil {
		return err // readers are not kept waiting for nothing
	}
	err := s.besideReaders(ctx, op, generation, func(tx pgx.Tx) error {
		if _, _, err := lockCurrent(ctx, tx, op, generation); err != nil {
			return err
		}
		var pipeline, text string
		err := tx.QueryRow(ctx, "SELECT (SELECT pipeline FROM _pinflow.store), views FROM _pinflow.generations WHERE generation = $1", generation).Scan(&pipeline, &text)
		if err != nil {
			return err
		}
		var views []pinflow.View
		if err := json.Unmarshal([]byte(text), &views); err != nil {
			return err
		}
		// Who reads has the views; who counts has the positions. Nobody has both, and they are had for a moment only.
		now, err := currentOf(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.pointViews(ctx, tx, pipeline, generation, views); err != nil {
			return err
		}
		if err := mayTakeOverFrom(ctx, tx, op, generation, now, inOrder); err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, "DELETE FROM _pinflow.hold"); err != nil {
			return err
		}
		return s.tellOthers(ctx, tx)
	})
	if err == nil {
		s.announce()
	}
	return err
}

// patience is how long the views are waited for at a time: who comes to read meanwhile waits behind.
const patience = 2 * time.Second

// besideReaders is write for what takes the views from readers. One that reads for long is waited for in steps, between which others read.
func (s *Store) besideReaders(ctx context.Context, op, on string, f func(tx pgx.Tx) error) error {
	for until := time.Now().Add(s.o.Lock + s.o.Timeout); ; {
		err := s.write(ctx, op, on, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", patience.Milliseconds())); err != nil {
				return err
			}
			return f(tx)
		})
		if code(err) != "55P03" || time.Now().After(until) || ctx.Err() != nil || !s.pause(patience/8) {
			return err
		}
	}
}

// lockCurrent keeps everybody else from preparing, switching, holding and dropping, and returns the current generation, and whether that is
// the one asked for. One that there is not is a NotFound error.
func lockCurrent(ctx context.Context, tx pgx.Tx, op, generation string) (current string, same bool, err error) {
	if err := tx.QueryRow(ctx, "SELECT coalesce(current, '') FROM _pinflow.store FOR UPDATE").Scan(&current); err != nil {
		return "", false, err
	}
	return current, current == generation, exists(ctx, tx, op, generation)
}

func currentOf(ctx context.Context, q querier) (current string, err error) {
	err = q.QueryRow(ctx, "SELECT coalesce(current, '') FROM _pinflow.store").Scan(&current)
	return current, err
}

// exists refuses a generation that there is not.
func exists(ctx context.Context, q querier, op, generation string) error {
	var there bool
	err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM _pinflow.generations WHERE generation = $1)", generation).Scan(&there)
	if err == nil && !there {
		err = &pinflow.Error{Op: op, On: generation, Kind: pinflow.NotFound, Err: errors.New("the store has no such generation")}
	}
	return err
}

// mayTakeOver refuses a generation that there is not, or that has counted less than the current one.
func mayTakeOver(ctx context.Context, tx pgx.Tx, op, generation, locks string) error {
	if err := exists(ctx, tx, op, generation); err != nil {
		return err
	}
	current, err := currentOf(ctx, tx)
	if err != nil {
		return err
	}
	return mayTakeOverFrom(ctx, tx, op, generation, current, locks)
}

func mayTakeOverFrom(ctx context.Context, tx pgx.Tx, op, generation, from, locks string) error {
	if locks != "" { // both at once, in the one order
		if _, err := tx.Exec(ctx, "SELECT FROM _pinflow.progress WHERE generation IN ($1, $2)"+locks, generation, from); err != nil {
			return err
		}
	}
	next, err := progress(ctx, tx, ofGeneration, generation)
	if err != nil {
		return err
	}
	current, err := progress(ctx, tx, ofGeneration, from)
	if err != nil {
		return err
	}
	behind := protocol.Behind(next, current)
	if len(behind) == 0 {
		return nil
	}
	var texts []string
	for _, tp := range sorted(behind) {
		texts = append(texts, fmt.Sprintf("%d records in %s", behind[tp], tp))
	}
	return &pinflow.Error{Op: op, On: generation, Kind: pinflow.Unavailable, Err: fmt.Errorf("it is behind the current one by %s", list(texts)),
		Hint: "Build it on, and try again when it has caught up."}
}

// Hold implements pinflow.GenerationStore. There is one at a time: the last one counts. Commits that are under way are waited for.
func (s *Store) Hold(ctx context.Context, generation string, until time.Time) error {
	const op = "hold the current generation"
	return s.write(ctx, op, generation, func(tx pgx.Tx) error {
		current, same, err := lockCurrent(ctx, tx, op, generation)
		if err != nil {
			return err
		}
		if same {
			return invalid(op, generation, "", errors.New("it is the current one itself"))
		}
		if _, err := tx.Exec(ctx, "SELECT FROM _pinflow.progress "+ofGeneration+inOrder, current); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM _pinflow.hold"); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO _pinflow.hold VALUES ($1, $2)", generation, until)
		return err
	})
}

// DropGeneration implements pinflow.GenerationStore. What others have built on its tables is not dropped: then it is an Exists error.
func (s *Store) DropGeneration(ctx context.Context, generation string) error {
	const op = "drop generation"
	err := s.besideReaders(ctx, op, generation, func(tx pgx.Tx) error {
		_, same, err := lockCurrent(ctx, tx, op, generation)
		if err != nil {
			return err
		}
		if same {
			return invalid(op, generation, "Switch to another one first.", errors.New("readers read this one"))
		}
		if err := noDependents(ctx, tx, op, generation); err != nil {
			return err
		}
		if err := run(ctx, tx, "DROP SCHEMA "+schemaOf(generation)+" CASCADE"); err != nil {
			return err
		}
		for _, t := range []string{"progress", "installed", "comparisons", "reports", "hold", "generations"} {
			if _, err := tx.Exec(ctx, "DELETE FROM _pinflow."+t+" WHERE generation = $1", generation); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.forget(generation)
	}
	return err
}

// noDependents refuses to drop a generation on whose tables somebody has built something.
func noDependents(ctx context.Context, tx pgx.Tx, op, generation string) error {
	const query = `SELECT DISTINCT r.ev_class::regclass::text FROM pg_class AS t
		JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_rewrite'::regclass
		JOIN pg_rewrite AS r ON r.oid = d.objid JOIN pg_class AS c ON c.oid = r.ev_class
		WHERE t.relnamespace = $1::text::regnamespace AND c.relnamespace <> t.relnamespace ORDER BY 1`
	rows, err := tx.Query(ctx, query, schemaOf(generation))
	if err != nil {
		return err
	}
	dependents, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(dependents) == 0 {
		return err
	}
	return &pinflow.Error{Op: op, On: generation, Kind: pinflow.Exists, Err: fmt.Errorf("its tables are used by %s", strings.Join(dependents, ", ")),
		Hint: "Drop what others have built on them: Pinflow drops nothing that it has not made."}
}

// look runs f in one transaction that reads, and so on one snapshot.
func (s *Store) look(ctx context.Context, op, on string, f func(tx pgx.Tx) error) error {
	return failed(op, on, s.soon(ctx, func(ctx context.Context) error {
		tx, err := s.db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return err
		}
		defer s.rollBack(ctx, tx)
		return f(tx)
	}))
}

// Generations implements pinflow.GenerationStore.
func (s *Store) Generations(ctx context.Context) (all []pinflow.Generation, err error) {
	err = s.look(ctx, "list generations", s.place, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT g.generation, coalesce(g.generation = (SELECT current FROM _pinflow.store), false), g.made_at,
			(SELECT count(*) FROM _pinflow.installed AS i WHERE i.generation = g.generation) FROM _pinflow.generations AS g ORDER BY g.made_at, g.generation`)
		if err != nil {
			return err
		}
		all = nil
		var g pinflow.Generation
		if _, err := pgx.ForEachRow(rows, []any{&g.Name, &g.Current, &g.MadeAt, &g.Installed}, func() error {
			g.MadeAt = g.MadeAt.UTC()
			all = append(all, g)
			return nil
		}); err != nil {
			return err
		}
		for i := range all {
			if all[i].Positions, err = progress(ctx, tx, ofGeneration, all[i].Name); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// PlanOf implements pinflow.GenerationStore.
func (s *Store) PlanOf(ctx context.Context, generation string) (p *pinflow.Plan, err error) {
	err = s.soon(ctx, func(ctx context.Context) (err error) { p, err = planOf(ctx, s.db, generation); return err })
	return p, failed("read plan", "generation "+generation, err)
}

func planOf(ctx context.Context, q querier, generation string) (*pinflow.Plan, error) {
	var text string
	err := q.QueryRow(ctx, "SELECT plan FROM _pinflow.generations WHERE generation = $1", generation).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, &pinflow.Error{Op: "read plan", On: "generation " + generation, Kind: pinflow.NotFound, Err: errors.New("the store has no such generation")}
	}
	if err != nil {
		return nil, err
	}
	var p pinflow.Plan
	return &p, json.Unmarshal([]byte(text), &p)
}
