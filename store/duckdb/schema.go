package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"

	"github.com/pinflow/pinflow/internal/duck"
)

// own is the schema of the store's own tables.
const own = "_pinflow"

// migrations bring the store's own tables from version i to i+1. A step that has been released is never changed.
var migrations = []string{
	`CREATE SCHEMA _pinflow;
	CREATE TABLE _pinflow.store (version INTEGER NOT NULL, pipeline VARCHAR, current VARCHAR);
	INSERT INTO _pinflow.store VALUES (0, NULL, NULL);
	CREATE TABLE _pinflow.generations (generation VARCHAR NOT NULL, tables VARCHAR NOT NULL, views VARCHAR NOT NULL, made_at TIMESTAMPTZ NOT NULL);
	CREATE TABLE _pinflow.progress (generation VARCHAR NOT NULL, topic VARCHAR NOT NULL, "partition" INTEGER NOT NULL,
		next_offset BIGINT NOT NULL, period BIGINT NOT NULL);`,
	`CREATE TABLE _pinflow.topics (topic VARCHAR NOT NULL, topic_id VARCHAR NOT NULL);`,
	`ALTER TABLE _pinflow.generations ADD COLUMN plan VARCHAR;
	CREATE TABLE _pinflow.installed (generation VARCHAR NOT NULL, period BIGINT NOT NULL, installed_at TIMESTAMPTZ NOT NULL, ranges VARCHAR NOT NULL, parts VARCHAR NOT NULL);
	CREATE TABLE _pinflow.comparisons (id BIGINT NOT NULL, generation VARCHAR NOT NULL, period BIGINT NOT NULL, compared_at TIMESTAMPTZ NOT NULL, why VARCHAR NOT NULL,
		"rows" BIGINT NOT NULL, differing BIGINT NOT NULL, tables VARCHAR NOT NULL, acknowledged BOOLEAN NOT NULL);
	CREATE TABLE _pinflow.hold (generation VARCHAR NOT NULL, until TIMESTAMPTZ NOT NULL);
	CREATE TABLE _pinflow.reports (generation VARCHAR NOT NULL, report VARCHAR NOT NULL, as_of BIGINT NOT NULL, made_at TIMESTAMPTZ NOT NULL, "rows" BIGINT NOT NULL);`,
}

// migrate brings the store's own tables to this version.
func migrate(ctx context.Context, tx *sql.Tx, file string) error {
	version, err := storeVersion(ctx, tx)
	if err != nil {
		return err
	}
	if version > len(migrations) {
		return invalid("open store", file, "Open it with the version of Pinflow that wrote it, or a newer one.",
			fmt.Errorf("it has format version %d, this Pinflow knows up to %d", version, len(migrations)))
	}
	for _, step := range migrations[version:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return err
		}
	}
	if version < len(migrations) {
		_, err = tx.ExecContext(ctx, "UPDATE _pinflow.store SET version = "+strconv.Itoa(len(migrations)))
	}
	return err
}

// storeVersion returns 0 for a file without a store.
func storeVersion(ctx context.Context, tx *sql.Tx) (version int, err error) {
	var n int
	err = tx.QueryRowContext(ctx, `SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database()
		AND schema_name = '`+own+`' AND table_name = 'store'`).Scan(&n)
	if err != nil || n == 0 {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, "SELECT version FROM _pinflow.store").Scan(&version)
	return version, err
}

// schemaOf names the schema of a generation's tables, quoted.
func schemaOf(generation string) string { return duck.Quote("_gen_" + generation) }
