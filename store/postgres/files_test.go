package postgres_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// files are a folder of Parquet files, and a DuckDB that reads and writes them.
type files struct {
	instance *duck.Instance
	made     atomic.Int64
}

func newFiles(t testing.TB) *files {
	t.Helper()
	i, err := duck.Open(t.Context(), duck.Options{Dir: filepath.Join(t.TempDir(), "files"), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return &files{instance: i}
}

// part puts rows into a file.
func (f *files) part(t testing.TB, columns []pinflow.Column, rows [][]any) pinflow.Part {
	t.Helper()
	file := filepath.Join(f.instance.Dir(), fmt.Sprintf("part%d.parquet", f.made.Add(1)))
	n, err := duck.WriteParquet(t.Context(), f.instance.DB, selectRows(columns, rows), columns, file)
	if err != nil {
		t.Fatal(err)
	}
	return pinflow.Part{File: file, Rows: n}
}

// selectRows is a query that yields rows.
func selectRows(columns []pinflow.Column, rows [][]any) string {
	tuples := make([]string, len(rows))
	for n, row := range rows {
		values := make([]string, len(row))
		for i, v := range row {
			values[i] = "CAST(" + duckLiteral(v) + " AS " + columns[i].Type + ") AS " + duck.Quote(columns[i].Name)
		}
		tuples[n] = "SELECT " + strings.Join(values, ", ")
	}
	return strings.Join(tuples, " UNION ALL ")
}

// duckLiteral is a value in DuckDB's words.
func duckLiteral(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = duckLiteral(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		if strings.Contains(v, "\x00") { // the driver's SQL would end there
			return fmt.Sprintf("decode(unhex('%x'))", v)
		}
	case []byte:
		return fmt.Sprintf("unhex('%x')", v)
	case time.Time:
		return "'" + v.Format(time.RFC3339Nano) + "'"
	}
	return duck.Literal(fmt.Sprint(v))
}
