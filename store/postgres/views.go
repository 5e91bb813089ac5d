package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
)

// pointViews makes the stable views those given, and their generation the current one. A view of which only rows change is
// replaced where it stands, so that what others have built on it goes on; others are made anew, with the rights that were granted on them.
func (s *Store) pointViews(ctx context.Context, tx pgx.Tx, pipeline, generation string, views []pinflow.View) error {
	if err := run(ctx, tx, "CREATE SCHEMA IF NOT EXISTS "+quote(pipeline)); err != nil {
		return err
	}
	views = append(slices.Clone(views), jsonView(views)...)
	old, err := stableViews(ctx, tx, pipeline)
	if err != nil {
		return err
	}
	for _, name := range old {
		if !slices.ContainsFunc(views, func(v pinflow.View) bool { return v.Name == name }) {
			if err := dropView(ctx, tx, pipeline, name); err != nil {
				return err
			}
		}
	}
	for _, v := range views {
		if v.Postgres == "" {
			return invalid("make the views", v.Name, "Compile the definition anew.", errors.New("the plan has no text for PostgreSQL"))
		}
		text := strings.ReplaceAll(v.Postgres, "{gen}", schemaOf(generation))
		if err := placeView(ctx, tx, pipeline, v.Name, text, slices.Contains(old, v.Name)); err != nil {
			return fmt.Errorf("view %s: %w", v.Name, err)
		}
	}
	if err := s.grantReader(ctx, tx, pipeline); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "UPDATE _pinflow.store SET pipeline = $1, current = $2", pipeline, generation)
	return err
}

// jsonView is the rejects with their payloads as jsonb, if the plan has nothing of that name.
func jsonView(views []pinflow.View) []pinflow.View {
	const name = "rejects_json"
	i := slices.IndexFunc(views, func(v pinflow.View) bool { return v.Name == "rejects" })
	if i < 0 || slices.ContainsFunc(views, func(v pinflow.View) bool { return v.Name == name }) || !slices.Contains(namesOf(views[i].Columns), "payload") {
		return nil
	}
	return []pinflow.View{{Name: name, Postgres: "SELECT *, _pinflow.as_json(payload) AS payload_json FROM (" + views[i].Postgres + ") AS r"}}
}

// placeView makes a view, in the place of the one that there is.
func placeView(ctx context.Context, tx pgx.Tx, schema, name, text string, there bool) error {
	at := quote(schema) + "." + quote(name)
	if !there {
		return run(ctx, tx, "CREATE VIEW "+at+" AS "+text)
	}
	replaced, err := try(ctx, tx, "CREATE OR REPLACE VIEW "+at+" AS "+text, "42P16")
	if err != nil || replaced {
		return err
	}
	grants, err := grantsOn(ctx, tx, schema, name)
	if err != nil {
		return err
	}
	if err := dropView(ctx, tx, schema, name); err != nil {
		return err
	}
	return run(ctx, tx, append([]string{"CREATE VIEW " + at + " AS " + text}, grants...)...)
}

// try runs a statement that may fail with one error without harm to the transaction; then done is false.
func try(ctx context.Context, tx pgx.Tx, statement, with string) (done bool, err error) {
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return run(ctx, tx, statement) })
	if code(err) == with {
		return false, nil
	}
	return err == nil, err
}

func dropView(ctx context.Context, tx pgx.Tx, schema, name string) error {
	at := quote(schema) + "." + quote(name)
	done, err := try(ctx, tx, "DROP VIEW "+at, "2BP01")
	if err != nil || done {
		return err
	}
	dependents, err := dependentsOf(ctx, tx, schema, name)
	if err != nil {
		return err
	}
	return &pinflow.Error{Op: "make the views", On: at, Kind: pinflow.Exists, Err: fmt.Errorf("its columns change, and it is used by %s", strings.Join(dependents, ", ")),
		Hint: "Drop what others have built on the view, and build it again afterwards: Pinflow drops nothing that it has not made."}
}

// stableViews lists the views of the pipeline's schema.
func stableViews(ctx context.Context, tx pgx.Tx, pipeline string) ([]string, error) {
	rows, err := tx.Query(ctx, "SELECT relname::text FROM pg_class WHERE relnamespace = $1::text::regnamespace AND relkind = 'v' AND pg_has_role(relowner, 'USAGE') ORDER BY relname", quote(pipeline))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// grantsOn are the statements that grant again what has been granted on a view.
func grantsOn(ctx context.Context, tx pgx.Tx, schema, name string) ([]string, error) {
	const query = `SELECT 'GRANT ' || a.privilege_type || ' ON ' || c.oid::regclass || ' TO ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
			|| CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
		FROM pg_class AS c, aclexplode(c.relacl) AS a WHERE c.oid = $1::text::regclass AND a.grantee <> c.relowner ORDER BY 1`
	rows, err := tx.Query(ctx, query, quote(schema)+"."+quote(name))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// dependentsOf names what others have built on a view.
func dependentsOf(ctx context.Context, tx pgx.Tx, schema, name string) ([]string, error) {
	const query = `SELECT DISTINCT r.ev_class::regclass::text FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
		WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::text::regclass AND r.ev_class <> d.refobjid ORDER BY 1`
	rows, err := tx.Query(ctx, query, quote(schema)+"."+quote(name))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
