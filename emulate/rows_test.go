package emulate

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/realtest"
)

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// all reads rows to their end, one to a line.
func all(t *testing.T, rows Rows, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var b strings.Builder
	for {
		row, err := rows.Next()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(row.JSON, '\n'))
	}
}

func TestLinesArePostedAsTheyStand(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", 200_000) + `"}`
	text := "\ufeff{\"a\": 1}\r\n\n  \n{not json\n\xff\n" + long + "\n{\"last\":true}"
	want := "{\"a\": 1}\n{not json\n\xff\n" + long + "\n{\"last\":true}\n"
	for _, name := range []string{"rows.ndjson", "rows.jsonl", "rows.txt", "rows"} {
		rows, err := OpenRows(file(t, name, text), nil)
		if got := all(t, rows, err); got != want {
			t.Errorf("%s: got %.300q", name, got)
		}
	}
}

func TestCSV(t *testing.T) {
	const text = "\ufeffi,n,b,s,mixed,code,empty,\"q\"\"uote\"\n" +
		"1,1.50,true,x,1,007,,\"a\"\"b\nc\"\n" +
		"-2,3,false,,true,12,,\n" +
		",1e3,,\u00e9,x,5,,0\n"
	for _, c := range []struct {
		name    string
		columns []pinflow.Column
		want    string
	}{
		{"types of the file", nil, `{"i":1,"n":1.50,"b":true,"s":"x","mixed":"1","code":"007","empty":"","q\"uote":"a\"b\nc"}
{"i":-2,"n":3,"b":false,"s":"","mixed":"true","code":"12","empty":"","q\"uote":""}
{"n":1e3,"s":"é","mixed":"x","code":"5","empty":"","q\"uote":"0"}
`},
		{"types of the schema", []pinflow.Column{{Name: "i", Type: "VARCHAR"}, {Name: "n", Type: "BIGINT"}, {Name: "b", Type: "BOOLEAN"}, {Name: "s", Type: "DOUBLE"},
			{Name: "mixed", Type: "JSON"}, {Name: "code", Type: "BIGINT"}, {Name: "empty", Type: "VARCHAR[]"}, {Name: "q\"uote", Type: "VARCHAR"}},
			`{"i":"1","n":"1.50","b":true,"s":"x","mixed":1,"code":"007","q\"uote":"a\"b\nc"}
{"i":"-2","n":3,"b":false,"mixed":true,"code":12,"q\"uote":""}
{"i":"","n":"1e3","s":"é","mixed":"x","code":5,"q\"uote":"0"}
`},
	} {
		for _, name := range []string{"rows.csv", "rows.txt"} {
			rows, err := OpenRows(file(t, name, text), c.columns)
			if got := all(t, rows, err); got != c.want {
				t.Errorf("%s, %s:\ngot  %s\nwant %s", c.name, name, got, c.want)
			}
		}
	}
}

// TestNoCellGetsOutOfItsPlace: whatever the cells are, a row is one line with the header's names.
func TestNoCellGetsOutOfItsPlace(t *testing.T) {
	cells := []string{`1,"x":2`, `1}`, "1\n", " 1", `"`, `{"a":[1, 2 ]}`, "[1,\n2]", "-", "1.", "+1", "01", "NaN", "true ", "9223372036854775808", "\x00", `\u0000`, "null"}
	for _, kind := range []string{"VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "JSON", ""} {
		for _, cell := range cells {
			var text bytes.Buffer
			w := csv.NewWriter(&text)
			_ = w.WriteAll([][]string{{"v", "w"}, {cell, "end"}})
			var columns []pinflow.Column
			if kind != "" {
				columns = []pinflow.Column{{Name: "v", Type: kind}}
			}
			rows, err := OpenRows(file(t, "x.csv", text.String()), columns)
			got := all(t, rows, err)
			var v map[string]json.RawMessage
			if err := json.Unmarshal([]byte(got), &v); err != nil || strings.Count(got, "\n") != 1 || len(v) != 2 || string(v["w"]) != `"end"` {
				t.Errorf("%s %q: %q %v", kind, cell, got, err)
			}
			var s string
			if isText := json.Unmarshal(v["v"], &s) == nil && s != ""; isText && s != cell && kind != "JSON" {
				t.Errorf("%s %q became %q", kind, cell, s)
			}
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a.csv", "", "no header"},
		{"a.csv", "a,a\n1,2\n", "column 2 of the header has no name of its own"},
		{"a.csv", "a,\n1,2\n", "column 2 of the header has no name of its own"},
		{"a.csv", "a\xff\n1\n", "column 1 of the header is not UTF-8"},
		{"a.csv", "a,b\n1\n", "line 2"},
		{"a.csv", "a\n\"1\n", "line 2"},
		{"a.ndjson", strings.Repeat("x", maxLine+1), "a.ndjson:1: the line is longer"},
	} {
		rows, err := OpenRows(file(t, c.name, c.text), nil)
		if err == nil {
			_, err = rows.Next()
			_ = rows.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || pinflow.KindOf(err) != pinflow.Invalid || pinflow.HintOf(err) == "" {
			t.Errorf("%.20q: %v", c.text, err)
		}
	}
	if _, err := OpenRows(filepath.Join(t.TempDir(), "none"), nil); pinflow.KindOf(err) != pinflow.NotFound {
		t.Error(err)
	}
}

func TestSequence(t *testing.T) {
	rows := file(t, "rows.ndjson", `{"index":5,"x":"five"}`+"\n{broken\n"+`{"index":"7","x":"seven"}`+"\n"+`{"index":9}`+"\n"+`{"index":5,"x":"again"}`)
	sequence := file(t, "s.csv", "n,sleep_s,row_index\n0,0,7\n1,1.5,5\n2,1,7\n")
	for _, pauses := range []bool{true, false} {
		s, err := OpenSequence(sequence, rows, nil, pauses)
		if err != nil {
			t.Fatal(err)
		}
		var got []Row
		for row, err := s.Next(); err == nil; row, err = s.Next() {
			got = append(got, row)
		}
		seven, five := []byte(`{"index":"7","x":"seven"}`), []byte(`{"index":5,"x":"five"}`)
		want := []Row{{JSON: seven}, {five, 1500 * time.Millisecond}, {seven, time.Second}}
		if !pauses {
			want = []Row{{JSON: seven}, {JSON: five}, {JSON: seven}}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("pauses %v: %v", pauses, got)
		}
	}
	for text, why := range map[string]string{
		"n\n1\n": "no column row_index", "": "no column row_index", "row_index\nx\n": "line 2", "row_index,sleep_s\n5,-1\n": "line 2", "row_index,sleep_s\n5,NaN\n": "line 2",
		"row_index\n5\n8\n6\n": "2 of its rows are not in",
	} {
		if _, err := OpenSequence(file(t, "s.csv", text), rows, nil, true); err == nil || !strings.Contains(err.Error(), why) || pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRealSequence(t *testing.T) {
	dir := realtest.Data(t)
	s, err := OpenSequence(filepath.Join(dir, "emulator_sequence.csv"), filepath.Join(dir, "pins.ndjson"), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	var rows, seconds int
	for row, err := s.Next(); err == nil; row, err = s.Next() {
		rows++
		seconds += int(row.Pause / time.Second)
		if rows == 1 && !bytes.Contains(row.JSON, []byte(`"index": 7528,`)) {
			t.Errorf("the first row is %s", row.JSON)
		}
	}
	if rows != 2710 || seconds != 1385 {
		t.Errorf("%d rows, %d s of pauses", rows, seconds)
	}
}

// TestPinsSurviveCSV: with the schema's types, a row that went through CSV is the row that was.
func TestPinsSurviveCSV(t *testing.T) {
	names := []string{"index", "unique_id", "title", "description", "poster_name", "follower_count", "tag_list", "is_image_or_video", "image_src", "downloaded", "save_location", "category"}
	columns := make([]pinflow.Column, len(names))
	table := [][]string{names}
	for i, name := range names {
		columns[i] = pinflow.Column{Name: name, Type: "VARCHAR"}
		if name == "index" || name == "downloaded" {
			columns[i].Type = "BIGINT"
		}
	}
	var want strings.Builder
	for _, line := range Pins(4, 2000) {
		var p map[string]any
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatal(err)
		}
		if p["poster_name"] == nil {
			continue // CSV can't tell it from an empty one
		}
		var cells []string
		for _, name := range names {
			text, ok := p[name].(string)
			if !ok {
				text = strconv.Itoa(int(p[name].(float64)))
			}
			cells = append(cells, text)
		}
		table = append(table, cells)
		want.Write(append(line, '\n'))
	}
	var text strings.Builder
	if err := csv.NewWriter(&text).WriteAll(table); err != nil {
		t.Fatal(err)
	}
	rows, err := OpenRows(file(t, "pins.csv", text.String()), columns)
	if got := all(t, rows, err); got != want.String() {
		t.Error("rows came back otherwise")
	}
}
