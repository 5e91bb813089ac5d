package postgres

import (
	"bytes"
	"database/sql/driver"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// scanned is a relation that is read by Scan only.
type scanned struct{ pinflow.Relation }

// TestChunksAreTheSameBytes writes rows of every type by chunks and through Go values.
func TestChunksAreTheSameBytes(t *testing.T) {
	in, err := duck.Open(t.Context(), duck.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	columns := []pinflow.Column{{Name: "n", Type: "BIGINT"}}
	const table = "memory.main.odd"
	selects := "range AS n"
	for name, c := range map[string]struct{ columnType, value string }{
		"b": {"BOOLEAN", "n % 2 = 0"}, "i": {"INTEGER", "n - 5000"}, "f": {"DOUBLE", "[n / 7, 'inf'::DOUBLE, '-inf'::DOUBLE, -0.0][n % 4 + 1]"},
		"v": {"VARCHAR", "repeat('é' || chr((n % 4)::INTEGER), (n % 9)::INTEGER)"}, "w": {"VARCHAR", "'more than twelve bytes ' || n"}, "x": {"BLOB", "encode('a' || chr(0) || n)"},
		"t": {"TIMESTAMPTZ", "[to_timestamp(n - 1e9), 'infinity'::TIMESTAMPTZ, '-infinity'::TIMESTAMPTZ, '20000-01-01 (BC) 00:00:00+00'::TIMESTAMPTZ][n % 4 + 1]"}, "u": {"TIMESTAMP", "make_timestamp(n * 1000003)"},
		"d": {"DATE", "['2000-01-01'::DATE - n::INTEGER, 'infinity'::DATE, '-infinity'::DATE, '5000-01-01 (BC)'::DATE, '5881000-01-01'::DATE][n % 5 + 1]"},
		"h": {"HUGEINT", "[n, -n, n::HUGEINT * 1000000000000000000000 + n, -170141183460469231731687303715884105727][n % 4 + 1]"},
		"p": {"DECIMAL(4,2)", "(n % 100) / 100"}, "q": {"DECIMAL(9,4)", "n / -10000"}, "r": {"DECIMAL(18,0)", "n * 1000000007"}, "s": {"DECIMAL(38,10)", "(n - 500) * 1234567890123456.0123456789"},
		"l": {"VARCHAR[]", "[[], [''], ['a', NULL, 'long enough to lie elsewhere ' || n], NULL][n % 4 + 1]"}, "m": {"DECIMAL(38,2)[]", "[n, NULL, -n / 2]"}, "k": {"HUGEINT[]", "[n]"},
		"j": {"JSON", `'{"a":1.10}'`}, "y": {"TINYINT", "n % 100"}, "o": {"UBIGINT", "18446744073709551615 - n"},
	} {
		columns = append(columns, pinflow.Column{Name: name, Type: c.columnType})
		selects += ", CASE WHEN n % 11 <> 3 THEN CAST(" + c.value + " AS " + c.columnType + ") END AS " + name
	}
	if _, err := in.DB.ExecContext(t.Context(), "CREATE TABLE "+table+" AS SELECT "+selects+" FROM range(5000)"); err != nil {
		t.Fatal(err)
	}
	rows := &duck.Table{Instance: in, Name: table, Columns: columns, Order: "n"}
	write := func(rows pinflow.Relation) ([]byte, int64) {
		var out bytes.Buffer
		var sum int64
		encode, err := encoders(columns)
		if err != nil {
			t.Fatal(err)
		}
		w := &copyWriter{to: &out, encode: encode}
		if err := w.all(t.Context(), rows, columns, func(n int64) { sum += n }); err != nil {
			t.Fatal(err)
		}
		return out.Bytes(), sum
	}
	fast, sum := write(rows)
	slow, want := write(scanned{rows})
	if sum != want || want != 5000*4999/2 {
		t.Errorf("the first column's sum is %d and %d", sum, want)
	}
	if !bytes.Equal(fast, slow) {
		t.Errorf("%d bytes by chunks, %d through Go, and they differ", len(fast), len(slow))
	}
	// Should the driver keep its connection elsewhere one day, all would still be right, and slow.
	conn, err := in.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Raw(func(c any) error {
		if _, ok := connectionOf(c.(driver.Conn)); !ok {
			t.Error("tables of DuckDB's are not read by chunks")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	broken := &duck.Table{Instance: in, Name: "memory.main.nothing", Columns: columns}
	if err := (&copyWriter{to: &bytes.Buffer{}}).all(t.Context(), broken, columns, nil); err == nil {
		t.Error("a table that there is not was read")
	}
}
