package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
)

// migrations bring the store's own tables from version i to i+1. A step that has been released is never changed.
var migrations = []string{
	`CREATE TABLE _pinflow.generations (generation text PRIMARY KEY, tables text NOT NULL, views text NOT NULL, plan text NOT NULL, made_at timestamptz NOT NULL);
	CREATE TABLE _pinflow.progress (generation text, topic text, "partition" integer, next_offset bigint NOT NULL, period bigint NOT NULL,
		PRIMARY KEY (generation, topic, "partition")) WITH (fillfactor = 50);
	CREATE TABLE _pinflow.topics (topic text PRIMARY KEY, topic_id text NOT NULL);
	CREATE TABLE _pinflow.installed (generation text, period bigint, installed_at timestamptz NOT NULL, ranges text NOT NULL, parts text NOT NULL,
		PRIMARY KEY (generation, period));
	CREATE TABLE _pinflow.comparisons (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, generation text NOT NULL, period bigint NOT NULL, compared_at timestamptz NOT NULL,
		why text NOT NULL, "rows" bigint NOT NULL, differing bigint NOT NULL, tables text NOT NULL, acknowledged boolean NOT NULL);
	CREATE TABLE _pinflow.hold (generation text NOT NULL, until timestamptz NOT NULL);
	CREATE TABLE _pinflow.reports (generation text, report text, as_of bigint NOT NULL, made_at timestamptz NOT NULL, "rows" bigint NOT NULL,
		PRIMARY KEY (generation, report));
	CREATE FUNCTION _pinflow.as_json(payload bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog AS $$
		BEGIN RETURN convert_from(payload, 'UTF8')::jsonb; EXCEPTION WHEN others THEN RETURN NULL; END $$;`,
}

// migrationLock is the key of the advisory lock under which the store's own tables are changed.
const migrationLock = 0x70696e666c6f7700 // "pinflow"

// migrate brings the store's own tables to the version that the steps lead to. Who finds them there writes nothing, and so needs no right to.
func (s *Store) migrate(ctx context.Context, steps []string) error {
	version, err := storeVersion(ctx, s.db)
	if err == nil && version == len(steps) {
		return nil
	}
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		version, err := storeVersion(ctx, tx)
		if err != nil {
			return err
		}
		if version > len(steps) {
			return s.newer(version, len(steps))
		}
		return apply(ctx, tx, version, steps)
	})
}

// apply carries out the steps from a version on. -1 is a database without a store.
func apply(ctx context.Context, tx pgx.Tx, version int, steps []string) error {
	if version < 0 {
		const first = `CREATE SCHEMA _pinflow; CREATE TABLE _pinflow.store (version integer NOT NULL, pipeline text, current text); INSERT INTO _pinflow.store VALUES (0, NULL, NULL)`
		if _, err := tx.Exec(ctx, first); err != nil {
			return err
		}
		version = 0
	}
	for _, step := range steps[version:] {
		if _, err := tx.Exec(ctx, step); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, "UPDATE _pinflow.store SET version = $1", len(steps))
	return err
}

// storeVersion returns -1 for a database without a store.
func storeVersion(ctx context.Context, q querier) (version int, err error) {
	// Not to_regclass: a session remembers that a schema was not there, and is not told of another's until it locks a table.
	const look = "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '_pinflow' AND c.relname = 'store')"
	var there bool
	if err := q.QueryRow(ctx, look).Scan(&there); err != nil || !there {
		return -1, err
	}
	err = q.QueryRow(ctx, "SELECT version FROM _pinflow.store").Scan(&version)
	if errors.Is(err, pgx.ErrNoRows) {
		return -1, errors.New("_pinflow.store has no row: it was emptied by somebody else")
	}
	return version, err
}

// querier is what reads: a pool, a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// schemaOf names the schema of a generation's tables, quoted.
func schemaOf(generation string) string { return quote("_gen_" + generation) }

// named is the qualified name of a table of a generation, quoted.
func named(generation, table string) string { return schemaOf(generation) + "." + quote(table) }

// reportTable names the table of a report's rows.
func reportTable(report string) string { return "report:" + report }

// quote returns name as a quoted SQL identifier.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal returns s as an SQL string. It is for the few places that take no parameters.
func literal(s string) string {
	if strings.Contains(s, `\`) {
		return " E'" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "'", "''") + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quote(n)
	}
	return out
}

// maxName is how many bytes of a name PostgreSQL keeps.
const maxName = 63
