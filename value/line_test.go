package value

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"pgregory.net/rapid"
)

func TestLine(t *testing.T) {
	record := pinflow.Record{Partition: 3, Offset: 42, Timestamp: 1763805600123, Key: []byte("k\"1")}
	for _, c := range []struct{ name, value, want string }{
		{"flat", `{ "a" : 1, "b":"x y" }`, `{"a":1,"b":"x y","_partition":3,`},
		{"empty object", ` { } `, `{"_partition":3,`},
		{"not JSON", `{"a":`, `{"_raw":"eyJhIjo=","_partition":3,`},
		{"repeated", `{"a":1,"\u0061":2}`, `{"_raw":"eyJhIjoxLCJcdTAwNjEiOjJ9","_partition":3,`},
		{"reserved", `{"_key":1}`, `{"_raw":"eyJfa2V5IjoxfQ==","_partition":3,`},
		{"half pair", `{"a":"\ud800"}`, `{"_raw":"eyJhIjoiXHVkODAwIn0=","_partition":3,`},
		{"array", `[1]`, `{"_raw":"WzFd","_partition":3,`},
		{"tombstone", ``, `{"_raw":"","_partition":3,`},
	} {
		record.Value = []byte(c.value)
		want := c.want + `"_offset":42,"_timestamp":"2025-11-22T10:00:00.123Z","_key":"k\"1"}` + "\n"
		if got := string(AppendLine(nil, &record)); got != want {
			t.Errorf("%s: got  %swant %s", c.name, got, want)
		}
	}
}

func TestLineHeaders(t *testing.T) {
	r := pinflow.Record{Value: []byte(`{}`), Key: []byte{0xff}, Headers: []pinflow.Header{{Key: "h", Value: nil}, {Key: "\xfe", Value: []byte("v\n")}}}
	want := `{"_partition":0,"_offset":0,"_timestamp":"1970-01-01T00:00:00.000Z","_key":{"base64":"/w=="},"_headers":[{"key":"h","value":null},{"key":{"base64":"/g=="},"value":"v\n"}]}` + "\n"
	if got := string(AppendLine(nil, &r)); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestParseLineOfOthers(t *testing.T) {
	r, err := ParseLine([]byte(`{"_offset":7,"_erased":true}`))
	if err != nil || r.Offset != 7 || r.Value != nil {
		t.Errorf("erased line: %+v, %v", r, err)
	}
	r, err = ParseLine([]byte(`{ "a" : [1, 2] , "_offset" : 7, "_timestamp":"2026-01-01T01:00:00+01:00" }`))
	if err != nil || string(r.Value) != `{"a":[1,2]}` || r.Timestamp != 1767225600000 {
		t.Errorf("line with spaces: %+v, %v", r, err)
	}
	for _, bad := range []string{
		``, `{}`, `{"a":1}`, `[]`, `{"_offset":1`, `{"_offset":1,"a":2}`, `{"_offset":"1"}`, `{"_offset":1.0}`, `{"_offset":1,"_offset":2}`,
		`{"_partition":2147483648}`, `{"a":1,"_raw":""}`, `{"_raw":"!"}`, `{"_raw":null}`, `{"_key":1}`, `{"_timestamp":"yesterday"}`, `{"_timestamp":1}`,
		`{"_headers":{}}`, `{"_headers":[1]}`, `{"_headers":[{"key":1}]}`, `{"a":1,"a":2,"_offset":1}`, `{"_offset":99999999999999999999}`,
	} {
		if r, err := ParseLine([]byte(bad)); pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("%s gave %+v, %v", bad, r, err)
		}
	}
}

func drawRecord(t *rapid.T) pinflow.Record {
	r := pinflow.Record{
		Partition: rapid.Int32Range(0, 1000).Draw(t, "partition"),
		Offset:    rapid.Int64Min(0).Draw(t, "offset"),
		Timestamp: rapid.Int64Range(minTime, maxTime).Draw(t, "timestamp"),
		Key:       rapid.OneOf(rapid.Just[[]byte](nil), rapid.SliceOf(rapid.Byte()), rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) })).Draw(t, "key"),
	}
	if rapid.Bool().Draw(t, "json") {
		text, _ := json.MarshalIndent(drawObject(t, 3), "", "  ")
		r.Value = text
	} else {
		r.Value = rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "value")
	}
	for range rapid.IntRange(0, 2).Draw(t, "headers") {
		r.Headers = append(r.Headers, pinflow.Header{Key: rapid.String().Draw(t, "header"), Value: rapid.SliceOf(rapid.Byte()).Draw(t, "header value")})
	}
	return r
}

func drawObject(t *rapid.T, depth int) map[string]any {
	o := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "fields") {
		o[rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "_raw", "_key", "é\n"}), rapid.String()).Draw(t, "name")] = drawAny(t, depth)
	}
	return o
}

func drawAny(t *rapid.T, depth int) any {
	switch n := rapid.IntRange(0, 7).Draw(t, "kind"); {
	case n == 0 && depth > 0:
		return drawObject(t, depth-1)
	case n == 1 && depth > 0:
		list := []any{}
		for range rapid.IntRange(0, 4).Draw(t, "items") {
			list = append(list, drawAny(t, depth-1))
		}
		return list
	case n < 4:
		return rapid.String().Draw(t, "string")
	case n == 4:
		return nil
	case n == 5:
		return rapid.Bool().Draw(t, "bool")
	case n == 6:
		return rapid.Int64().Draw(t, "int")
	}
	return rapid.Float64Range(-1e6, 1e6).Draw(t, "float")
}

// compacted is what a record's value is after a way through the lake.
func compacted(v []byte) []byte {
	if !IsPlain(v) {
		return v
	}
	return Compact(nil, v)
}

func TestLineThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		line := AppendLine(nil, &r)
		if bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Fatalf("not one line: %q", line)
		}
		if !json.Valid(line) {
			t.Fatalf("not JSON: %s", line)
		}
		got, err := ParseLine(line)
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		r.Value = compacted(r.Value)
		if !reflect.DeepEqual(got, r) {
			t.Fatalf("wrote %+v\nread  %+v\nline  %s", r, got, line)
		}
	})
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte(`{"a":1,"_partition":3,"_offset":42,"_timestamp":"2025-11-22T10:00:00.123Z","_key":"k","_headers":[{"key":"h","value":null}]}`))
	f.Add([]byte(`{"_raw":"AA==","_offset":42,"_key":{"base64":"/w=="}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := ParseLine(line)
		if err != nil {
			return
		}
		again, err := ParseLine(AppendLine(nil, &r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%q gave %+v, written and read %+v, %v", line, r, again, err)
		}
	})
}

func BenchmarkAppendLine(b *testing.B) {
	r := pinflow.Record{Offset: 1, Timestamp: 1763805600123, Key: []byte("fbe53c66-3442-4773-b19e-d3ec6f54dddf"), Value: []byte(pin)}
	var dst []byte
	b.SetBytes(int64(len(pin)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendLine(dst[:0], &r)
	}
}

func BenchmarkParseLine(b *testing.B) {
	r := pinflow.Record{Offset: 1, Timestamp: 1763805600123, Key: []byte("fbe53c66-3442-4773-b19e-d3ec6f54dddf"), Value: []byte(pin)}
	line := AppendLine(nil, &r)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseLine(line); err != nil {
			b.Fatal(err)
		}
	}
}

func TestCompact(t *testing.T) {
	for _, v := range []string{
		`{}`, " {\n} ", `{"a b" : "c \" d\\", "e":[1 , 2,{"f" : null}]}`, `{"a":"\\\\","b":"\\\""}`, `[ "" , "\"" ]`, strings.Repeat(" ", 9) + "1", `"\\"`,
	} {
		var want bytes.Buffer
		if err := json.Compact(&want, []byte(v)); err != nil {
			t.Fatal(err)
		}
		if got := string(Compact(nil, []byte(v))); got != want.String() {
			t.Errorf("%s became %s, want %s", v, got, want.String())
		}
		in := []byte(v)
		if got := string(Compact(in[:0], in)); got != want.String() {
			t.Errorf("%s in place became %s, want %s", v, got, want.String())
		}
	}
}
