package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// readerSuffix ends the name of the role that may only read.
const readerSuffix = "_reader"

// makeReader makes the role that may only read, which belongs to the whole server. Without the right to make roles the store goes on without one.
func (s *Store) makeReader(ctx context.Context, pipeline string) {
	var there, may bool
	const look = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolcreaterole OR rolsuper))"
	err := s.db.QueryRow(ctx, look, pipeline+readerSuffix).Scan(&there, &may)
	if err == nil && !there && may {
		_, err = s.db.Exec(ctx, "CREATE ROLE "+quote(pipeline+readerSuffix)+" NOLOGIN")
		if c := code(err); c == "42710" || c == "23505" { // somebody else just did
			err = nil
		}
	}
	if err != nil || !there && !may {
		s.o.Log.Info("there is no role that may only read; doctor tells how to make one", "role", pipeline+readerSuffix, "error", err)
	}
}

// ReaderGrants are the statements by which a role may read the stable views and the store's own tables, which tell positions, and nothing else.
func ReaderGrants(pipeline, role string) []string {
	to := " TO " + quote(role)
	return []string{
		"GRANT USAGE ON SCHEMA " + quote(pipeline) + ", _pinflow" + to,
		"GRANT SELECT ON ALL TABLES IN SCHEMA " + quote(pipeline) + ", _pinflow" + to,
	}
}

// grantReader lets the role read, if there is one and this user may grant.
func (s *Store) grantReader(ctx context.Context, tx pgx.Tx, pipeline string) error {
	role := pipeline + readerSuffix
	var there bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&there); err != nil || !there {
		return err
	}
	for _, statement := range ReaderGrants(pipeline, role) {
		if done, err := try(ctx, tx, statement, "42501"); err != nil {
			return err
		} else if !done {
			s.o.Log.Info(fmt.Sprintf("%s may not be granted the right to read", role), "statement", statement)
		}
	}
	return nil
}

// CanRead tells what a role lacks to read the stable views; nil if nothing. A role that there is not lacks itself.
func (s *Store) CanRead(ctx context.Context, role string) ([]string, error) {
	const query = `WITH p AS (SELECT pipeline FROM _pinflow.store WHERE pipeline IS NOT NULL)
		SELECT 'the role ' || $1 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)
		UNION ALL SELECT 'USAGE on schema ' || nspname FROM pg_namespace, pg_roles WHERE rolname = $1 AND nspname IN (SELECT pipeline FROM p UNION SELECT '_pinflow') AND NOT has_schema_privilege(rolname, nspname, 'USAGE')
		UNION ALL SELECT 'SELECT on ' || c.oid::regclass FROM pg_class AS c, pg_roles WHERE rolname = $1 AND relkind IN ('v', 'r')
			AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN (SELECT pipeline FROM p UNION SELECT '_pinflow')) AND NOT has_table_privilege(rolname, c.oid, 'SELECT')`
	rows, err := s.db.Query(ctx, query, role)
	if err != nil {
		return nil, failed("read rights", s.place, err)
	}
	lacks, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return lacks, failed("read rights", s.place, err)
}
