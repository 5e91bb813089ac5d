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

// add appends a relation's rows to a table and returns how many there were. What lies in a table of
// the same instance is read where it is; anything else comes through Go.
func (s *Store) add(ctx context.Context, tx *sql.Tx, t *table, rows pinflow.Relation) (int64, error) {
	from, ok := rows.(*duck.Table)
	if !ok || from.Instance != s.o.Instance {
		return s.addScanned(ctx, tx, t, rows)
	}
	names := make([]string, len(from.Columns))
	for i, c := range from.Columns {
		names[i] = duck.Quote(c.Name)
	}
	return insert(ctx, tx, t, strings.Join(names, ", "), from.Name)
}

func insert(ctx context.Context, tx *sql.Tx, t *table, columns, from string) (int64, error) {
	result, err := tx.ExecContext(ctx, "INSERT INTO "+t.target()+" SELECT "+columns+" FROM "+from)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// staged is the temporary table that holds scanned rows on their way.
const staged = "_pinflow_staged"

func (s *Store) addScanned(ctx context.Context, tx *sql.Tx, t *table, rows pinflow.Relation) (int64, error) {
	columns := t.columns()
	stage, casts := make([]pinflow.Column, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		stage[i] = pinflow.Column{Name: c.Name, Type: stagedType(c.Type)}
		casts[i] = duck.Quote(c.Name) + "::" + c.Type
	}
	if _, err := tx.ExecContext(ctx, "CREATE OR REPLACE TEMP TABLE "+staged+" "+columnList(stage)); err != nil {
		return 0, err
	}
	err := s.writer.Raw(func(c any) error { return fill(ctx, c.(driver.Conn), columns, rows) })
	if err != nil {
		return 0, err
	}
	n, err := insert(ctx, tx, t, strings.Join(casts, ", "), "temp."+staged)
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, "DROP TABLE temp."+staged)
	return n, err
}

// fill appends the rows to the staging table.
func fill(ctx context.Context, c driver.Conn, columns []pinflow.Column, rows pinflow.Relation) error {
	appender, err := duckdb.NewAppender(c, "temp", "main", staged)
	if err != nil {
		return err
	}
	values := make([]driver.Value, len(columns))
	err = rows.Scan(ctx, func(row []any) error {
		if len(row) != len(columns) {
			return fmt.Errorf("a row has %d values, the table %d columns", len(row), len(columns))
		}
		for i, v := range row {
			values[i] = v
		}
		return appender.AppendRow(values...)
	})
	if closed := appender.Close(); err == nil {
		err = closed
	}
	return err
}

// stagedType is the type in which values of a type come through Go: text for what Go has no type for.
func stagedType(columnType string) string {
	element := strings.TrimRight(columnType, "[]")
	lists := columnType[len(element):]
	switch base, _, _ := strings.Cut(strings.ToUpper(element), "("); strings.TrimSpace(base) {
	case "DECIMAL", "NUMERIC", "JSON", "UUID", "TIME", "INTERVAL":
		return "VARCHAR" + lists
	case "UBIGINT", "UHUGEINT":
		return "HUGEINT" + lists
	}
	return columnType
}
