package duckdb_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/store/duckdb"
	"github.com/pinflow/pinflow/store/storetest"
)

func TestConformance(t *testing.T) {
	for name, o := range map[string]duckdb.Options{"": {}, "/MaintainAlways": {Recent: 1, WAL: 32 << 10}} {
		t.Run("DuckDB"+name, func(t *testing.T) {
			storetest.Run(t, func(t testing.TB) storetest.Env { return newPlace(t, o).env() })
		})
	}
}

// place is a file, opened one after the other by the stores of a test.
type place struct {
	path     string
	options  duckdb.Options
	memory   int64
	instance *duck.Instance
	scratch  string
	tables   int
	parts    atomic.Int64
}

func newPlace(t testing.TB, o duckdb.Options) *place {
	return &place{path: filepath.Join(t.TempDir(), "shop.duckdb"), options: o}
}

func (p *place) env() storetest.Env {
	return storetest.Env{
		Open:   func(t testing.TB) storetest.Store { return p.open(t) },
		Native: p.native,
		Part:   p.part,
	}
}

// part puts rows into a Parquet file.
func (p *place) part(t testing.TB, columns []pinflow.Column, rows [][]any) pinflow.Part {
	t.Helper()
	table := p.native(t, columns, rows).(*duck.Table)
	file := filepath.Join(p.instance.Dir(), fmt.Sprintf("part%d.parquet", p.parts.Add(1)))
	if _, err := p.instance.DB.ExecContext(t.Context(), "COPY "+table.Name+" TO "+duck.Literal(file)+" (FORMAT parquet)"); err != nil {
		t.Fatal(err)
	}
	return pinflow.Part{File: file, Rows: int64(len(rows))}
}

// closing is a store that takes its instance with it.
type closing struct {
	*duckdb.Store
	instance *duck.Instance
	closed   bool
}

func (c *closing) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	if err := c.Store.Close(); err != nil {
		return err
	}
	return c.instance.Close()
}

func (p *place) open(t testing.TB) *closing {
	t.Helper()
	var err error
	if p.instance, err = duck.Open(t.Context(), duck.Options{Path: p.path, Threads: 2, Memory: p.memory, Dir: filepath.Join(filepath.Dir(p.path), "spool")}); err != nil {
		t.Fatal(err)
	}
	o := p.options
	o.Instance = p.instance
	s, err := duckdb.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	p.scratch = ""
	c := &closing{Store: s, instance: p.instance}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// native puts rows into a table of a scratch database.
func (p *place) native(t testing.TB, columns []pinflow.Column, rows [][]any) pinflow.Relation {
	t.Helper()
	var err error
	if p.scratch == "" {
		if p.scratch, err = p.instance.Scratch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.tables++
	table := &duck.Table{Instance: p.instance, Name: fmt.Sprintf("%s.t%d", p.scratch, p.tables), Columns: columns}
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = duck.Quote(c.Name) + " " + c.Type
	}
	tuples := make([]string, len(rows))
	for n, row := range rows {
		values := make([]string, len(row))
		for i, v := range row {
			values[i] = literal(v) + "::" + columns[i].Type
		}
		tuples[n] = "(" + strings.Join(values, ", ") + ")"
	}
	statement := "CREATE TABLE " + table.Name + " (" + strings.Join(list, ", ") + "); INSERT INTO " + table.Name + " VALUES " + strings.Join(tuples, ", ")
	if _, err := p.instance.DB.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	return table
}

func literal(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = literal(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []byte:
		return "unhex('" + fmt.Sprintf("%x", v) + "')"
	case time.Time:
		return "'" + v.Format(time.RFC3339Nano) + "'"
	default:
		return duck.Literal(fmt.Sprint(v))
	}
}
