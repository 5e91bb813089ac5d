package duck_test

import (
	"context"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

func open(t *testing.T, o duck.Options) *duck.Instance {
	t.Helper()
	i, err := duck.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i
}

func TestSQLCannotLeaveItsFolder(t *testing.T) {
	dir, outside := filepath.Join(t.TempDir(), "spool"), filepath.Join(t.TempDir(), "secret.json")
	if err := os.WriteFile(outside, []byte(`{"a":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	i := open(t, duck.Options{Dir: dir})
	if err := os.WriteFile(filepath.Join(dir, "a.json"), []byte(`{"a":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := i.DB.Exec("SELECT * FROM read_json(" + duck.Literal(filepath.Join(dir, "a.json")) + ")"); err != nil {
		t.Errorf("reading a file of the folder: %v", err)
	}
	for _, q := range []string{
		"SELECT * FROM read_text(" + duck.Literal(outside) + ")",
		"COPY (SELECT 1) TO " + duck.Literal(outside),
		"ATTACH " + duck.Literal(outside+".duckdb") + " AS other",
		"SET memory_limit = '1GB'", "SET enable_external_access = true", "INSTALL httpfs",
	} {
		if _, err := i.DB.Exec(q); err == nil {
			t.Errorf("%s was allowed", q)
		}
	}
}

func TestConnectionsSpeakUTC(t *testing.T) {
	i := open(t, duck.Options{})
	for range 3 {
		c, err := i.DB.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var zone string
		if err := c.QueryRowContext(t.Context(), "SELECT current_setting('TimeZone')").Scan(&zone); err != nil || zone != "UTC" {
			t.Errorf("time zone %q, %v", zone, err)
		}
	}
}

func TestTableScansExactValues(t *testing.T) {
	i := open(t, duck.Options{})
	scratch, err := i.Scratch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table := &duck.Table{Instance: i, Name: scratch + ".t", Columns: []pinflow.Column{
		{Name: "h", Type: "HUGEINT"}, {Name: "d", Type: "DECIMAL(38,2)"}, {Name: "j", Type: "JSON"}, {Name: "l", Type: "VARCHAR[]"},
		{Name: "t", Type: "TIMESTAMPTZ"}, {Name: "n", Type: "BIGINT"}}}
	if _, err := i.DB.Exec("CREATE TABLE " + table.Name + ` AS SELECT 170141183460469231731687303715884105727::HUGEINT h,
		-1.05::DECIMAL(38,2) d, '{"b":12345678901234567890.10,"a":1}'::JSON j, ['x', NULL] l, TIMESTAMPTZ '2026-11-22 10:00:00Z' t, NULL::BIGINT n`); err != nil {
		t.Fatal(err)
	}
	huge, _ := new(big.Int).SetString("170141183460469231731687303715884105727", 10)
	want := []any{huge, "-1.05", `{"b":12345678901234567890.10,"a":1}`, []any{"x", nil}, time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), nil}
	err = table.Scan(t.Context(), func(row []any) error {
		if !reflect.DeepEqual(row, want) {
			t.Errorf("got %#v", row)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Detach(t.Context(), scratch); err != nil {
		t.Error(err)
	}
}

func TestFileThatIsNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.duckdb")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := duck.Open(t.Context(), duck.Options{Path: path}); pinflow.KindOf(err) != pinflow.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestFileNameHidesNoSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "it's", "pins.duckdb")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	i := open(t, duck.Options{Path: path})
	for range 3 {
		c, err := i.File.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, q := range []string{"CREATE SCHEMA IF NOT EXISTS pins", "CREATE OR REPLACE TABLE pins.t AS SELECT 1 AS a", "SELECT * FROM pins.t"} {
			if _, err := c.ExecContext(t.Context(), q); err != nil {
				t.Errorf("%s: %v", q, err)
			}
		}
	}
	if _, err := os.Stat(path + ".wal"); err != nil {
		t.Error(err)
	}
}

func TestDecimalsKeepTheirPlaces(t *testing.T) {
	i := open(t, duck.Options{})
	rows, err := i.DB.Query("SELECT v, v::VARCHAR FROM (SELECT (unnest([0, 1, -1, 5, -50, 100, 99999]) * p)::DECIMAL(38,4) AS v FROM (VALUES (1.00), (0.01), (0.50)) AS t(p))")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = duck.EachRow(rows, func(row []any) error {
		n++
		if row[0] != row[1] {
			t.Errorf("got %v, want %v", row[0], row[1])
		}
		return nil
	})
	if err != nil || n != 21 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// TestScratchWorkLeavesFileAlone checkpoints the file in the middle of a transaction that only works in memory.
func TestScratchWorkLeavesFileAlone(t *testing.T) {
	i := open(t, duck.Options{Path: filepath.Join(t.TempDir(), "a.duckdb")})
	if _, err := i.File.Exec("CREATE TABLE t AS SELECT 1 AS a"); err != nil {
		t.Fatal(err)
	}
	scratch, err := i.Scratch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tx, err := i.DB.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec("CREATE TABLE " + scratch + ".x AS SELECT upper('a') AS a"); err != nil {
		t.Fatal(err)
	}
	if _, err := i.File.Exec("UPDATE t SET a = 2"); err != nil {
		t.Fatal(err)
	}
	if _, err := i.File.Exec("CHECKPOINT"); err != nil {
		t.Error(err)
	}
}

func TestUsedCountsQueries(t *testing.T) {
	i := open(t, duck.Options{Memory: 128 << 20})
	idle, err := i.Used(t.Context())
	if err != nil || i.Memory() != 128<<20 {
		t.Fatalf("%d, %v", i.Memory(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := i.DB.ExecContext(ctx, "SELECT list(i) FROM range(300000000) AS r(i)")
		ended <- err
	}()
	for busy := idle; busy < idle+10<<20; {
		select {
		case err := <-ended:
			t.Fatalf("the list was not seen growing: %v", err)
		default:
		}
		if busy, err = i.Used(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-ended
}
