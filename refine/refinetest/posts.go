package refinetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/pipelines"
	"github.com/pinflow/pinflow/pipelines/pipelinetest"
	"github.com/pinflow/pinflow/refine/plan"
)

// Case is a definition to test with, its plan, and values to post to its sources: valid ones, dirty ones and poison.
type Case struct {
	Name       string
	Definition *pinflow.Definition
	Plan       *pinflow.Plan
	Values     func(r *rand.Rand, source string) []byte
}

// Cases returns the shipped definition, one that has nothing in common with it, and one that shows every value as it is.
func Cases(t testing.TB) []Case {
	t.Helper()
	files, err := pipelines.Shipped(pipelines.Default)
	if err != nil {
		t.Fatal(err)
	}
	shipped, faults := pipelines.Load(files, pipelines.Default)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return []Case{
		{"shipped", shipped, compile(t, shipped), spiked(func(r *rand.Rand, _ string) []byte { return pin(r) })},
		{"shop", pipelinetest.Definition(t), compile(t, pipelinetest.Definition(t)), spiked(func(r *rand.Rand, source string) []byte {
			return pipelinetest.Records(r.Uint64(), source, 1)[0]
		})},
		{"values", values(), compile(t, values()), spiked(func(r *rand.Rand, _ string) []byte { return anyValues(r) })},
	}
}

func compile(t testing.TB, d *pinflow.Definition) *pinflow.Plan {
	t.Helper()
	p, faults, err := plan.Compile(t.Context(), d)
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	return p
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// spiked puts poison between the values of f: what nobody's API lets in but who writes to the journal himself.
func spiked(f func(*rand.Rand, string) []byte) func(*rand.Rand, string) []byte {
	return func(r *rand.Rand, source string) []byte {
		v := f(r, source)
		switch r.IntN(40) {
		case 0:
			return nil
		case 1:
			return []byte(pick(r, "", "{", "[]", "null", "\x00", "{}", `{"a":}`, `{"_offset": 1}`, "\xff\xfe", `"text"`))
		case 2:
			return []byte(strings.Repeat("[", 100_000))
		case 3:
			return v[:r.IntN(len(v)+1)]
		case 4:
			return append([]byte(`{"huge": 1e999, "x": "\u0000", "y": "\ud800", `), v[min(1, len(v)):]...)
		case 5:
			return append([]byte(`{"deep": `+strings.Repeat("[", 60)+strings.Repeat("]", 60)+`, `), v[min(1, len(v)):]...)
		}
		return v
	}
}

// pin is a post as the shipped definition takes it, with every dirty value that is known.
func pin(r *rand.Rand) []byte {
	v := map[string]any{
		"index": r.IntN(12000) - 500, "unique_id": fmt.Sprintf("id-%d", r.IntN(500)), "title": pick(r, "A title", "No Title Data Available", "", "Ünï \U0001F380 \"quoted\" \\ \n"),
		"description":    pick(r, "Text of more than twelve bytes", "No description available Story format", "No description available", "Untitled", ""),
		"follower_count": pick(r, "User Info Error", "124", "10k", "1.2k", "3M", "1B", "0", "-5", "1.2345k", "9223372036854775807", "9223372036854775808k", "9.3B", "1K", "", " 12"),
		"tag_list":       pick(r, "a,b,c", "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e", "", "a", "a,a", "Crafts For Grown Ups,Winter Evenings"), "is_image_or_video": pick(r, "image", "video", "multi-video(story page format)", "gif"),
		"image_src": pick(r, "https://example.com/a.jpg", "Image src error."), "downloaded": r.IntN(2),
		"save_location": pick(r, "Local save in /data/art", "elsewhere", ""), "category": pick(r, "art", "diy-and-crafts", "", "Ünsinn"),
	}
	if r.IntN(3) > 0 {
		v["poster_name"] = pick(r, "A", "B", "a", "User Info Error", "", "Somebody Or Other")
	}
	switch r.IntN(30) {
	case 0:
		delete(v, pick(r, "title", "index", "category"))
	case 1:
		v[pick(r, "title", "index", "downloaded", "tag_list")] = pick[any](r, 2.5, "1", []int{1}, nil, true)
	}
	text, _ := json.Marshal(v) // of maps, strings and numbers
	return text
}

// values is a definition whose model shows all that a schema can type, as it is.
func values() *pinflow.Definition {
	return &pinflow.Definition{
		Name: "values",
		Sources: []pinflow.Source{{Name: "things", Topic: "things", Partitions: 2, SchemaFile: "things.json", Schema: json.RawMessage(`{"properties": {
			"text": {"type": ["string", "null"]}, "n": {"type": "integer"}, "x": {"type": "number"}, "b": {"type": ["boolean", "null"]}, "any": {},
			"texts": {"type": "array", "items": {"type": ["string", "null"]}}, "ns": {"type": "array", "items": {"type": "integer"}},
			"xs": {"type": ["array", "null"], "items": {"type": ["number", "null"]}}, "bs": {"type": "array", "items": {"type": "boolean"}}, "Über \"name\"": {"type": "string"}}}`)}},
		Models: []pinflow.ModelScript{{From: "things", Script: pinflow.Script{Name: "shown", File: "shown.sql", SQL: `SELECT text, n, x, b, "any" AS anything, texts, ns, xs, bs,
			"Über ""name""" AS odd, _key AS k, _headers AS h, _timestamp AS at, 1000 // (n - 7) AS ratio,
			CASE WHEN n = 7 THEN 'seven' WHEN text = 'no' THEN 'says no' END AS _reject FROM things`}}},
		Metrics: []pinflow.Script{{Name: "by_text", File: "by_text.sql", SQL: "-- By text.\nSELECT text, count(*) AS things, sum(n) AS total, min(x) AS low, max(k) AS key FROM shown GROUP BY text"},
			{Name: "by_item", File: "by_item.sql", SQL: "-- By item.\nSELECT item, count(*) AS things, count(DISTINCT n) AS numbers FROM shown, unnest(texts) AS t(item) GROUP BY item"}},
	}
}

// anyValues writes JSON by hand: what encoders would never write counts most.
func anyValues(r *rand.Rand) []byte {
	texts := []string{`""`, `"no"`, `"short"`, `"exactly 12 b"`, `"one more than 12"`, `"\u00e9\ud83d\ude00\/\b\t"`, `"` + strings.Repeat("long ", r.IntN(pick(r, 10, 10, 10, 1000))) + `"`, `"Ωß中"`, `"2026-01-01"`, `"1"`}
	numbers := []string{"0", "-0", "0.0", "-0.0", "7", "-1", "1.5", "1e3", "1.0", "1E-7", "123456789012345678901234567890.5", "9007199254740993", "18446744073709551615", "1e308", "5e-324", "0.1", "100000000000000000000"}
	integers := []string{"0", "7", "-7", "8", "9223372036854775807", "-9223372036854775808", "-0", "12"}
	list := func(of ...string) string {
		items := make([]string, pick(r, 0, 1, 2, 5, r.IntN(50)))
		for i := range items {
			items[i] = pick(r, of...)
		}
		return "[" + strings.Join(items, pick(r, ",", " , ")) + "]"
	}
	anything := append([]string{"null", "true", `{"a": [1, "x\ny", {}], "b":  1.50}`, "[ ]", `{"\u00e9\/": "\u0001\u007f"}`, list(numbers...)}, append(texts, numbers...)...)
	fields := map[string]string{"text": pick(r, append(texts, "null")...), "n": pick(r, integers...), "x": pick(r, numbers...), "b": pick(r, "true", "false", "null"), "any": pick(r, anything...),
		"texts": list(append(texts, "null")...), "ns": list(integers...), "xs": pick(r, "null", list(append(numbers, "null")...)), "bs": list("true", "false"), `Über \"name\"`: pick(r, texts...), "extra": "1"}
	var parts []string
	for name, v := range fields {
		if r.IntN(5) > 0 {
			parts = append(parts, `"`+name+`"`+pick(r, ":", " : ")+v)
		}
	}
	r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return []byte("{" + strings.Join(parts, ",") + "}")
}

// Hour is the log period of Log.
const Hour = pinflow.PeriodLength(3600e9)

// Log is what the journal holds: records per partition, in order.
type Log map[pinflow.TopicPartition][]pinflow.Record

// NewLog makes n records for the sources of a case: mostly in the home partition of the source's key, else in any; offsets with
// gaps, append times that pass over several periods and step back now and then, keys and headers of any bytes, some sent again.
func NewLog(c *Case, r *rand.Rand, n int) Log {
	log := Log{}
	homes := map[string]func([]byte) int32{}
	for i := range c.Plan.Sources {
		homes[c.Plan.Sources[i].Topic] = homeOf(&c.Plan.Sources[i].Source)
	}
	now := int64(1764010000000)
	for range n {
		s := &c.Plan.Sources[r.IntN(len(c.Plan.Sources))]
		tp, v := pinflow.TopicPartition{Topic: s.Topic, Partition: int32(r.IntN(max(s.Partitions, 1)))}, c.Values(r, s.Name)
		if h := homes[s.Topic](v); h >= 0 && r.IntN(12) > 0 {
			tp.Partition = h
		}
		record := pinflow.Record{Topic: tp.Topic, Partition: tp.Partition, Value: v}
		if k := len(log[tp]); k > 0 {
			record.Offset = log[tp][k-1].Offset + 1
		}
		if r.IntN(20) == 0 {
			record.Offset += int64(r.IntN(3))
		}
		now += int64(r.IntN(20_000_000 / (n + 1)))
		record.Timestamp = now - int64(r.IntN(2)*r.IntN(300_000))
		record.Key = pick(r, nil, []byte{}, []byte("key"), []byte("\xff\xfe key"), []byte("schlüssel \"x\""))
		if r.IntN(6) == 0 {
			record.Headers = []pinflow.Header{{Key: pick(r, "a", "é\""), Value: pick(r, nil, []byte("v"), []byte{0xff}, []byte("\x01\u007f/"))}, {Key: "b"}}
		}
		if r.IntN(3) == 0 {
			record.Headers = append(record.Headers, pinflow.Header{Key: pick(r, pipelinetest.IdempotencyKey, "idempotency-key"), Value: fmt.Append(nil, "r", r.IntN(n/10+1))})
		}
		if k := len(log[tp]); k > 0 && r.IntN(10) == 0 { // sent again
			again := log[tp][r.IntN(k)]
			record.Key, record.Value, record.Headers = again.Key, again.Value, again.Headers
		}
		log[tp] = append(log[tp], record)
	}
	return log
}

// WithRows returns the case with other rows kept: all, recent or none, of every model without a key. With none it has no reports.
func (c Case) WithRows(t testing.TB, rows string) Case {
	t.Helper()
	d := *c.Definition
	d.Models = slices.Clone(d.Models)
	for i := range d.Models {
		if len(d.Models[i].Key) == 0 {
			d.Models[i].Rows = rows
		}
	}
	if rows == "none" {
		d.Reports = nil // what they read must be kept
	}
	return Case{c.Name + " with rows " + rows, &d, compile(t, &d), c.Values}
}
