package value_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/value"
	"pgregory.net/rapid"
)

const typedSchema = `{"properties": {"title": {"type": ["string", "null"]}, "n": {"type": "integer"}, "x": {"type": "number"}, "b": {"type": "boolean"},
	"tags": {"type": "array", "items": {"type": "string"}}, "any": {}}}`

// TestDuckDBReadsWhatWasPosted draws records, writes those accepted as lines of the lake and reads them by DuckDB.
func TestDuckDBReadsWhatWasPosted(t *testing.T) {
	schema, faults := value.CompileSchema("", []byte(typedSchema))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	var lines []byte
	var posted []map[string]any
	rapid.Check(t, func(t *rapid.T) {
		v := drawTyped(t)
		if schema.Check(v) != nil {
			return
		}
		r := pinflow.Record{Offset: int64(len(posted)), Value: v}
		lines = value.AppendLine(lines, &r)
		var want map[string]any
		d := json.NewDecoder(strings.NewReader(string(v)))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		posted = append(posted, want)
	})
	if len(posted) < 20 {
		t.Fatalf("only %d records were accepted", len(posted))
	}
	for i, got := range readBack(t, schema, lines) {
		compare(t, i, got, posted[i])
	}
}

func drawTyped(t *rapid.T) []byte {
	text := rapid.Map(rapid.String(), func(s string) string { b, _ := json.Marshal(s); return string(b) })
	integer := rapid.Map(rapid.Int64(), func(n int64) string { return strconv.FormatInt(n, 10) })
	float := rapid.Map(rapid.Float64(), func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) })
	values := map[string]*rapid.Generator[string]{
		"title": rapid.OneOf(text, rapid.SampledFrom([]string{"null", `"\ud83d\ude00\/\b"`, `"\ud83d"`, `"\u0000"`, `" x "`, `"2026-01-01"`, `"1"`})),
		"n":     rapid.OneOf(integer, rapid.SampledFrom([]string{"-0", "1.0", "9223372036854775807", "-9223372036854775808", "9223372036854775808"})),
		"x":     rapid.OneOf(integer, float, rapid.SampledFrom([]string{"1e308", "1e309", "5e-324", "0.1", "123456789012345678901234567890.5"})),
		"b":     rapid.SampledFrom([]string{"true", "false"}),
		"tags":  rapid.Map(rapid.SliceOf(text), func(l []string) string { return "[" + strings.Join(l, ", ") + "]" }),
		"any":   rapid.SampledFrom([]string{`{"a": [1, "x\ny"]}`, `"s"`, "12", "null"}),
		"Title": text, "TITLE": integer, "big": rapid.SampledFrom([]string{"123456789012345678901234567890", "[1e300]"}), "": text,
	}
	names := []string{"title", "n", "x", "b", "tags", "any", "Title", "TITLE", "big", ""}
	var fields []string
	for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID[string]).Draw(t, "names") {
		fields = append(fields, fmt.Sprintf("%q : %s", name, values[name].Draw(t, "value")))
	}
	return []byte("{" + strings.Join(fields, ",") + "}")
}

func readBack(t *testing.T, schema *value.Schema, lines []byte) (rows [][]any) {
	file := filepath.Join(t.TempDir(), "lines.json")
	if err := os.WriteFile(file, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var columns []string
	for _, c := range schema.Columns() {
		columns = append(columns, fmt.Sprintf("'%s': '%s'", c.Name, c.Type))
	}
	result, err := db.Query(fmt.Sprintf(`SELECT title, n, x, b, tags, "any"::VARCHAR FROM read_json('%s', format='newline_delimited', columns={%s, '_offset': 'BIGINT'}) ORDER BY _offset`,
		file, strings.Join(columns, ", ")))
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	for result.Next() {
		row := make([]any, 6)
		if err := result.Scan(&row[0], &row[1], &row[2], &row[3], &row[4], &row[5]); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if err := result.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func compare(t *testing.T, i int, got []any, posted map[string]any) {
	want := []any{posted["title"], nil, nil, posted["b"], posted["tags"], nil}
	if n, ok := posted["n"].(json.Number); ok {
		want[1], _ = n.Int64()
	}
	if x, ok := posted["x"].(json.Number); ok {
		want[2], _ = x.Float64()
		if f, ok := got[2].(float64); ok && math.Float64bits(f) != math.Float64bits(want[2].(float64)) && f != 0 {
			t.Errorf("record %d: x is %v, posted %v", i, f, x)
		}
	}
	if any, ok := posted["any"]; ok && any != nil {
		text, _ := json.Marshal(any)
		want[5] = string(text)
	}
	for c := range want {
		if fmt.Sprintf("%#v", got[c]) != fmt.Sprintf("%#v", want[c]) && !(c == 2 && got[c] == want[c]) {
			t.Errorf("record %d, column %d: %#v, posted %#v", i, c, got[c], want[c])
		}
	}
}
