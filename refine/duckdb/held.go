package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// columnsRead adds to some names, in lower case, those of the columns that a SELECT speaks of.
func columnsRead(ctx context.Context, conn *sql.Conn, text string, to map[string]bool) error {
	tree, err := parse(ctx, conn, text)
	if err != nil {
		return err
	}
	addNames(tree, to)
	return nil
}

// addNames goes through a syntax tree.
func addNames(n any, to map[string]bool) {
	switch n := n.(type) {
	case []any:
		for _, child := range n {
			addNames(child, to)
		}
	case map[string]any:
		names, _ := n["column_names"].([]any)
		for _, name := range names {
			if text, ok := name.(string); ok {
				to[strings.ToLower(text)] = true
			}
		}
		for _, child := range n {
			addNames(child, to)
		}
	}
}

// nameOf returns what stands for the rows held in FROM: where they lie if that is on this instance, else a table to
// which they are copied.
func (e *entity) nameOf(ctx context.Context, instance *duck.Instance, held pinflow.Relation) (string, error) {
	if t, ok := held.(*duck.Table); ok && t.Instance == instance {
		return t.Name, nil
	}
	staged, casts := make([]pinflow.Column, len(e.before)), make([]string, len(e.before))
	for i, c := range e.before {
		staged[i] = pinflow.Column{Name: c.Name, Type: passing(c.Type)}
		casts[i] = fmt.Sprintf("CAST(%s AS %s) AS %[1]s", duck.Quote(c.Name), c.Type)
	}
	if _, err := e.conn.ExecContext(ctx, createTable(e.held, staged)); err != nil {
		return "", err
	}
	if err := e.conn.Raw(func(c any) error { return e.stage(ctx, c.(driver.Conn), held) }); err != nil {
		return "", err
	}
	return "(SELECT " + strings.Join(casts, ", ") + " FROM " + e.held + ")", nil
}

// stage appends the rows held to their table.
func (e *entity) stage(ctx context.Context, c driver.Conn, held pinflow.Relation) error {
	appender, err := duckdb.NewAppender(c, e.scratch, "main", "held")
	if err != nil {
		return err
	}
	values := make([]driver.Value, len(e.before))
	err = held.Scan(ctx, func(row []any) error {
		if len(row) != len(values) {
			return fmt.Errorf("a row held of %s has %d values, wanted were %d", e.model.Name, len(row), len(values))
		}
		for i, v := range row {
			values[i] = v
		}
		return appender.AppendRow(values...)
	})
	return firstOf(err, appender.Close())
}

// passing is the type in which values of a type come through Go: text for what Go has no type for.
func passing(typ string) string {
	if strings.HasPrefix(typ, "DECIMAL(") {
		return "VARCHAR" + strings.Repeat("[]", strings.Count(typ, "[]"))
	}
	return typ
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
