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

// keyIndex is the index by which the rows of an entities table are found. Text can be longer than what a btree holds, a hash is not.
func (t *table) keyIndex() string {
	if len(t.Key) == 1 {
		return "hash (" + quote(t.Key[0]) + ")"
	}
	return "btree (" + keyHash(t.Key, "") + ")"
}

// keyHash is an expression that is the same for the same key.
func keyHash(key []string, alias string) string {
	return "hash_record_extended(ROW(" + prefixed(alias, key) + "), 0)"
}

// sameKey is the condition that two rows of an entities table have the same key, in a form that the index answers. No part of a key is NULL.
func (t *table) sameKey(a, b string) string {
	var conditions []string
	if len(t.Key) > 1 {
		conditions = append(conditions, keyHash(t.Key, a)+" = "+keyHash(t.Key, b))
	}
	for _, k := range quoted(t.Key) {
		conditions = append(conditions, a+"."+k+" = "+b+"."+k)
	}
	return strings.Join(conditions, " AND ")
}

// prefixed lists names as columns of alias, "" for none.
func prefixed(alias string, names []string) string {
	all := quoted(names)
	if alias != "" {
		for i := range all {
			all[i] = alias + "." + all[i]
		}
	}
	return list(all)
}

// stageOf names the temporary table in which a commit's rows of an entities table wait, one per connection.
func (g *generation) stageOf(t *table) string {
	return tempName(fmt.Sprintf("stage %d of %s", slices.Index(g.order, t), g.name))
}

// makeStages makes the temporary tables that the changes need, unless the connection has them.
func (c *commit) makeStages(ctx context.Context) error {
	for _, change := range c.d.Changes {
		t := c.g.tables[change.Table]
		if t == nil || t.Kind != pinflow.Entities {
			return invalid("commit", change.Table, "", errors.New("the generation has no such table of entities"))
		}
		stage := c.g.stageOf(t)
		if c.conn.PgConn().CustomData()[stage] != nil {
			continue
		}
		columns, err := columnList(t.columns)
		if err != nil {
			return err
		}
		// A commit that was given up has left the table as it was.
		make := "CREATE TEMPORARY TABLE IF NOT EXISTS " + stage + " " + columns + " ON COMMIT DELETE ROWS"
		if err := c.s.answered(ctx, func(ctx context.Context) error { return runOn(ctx, c.conn, make) }); err != nil {
			return err
		}
		c.conn.PgConn().CustomData()[stage] = true
	}
	return nil
}

// stage copies the rows of a change.
func (c *commit) stage(ctx context.Context, change *pinflow.Change) error {
	t := c.g.tables[change.Table]
	_, err := c.s.copyInto(ctx, c.conn, c.g.stageOf(t), t.columns, change.Rows, nil)
	return err
}

// change looks up the rows held, behind the fence, asks for the deltas and adds them. Which rows then stand is left for the end.
func (c *commit) change(ctx context.Context, change *pinflow.Change) error {
	t := c.g.tables[change.Table]
	stage := c.g.stageOf(t)
	held, err := c.lookUp(ctx, t, stage, change)
	if err != nil {
		return err
	}
	deltas, err := change.Deltas(ctx, held)
	if err != nil {
		return err
	}
	c.last.Queue(t.standSQL(stage, change.Single))
	return c.add(ctx, deltas)
}

// lookUp reads some columns of the rows that stand for the keys of other rows.
func (c *commit) lookUp(ctx context.Context, t *table, stage string, change *pinflow.Change) (relation, error) {
	keys := "SELECT DISTINCT " + prefixed("", t.Key) + " FROM " + stage
	if change.Single {
		keys = "SELECT " + prefixed("", t.Key) + " FROM " + stage
	}
	query := "SELECT " + prefixed("e", namesOf(change.Before)) + " FROM (" + keys + ") AS r JOIN " + t.name + " AS e ON " + t.sameKey("e", "r")
	var held relation
	err := c.s.answered(ctx, func(ctx context.Context) (err error) {
		held, err = readRows(ctx, c.conn, change.Before, query)
		return err
	})
	return held, err
}

// byIndex has the server find rows of keys by the index, however large or small it takes the tables to be: it knows nothing of the keys in a
// temporary table, and would rather read and sort all there is.
var byIndex = [...]string{"SET LOCAL enable_hashjoin = off", "SET LOCAL enable_mergejoin = off"}

// standSQL lets rows stand for their keys: with keep latest the last of each in place of the one held, with keep first the
// first of each that is not held.
func (t *table) standSQL(stage string, single bool) string {
	key, order, names := prefixed("", t.Key), "DESC", namesOf(t.columns)
	if t.Keep == "first" {
		order = "ASC"
	}
	rows := stage
	if !single {
		rows = "(SELECT DISTINCT ON (" + key + ") * FROM " + stage + " ORDER BY " + key + ", _offset " + order + ")"
	}
	text := "MERGE INTO " + t.name + " AS e USING " + rows + " AS r ON " + t.sameKey("e", "r") + " WHEN NOT MATCHED THEN INSERT VALUES (" + prefixed("r", names) + ")"
	if t.Keep == "first" {
		return text
	}
	var sets []string
	for _, name := range names {
		if !slices.Contains(t.Key, name) {
			sets = append(sets, quote(name)+" = r."+quote(name))
		}
	}
	return text + " WHEN MATCHED THEN UPDATE SET " + list(sets)
}

// relation is rows in memory.
type relation [][]any

// Scan implements pinflow.Relation.
func (r relation) Scan(ctx context.Context, f func(row []any) error) error {
	for _, row := range r {
		if err := f(row); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// readRows reads all rows of a query, with values as pinflow.Relation describes them.
func readRows(ctx context.Context, conn *pgx.Conn, columns []pinflow.Column, query string) (relation, error) {
	rows, err := conn.Query(ctx, query, pgx.QueryResultFormats{pgx.BinaryFormatCode})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var decode []decoder
	all := relation{}
	for rows.Next() {
		if decode == nil {
			if decode, err = decoders(rows.FieldDescriptions(), columns, forRelation); err != nil {
				return nil, err
			}
		}
		row := make([]any, len(columns))
		for i, raw := range rows.RawValues() {
			if raw == nil {
				continue
			}
			if row[i], err = decode[i](raw); err != nil {
				return nil, err
			}
		}
		all = append(all, row)
	}
	return all, rows.Err()
}
