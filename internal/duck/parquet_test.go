package duck_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// samples are values of each type, as SQL.
var samples = map[string][]string{
	"BOOLEAN":                  {"true", "false"},
	"TINYINT":                  {"-128", "127"},
	"USMALLINT":                {"65535"},
	"INTEGER":                  {"0", "-2147483648", "2147483647"},
	"UINTEGER":                 {"4294967295"},
	"BIGINT":                   {"0", "-9223372036854775808", "9223372036854775807"},
	"UBIGINT":                  {"18446744073709551615"},
	"HUGEINT":                  {"0", "99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", "18446744073709551616"},
	"UHUGEINT":                 {"340282366920938463463374607431768211455", "0"},
	"BIGNUM":                   {"'123456789012345678901234567890123456789012345678901234567890'"},
	"FLOAT":                    {"'nan'", "1.1", "'-inf'", "'-0.0'", "0"},
	"DOUBLE":                   {"'nan'", "0.1", "'-inf'", "'inf'", "'-0.0'", "0", "5e-324", "1.7976931348623157e308"},
	"DECIMAL(38,10)":           {"-9999999999999999999999999999.0123456789", "0"},
	"DECIMAL(38,0)":            {"99999999999999999999999999999999999999"},
	"DECIMAL(4,1)":             {"-0.5", "999.9"},
	"DECIMAL(18,3)":            {"1.001", "-999999999999999.999"},
	"DECIMAL(9,9)":             {"0.000000001"},
	"VARCHAR":                  {"''", "chr(0) || 'x'", "'Ünï 🎀 \"quoted\" '' \\'", "repeat('long ', 1000)"},
	"JSON":                     {`'{"a":  12345678901234567890.10, "a": 1}'`, "'null'", `'"x"'`},
	"BLOB":                     {"''::BLOB", `'\x00\xFF'::BLOB`},
	"UUID":                     {"'00000000-0000-0000-0000-000000000001'", "'ffffffff-ffff-4fff-bfff-ffffffffffff'"},
	"BIT":                      {"'01011'", "'0'"},
	"DATE":                     {"'infinity'", "'-infinity'", "'0001-01-01 (BC)'", "'5874897-12-31'", "'2026-11-22'"},
	"TIME":                     {"'12:34:56.123456'", "'24:00:00'"},
	"TIME WITH TIME ZONE":      {"'12:34:56.123456+02:30'", "'00:00:00-15:59:59'"},
	"TIMESTAMP":                {"'infinity'", "'-infinity'", "'0001-01-01 (BC)'", "'294247-01-10 04:00:54.775806'", "'1969-12-31 23:59:59.999999'"},
	"TIMESTAMP WITH TIME ZONE": {"'infinity'", "'-infinity'", "'1969-12-31 23:59:59.999999Z'", "'2026-11-22 10:00:00.123Z'"},
	"TIMESTAMP_S":              {"'2020-01-01 00:00:01'"},
	"TIMESTAMP_MS":             {"'2020-01-01 00:00:01.001'"},
	"TIMESTAMP_NS":             {"'2020-01-01 00:00:01.001002003'"},
	"INTERVAL":                 {"'1 month 2 days 3.123456 seconds'", "'-1 month -5.5 seconds'", "'0 seconds'"},
	"ENUM('a', 'b''c')":        {"'a'", "'b''c'"},
	"STRUCT(\"a b\"\"\" HUGEINT, c TIMETZ, d STRUCT(e UHUGEINT)[])": {"{'a b\"': 99999999999999999999999999999999999999, 'c': '12:34:56.123456+02:30'::TIMETZ, 'd': [{'e': 5}, NULL]}"},
	"MAP(VARCHAR, HUGEINT)": {"map{'a': 99999999999999999999999999999999999999, 'b': NULL}", "map{}"},
	"INTEGER[3]":            {"[1, 2, NULL]"},
}

// TestParquetKeepsEveryValue writes and reads random lists and columns of every type.
func TestParquetKeepsEveryValue(t *testing.T) {
	dir := t.TempDir()
	i := open(t, duck.Options{Dir: dir})
	r := rand.New(rand.NewPCG(1, 1))
	var types []string
	for typ := range samples {
		types = append(types, typ)
	}
	slices.Sort(types)
	var columns []pinflow.Column
	for k, typ := range types {
		for depth, of := range []string{typ, typ + "[]", typ + "[][]"} {
			columns = append(columns, pinflow.Column{Name: fmt.Sprintf("c \"%d\" %d", k, depth), Type: of})
		}
	}
	value := func(row int, c pinflow.Column) string {
		typ := strings.TrimSuffix(strings.TrimSuffix(c.Type, "[]"), "[]")
		scalar := func() string {
			v := "NULL"
			switch of := samples[typ]; {
			case typ == c.Type && row <= len(of):
				v = of[row%len(of)]
			case r.IntN(5) > 0:
				v = of[r.IntN(len(of))]
			}
			return "CAST(" + v + " AS " + typ + ")"
		}
		list := func(f func() string) func() string {
			return func() string {
				if r.IntN(6) == 0 {
					return "NULL"
				}
				items := make([]string, r.IntN(4))
				for i := range items {
					items[i] = f()
				}
				return "[" + strings.Join(items, ", ") + "]"
			}
		}
		f := scalar
		for range (len(c.Type) - len(typ)) / 2 {
			f = list(f)
		}
		return "CAST(" + f() + " AS " + c.Type + ") AS " + duck.Quote(c.Name)
	}
	var rows []string
	for row := range 12 {
		var values []string
		for _, c := range columns {
			values = append(values, value(row, c))
		}
		rows = append(rows, "SELECT "+strings.Join(values, ", "))
	}
	scratch, err := i.Scratch(t.Context())
	if err == nil {
		_, err = i.DB.Exec("CREATE TABLE " + scratch + ".t AS " + strings.Join(rows, " UNION ALL "))
	}
	if err != nil {
		t.Fatal(err)
	}
	query := "SELECT t.* FROM " + scratch + ".t, range(20)" // often enough for a dictionary
	file := filepath.Join(dir, "a.parquet")
	if n, err := duck.WriteParquet(t.Context(), i.DB, query, columns, file); err != nil || n != 20*int64(len(rows)) {
		t.Fatalf("%d, %v", n, err)
	}
	whole := &duck.Table{Instance: i, Name: "(" + query + ")", Columns: columns}
	back := duck.Parquet(i, []string{file}, columns)
	for _, c := range columns {
		only := func(of *duck.Table) *duck.Table {
			return &duck.Table{Instance: i, Name: "(SELECT typeof(" + duck.Quote(c.Name) + "), " + duck.Quote(c.Name) + " FROM " + of.Name + ")"}
		}
		if got, want := shown(t, only(back)), shown(t, only(whole)); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.Type, got, want)
		}
	}
}

// shown returns every value as text, in order.
func shown(t *testing.T, of *duck.Table) (rows []string) {
	t.Helper()
	result, err := of.Instance.DB.Query("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM " + of.Name)
	if err != nil {
		t.Fatal(err)
	}
	err = duck.EachRow(result, func(row []any) error {
		rows = append(rows, fmt.Sprint(row...))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rows)
	return rows
}

func TestParquetOfNoFiles(t *testing.T) {
	i := open(t, duck.Options{})
	none := duck.Parquet(i, nil, []pinflow.Column{{Name: "a", Type: "HUGEINT"}, {Name: "b", Type: "VARCHAR[]"}})
	if got := shown(t, none); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestReadableFolders(t *testing.T) {
	one, other := t.TempDir(), filepath.Join(t.TempDir(), "later")
	i := open(t, duck.Options{Readable: []string{one, other}})
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	columns := []pinflow.Column{{Name: "a", Type: "INTEGER"}}
	for _, dir := range []string{one, other} {
		file := filepath.Join(dir, "gen=1", "a.parquet")
		if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if n, err := duck.WriteParquet(t.Context(), i.DB, "SELECT 7 AS a", columns, file); err != nil || n != 1 {
			t.Fatalf("%d, %v", n, err)
		}
		if got := shown(t, duck.Parquet(i, []string{file}, columns)); !slices.Equal(got, []string{"7"}) {
			t.Errorf("got %v", got)
		}
	}
	_, err := duck.WriteParquet(t.Context(), i.DB, "SELECT 7 AS a", columns, filepath.Join(t.TempDir(), "a.parquet"))
	if pinflow.KindOf(err) != pinflow.Invalid {
		t.Errorf("outside: %v", err)
	}
}

// TestParquetThatCannotBeWritten runs itself again with a limit on the size of files, as a full disk is one.
func TestParquetThatCannotBeWritten(t *testing.T) {
	const env = "PINFLOW_TEST_SMALL_FILES"
	if os.Getenv(env) == "" {
		again := exec.CommandContext(t.Context(), "sh", "-c", `ulimit -f 64; exec "$0" -test.run '^TestParquetThatCannotBeWritten$'`, os.Args[0])
		again.Env = append(os.Environ(), env+"=1")
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	dir := t.TempDir()
	i := open(t, duck.Options{Dir: dir})
	for file, query := range map[string]string{
		filepath.Join(dir, "a.parquet"):         "SELECT (hash(range) >> 1)::BIGINT AS a FROM range(1000000)",
		filepath.Join(dir, "none", "a.parquet"): "SELECT 1 AS a",
	} {
		_, err := duck.WriteParquet(t.Context(), i.DB, query, []pinflow.Column{{Name: "a", Type: "BIGINT"}}, file)
		if pinflow.KindOf(err) != pinflow.Unavailable || pinflow.HintOf(err) == "" {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("the file is left: %v", err)
		}
	}
}
