package web

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
)

// cell is a value as a store gives it, what encoding/json makes of it, and its text in CSV.
type cell struct {
	typ   string
	value any
	json  any
	csv   string
}

var alphabet = []rune("ab ,\"'\\\n\r\t<>&;é漢😀\u2028\u0007=0")

func randomText(r *rand.Rand) string {
	text := make([]rune, r.IntN(6))
	for i := range text {
		text[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(text)
}

func randomCell(r *rand.Rand, typ string) cell {
	if r.IntN(8) == 0 {
		return cell{typ, nil, nil, ""}
	}
	switch typ {
	case "BOOLEAN":
		v := r.IntN(2) == 0
		return cell{typ, v, v, fmt.Sprint(v)}
	case "INTEGER":
		v := int32(r.Uint32())
		return cell{typ, v, json.Number(fmt.Sprint(v)), fmt.Sprint(v)}
	case "BIGINT":
		v := int64(r.Uint64())
		return cell{typ, v, json.Number(fmt.Sprint(v)), fmt.Sprint(v)}
	case "HUGEINT":
		v := new(big.Int).Mul(big.NewInt(int64(r.Uint64())), big.NewInt(int64(r.Uint64())))
		if r.IntN(2) == 0 {
			return cell{typ, json.Number(v.String()), json.Number(v.String()), v.String()}
		}
		return cell{typ, v, json.Number(v.String()), v.String()}
	case "DECIMAL(38,10)":
		v := fmt.Sprintf("-%d.%010d", r.Uint64(), r.Uint32())
		return cell{typ, json.Number(v), json.Number(v), v}
	case "VARCHAR":
		v := randomText(r)
		return cell{typ, v, v, v}
	case "BLOB":
		v := []byte(randomText(r))
		text := base64.StdEncoding.EncodeToString(v)
		return cell{typ, v, text, text}
	case "TIMESTAMP WITH TIME ZONE":
		v := time.UnixMilli(r.Int64N(4e12)).In(time.FixedZone("", 3600*(r.IntN(20)-10)))
		text := v.UTC().Format("2006-01-02T15:04:05.000Z")
		return cell{typ, v, text, text}
	case "DATE":
		v := time.UnixMilli(r.Int64N(4e12)).UTC().Truncate(24 * time.Hour)
		return cell{typ, v, v.Format("2006-01-02"), v.Format("2006-01-02")}
	}
	v, want := []any{}, []any{} // VARCHAR[]
	for range r.IntN(4) {
		text := randomText(r)
		v, want = append(v, text), append(want, text)
	}
	text, _ := json.Marshal(want)
	return cell{typ, v, want, string(text)}
}

var cellTypes = []string{"BOOLEAN", "INTEGER", "BIGINT", "HUGEINT", "DECIMAL(38,10)", "VARCHAR", "BLOB", "TIMESTAMP WITH TIME ZONE", "DATE", "VARCHAR[]"}

// randomResult returns rows, and what a reader of JSON and one of CSV must find.
func randomResult(r *rand.Rand) (res *pinflow.Result, asJSON []map[string]any, asCSV [][]string) {
	res = &pinflow.Result{}
	asJSON = []map[string]any{}
	for i := range 1 + r.IntN(6) {
		res.Columns = append(res.Columns, pinflow.Column{Name: fmt.Sprintf("%s%d", randomText(r), i), Type: cellTypes[r.IntN(len(cellTypes))]})
	}
	names := make([]string, len(res.Columns))
	for i, c := range res.Columns {
		names[i] = c.Name
	}
	asCSV = [][]string{names}
	for range r.IntN(5) {
		row, object, line := make([]any, len(names)), map[string]any{}, make([]string, len(names))
		for i, c := range res.Columns {
			v := randomCell(r, c.Type)
			row[i], object[c.Name], line[i] = v.value, v.json, v.csv
		}
		res.Rows, asJSON, asCSV = append(res.Rows, row), append(asJSON, object), append(asCSV, line)
	}
	return res, asJSON, asCSV
}

func TestRowsAreReadBackByEncodingJSONAndCSV(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	for range 3000 {
		res, wantJSON, wantCSV := randomResult(r)
		var out bytes.Buffer
		if err := WriteJSON(&out, res); err != nil {
			t.Fatal(err)
		}
		var got []map[string]any
		dec := json.NewDecoder(&out)
		dec.UseNumber()
		if err := dec.Decode(&got); err != nil || !reflect.DeepEqual(got, wantJSON) {
			t.Fatalf("JSON of %v: %v\n got %v\nwant %v", res.Rows, err, got, wantJSON)
		}
		out.Reset()
		if err := WriteCSV(&out, res); err != nil {
			t.Fatal(err)
		}
		lines, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
		if err != nil {
			t.Fatalf("CSV of %v: %v\n%q", res.Rows, err, out.String())
		}
		for i := range wantCSV { // a reader of CSV takes a CR before LF inside quotes for LF
			for j := range wantCSV[i] {
				wantCSV[i][j] = strings.ReplaceAll(wantCSV[i][j], "\r\n", "\n")
			}
		}
		if !reflect.DeepEqual(lines, wantCSV) {
			t.Fatalf("CSV of %v:\n got %q\nwant %q", res.Rows, lines, wantCSV)
		}
	}
}

func TestStringsAreWrittenAsByEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 2))
	for range 3000 {
		s := randomText(r)
		if r.IntN(4) == 0 {
			s += string([]byte{byte(r.Uint32()), byte(r.Uint32())}) // not always UTF-8
		}
		want, _ := json.Marshal(s)
		if got := appendString(nil, s); !bytes.Equal(got, want) {
			t.Fatalf("%q: %s, want %s", s, got, want)
		}
	}
}

func TestFloatsAreTheSameNumber(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 3000 {
		f := math.Float64frombits(r.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		var got float64
		if err := json.Unmarshal(appendValue(nil, "DOUBLE", f), &got); err != nil || got != f {
			t.Fatalf("%g: %g %v", f, got, err)
		}
	}
	for f, want := range map[float64]string{math.Inf(1): "+Inf", math.Inf(-1): "-Inf", math.NaN(): "NaN", 1.5: "1.5"} {
		if got := string(appendValue(nil, "DOUBLE", f)); strings.Trim(got, `"`) != want {
			t.Errorf("%g: %s", f, got)
		}
		if got := string(appendCSVRow(nil, []pinflow.Column{{Type: "DOUBLE"}}, []any{f})); got != want+"\n" {
			t.Errorf("%g in CSV: %s", f, got)
		}
	}
}

func TestWhatIsJSONAlreadyIsNotQuoted(t *testing.T) {
	for value, want := range map[string]string{`{"a":[1,2]}`: `{"a":[1,2]}`, `12345678901234567890`: `12345678901234567890`, `not json`: `"not json"`} {
		for _, typ := range []string{"JSON", `STRUCT(a INTEGER[], "b(" VARCHAR)`, "MAP(VARCHAR, INTEGER)", "TIME[]"} {
			if got := string(appendValue(nil, typ, value)); got != want {
				t.Errorf("%s %s: %s, want %s", typ, value, got, want)
			}
		}
	}
	for _, typ := range []string{"VARCHAR", "ENUM('JSON')"} {
		if got := string(appendValue(nil, typ, "12")); got != `"12"` {
			t.Errorf("%s: %s", typ, got)
		}
	}
}

func TestCSVTellsNullFromEmpty(t *testing.T) {
	var out strings.Builder
	res := &pinflow.Result{Columns: []pinflow.Column{{Name: "a", Type: "VARCHAR"}, {Name: "b", Type: "VARCHAR"}}, Rows: [][]any{{"", nil}, {nil, ""}}}
	if err := WriteCSV(&out, res); err != nil || out.String() != "a,b\n\"\",\n,\"\"\n" {
		t.Errorf("%q %v", out.String(), err)
	}
}

func TestNamesGivenTwiceAreMadeUnique(t *testing.T) {
	column := func(name string) pinflow.Column { return pinflow.Column{Name: name} }
	got := unique([]pinflow.Column{column("a"), column("a"), column("a_1"), column("b"), column("a")})
	want := []pinflow.Column{column("a"), column("a_1"), column("a_1_1"), column("b"), column("a_2")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
