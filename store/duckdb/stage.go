package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// place returns rows as something that SQL reads: where they are if they lie in a table of the same instance, else in a
// table of the store's scratch database, through Go. release gives that table back. The columns have the names and types given.
func (s *Store) place(ctx context.Context, columns []pinflow.Column, rows pinflow.Relation) (from string, release func(), err error) {
	if at, ok := rows.(*duck.Table); ok && at.Instance == s.o.Instance {
		if len(at.Columns) != len(columns) {
			return "", nil, fmt.Errorf("the rows have %d columns, the table %d", len(at.Columns), len(columns))
		}
		return castTo(columns, at.Columns, at.Name), func() {}, nil
	}
	stage := make([]pinflow.Column, len(columns))
	for i, c := range columns {
		stage[i] = pinflow.Column{Name: c.Name, Type: stagedType(c.Type)}
	}
	name := s.scratchName()
	if _, err := s.o.Instance.DB.ExecContext(ctx, "CREATE TABLE "+s.scratch+"."+name+" "+columnList(stage)); err != nil {
		return "", nil, err
	}
	release = func() { s.drop(s.scratch + "." + name) }
	if err := s.fill(ctx, name, len(columns), rows); err != nil {
		release()
		return "", nil, err
	}
	return castTo(columns, stage, s.scratch+"."+name), release, nil
}

// castTo is a subquery in brackets that yields columns, out of those of another relation in the same order.
func castTo(columns, have []pinflow.Column, from string) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = duck.Quote(have[i].Name)
		if have[i].Type != c.Type {
			list[i] = "CAST(" + list[i] + " AS " + c.Type + ")"
		}
		list[i] += " AS " + duck.Quote(c.Name)
	}
	return "(SELECT " + strings.Join(list, ", ") + " FROM " + from + ")"
}

// scratchName is a name that no table in the scratch database has.
func (s *Store) scratchName() string { return "t" + strconv.FormatInt(s.placed.Add(1), 10) }

// makeTable fills a new table of the scratch database with a query's rows, as everybody sees them: not in the writer's transaction.
func (s *Store) makeTable(ctx context.Context, query string, args ...any) (name string, release func(), err error) {
	name = s.scratch + "." + s.scratchName()
	if _, err := s.o.Instance.DB.ExecContext(ctx, "CREATE TABLE "+name+" AS "+query, args...); err != nil {
		return "", nil, err
	}
	return name, func() { s.drop(name) }, nil
}

// drop gives a scratch table back. One that stays, for whatever reason, goes with the scratch database.
func (s *Store) drop(name string) {
	if _, err := s.o.Instance.DB.ExecContext(context.Background(), "DROP TABLE IF EXISTS "+name); err != nil {
		s.o.Log.Warn("a scratch table was not given back", "table", name, "error", err)
	}
}

// insert adds a query's rows to a table and returns how many there were.
func insert(ctx context.Context, tx *sql.Tx, into, query string) (int64, error) {
	result, err := tx.ExecContext(ctx, "INSERT INTO "+into+" "+query)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// fill appends the rows to a table of the scratch database.
func (s *Store) fill(ctx context.Context, name string, width int, rows pinflow.Relation) error {
	conn, err := s.o.Instance.DB.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		appender, err := duckdb.NewAppender(c.(driver.Conn), s.scratch, "main", name)
		if err != nil {
			return err
		}
		values := make([]driver.Value, width)
		err = rows.Scan(ctx, func(row []any) error {
			if len(row) != width {
				return fmt.Errorf("a row has %d values, the table %d columns", len(row), width)
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
	})
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
