package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/journal/kafka"
)

// poison is what nobody should post. Whatever the API says of it must be what the live half does with
// the same bytes when they come past the API.
func poison(t *testing.T) map[string][]byte {
	t.Helper()
	good := string(emulate.Pins(7, 1)[0])
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(good), &fields); err != nil {
		t.Fatal(err)
	}
	with := func(field, value string) []byte {
		text := []byte("{")
		for name, own := range fields {
			if name != field {
				text = fmt.Appendf(text, "%q:%s,", name, own)
			}
		}
		return fmt.Appendf(text, "%q:%s}", field, value)
	}
	return map[string][]byte{
		"empty":                      {},
		"not JSON":                   []byte("posted by mistake"),
		"cut off":                    []byte(good[:len(good)/2]),
		"two objects":                []byte(good + good),
		"a string":                   []byte(`"text"`),
		"null":                       []byte("null"),
		"empty object":               []byte("{}"),
		"deep nesting":               with("extra", strings.Repeat("[", 200_000)+strings.Repeat("]", 200_000)),
		"invalid UTF-8":              bytes.Replace(with("title", `"xyz"`), []byte("xyz"), []byte{0xff, 0xfe}, 1),
		"NUL":                        with("title", `"a\u0000b"`),
		"raw NUL":                    bytes.Replace(with("title", `"xyz"`), []byte("xyz"), []byte{0}, 1),
		"half a surrogate pair":      with("title", `"\ud800"`),
		"huge integer":               with("index", "123456789012345678901234567890"),
		"huge integer, not declared": with("extra", "123456789012345678901234567890"),
		"number beyond a float":      with("extra", "1e400"),
		"long number":                with("extra", strings.Repeat("9", 2000)),
		"fraction for an integer":    with("index", "1.5"),
		"integer as text":            with("index", `"12"`),
		"duplicate key":              []byte(`{"index":1,` + good[1:]),
		"duplicate key, escaped":     []byte(`{"\u0069ndex":1,` + good[1:]),
		"reserved name":              with("_offset", "7"),
		"null in a required field":   with("category", "null"),
		"missing field":              []byte(strings.Replace(good, `"category"`, `"kategorie"`, 1)),
		"extra fields":               with("extra", `{"nested":[1,2,{"a":null}]}`),
		"overflowing followers":      with("follower_count", `"99999999999999999999k"`),
		"odd followers":              with("follower_count", `"12 k"`),
		"a byte order mark":          []byte("\ufeff" + good),
		"SQL in a text":              with("title", `"'); DROP TABLE posts; --"`),
		"long text":                  with("title", `"`+strings.Repeat("x", 900_000)+`"`),
		"wrong medium":               with("is_image_or_video", `"hologram"`),
	}
}

// TestPoison posts each poison and puts the same bytes straight into Kafka, among good neighbours. Nothing stops,
// neighbours are counted, and the API's verdict on a record is the live half's.
func TestPoison(t *testing.T) {
	data := dataFolder(t)
	p := start(t, data, "up", "--lake-flush", "100ms")
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{p.info.Kafka}})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	neighbours := emulate.Pins(11, 200)
	taken, records, next := map[string]bool{}, map[string]pinflow.Position{}, 0
	appendOne := func(value []byte) pinflow.Position {
		t.Helper()
		receipt := j.Append(t.Context(), []pinflow.Draft{{Topic: pins, Partition: pinflow.AnyPartition, Value: value}})[0]
		if receipt.Err != nil {
			t.Fatal(receipt.Err)
		}
		return receipt.Position
	}
	for name, value := range poison(t) {
		appendOne(neighbours[next])
		next++
		status := postOne(t, p.info.HTTP+"/pin/", value)
		if status >= 500 {
			t.Errorf("%s: answered %d", name, status)
		}
		taken[name] = status == http.StatusOK
		records[name] = appendOne(value)
	}
	if status := postOne(t, p.info.HTTP+"/pin/", []byte(strings.Repeat("[", 5<<20)+strings.Repeat("]", 5<<20))); status != http.StatusMultiStatus {
		t.Errorf("10 MB of nesting, which is a bulk of one bad record: answered %d", status)
	}
	if status := postOne(t, p.info.HTTP+"/pin/", []byte(`{"index":`+strings.Repeat("[", 5<<20)+strings.Repeat("]", 5<<20)+"}")); status != http.StatusRequestEntityTooLarge {
		t.Errorf("10 MB of nesting in a field: answered %d", status)
	}
	tombstone := appendOne(nil)
	last := appendOne(neighbours[next])
	waitUntilCounted(t, p, pins)

	counted, rejected := offsets(t, data, "SELECT _offset FROM posts"), offsets(t, data, `SELECT "offset" FROM rejects WHERE model = 'posts'`)
	for name, at := range records {
		// A byte order mark is no part of a posted record, but of one that is put into Kafka.
		if want := taken[name] && name != "a byte order mark"; counted[at.Offset] != want || rejected[at.Offset] == want {
			t.Errorf("%s: the API took it: %t; counted: %t; rejected: %t", name, taken[name], counted[at.Offset], rejected[at.Offset])
		}
	}
	if !rejected[tombstone.Offset] || counted[tombstone.Offset] {
		t.Error("the tombstone is not rejected")
	}
	if total := len(counted) + len(rejected); int64(total) != last.Offset+1 {
		t.Errorf("%d accepted + %d rejected are not the %d appended", len(counted), len(rejected), last.Offset+1)
	}
	p.interrupt()
	a := readAftermath(t, data, pins)
	a.lakeHolds(pins)
	for at := range a.records {
		if rejected[at.Offset] {
			delete(a.records, at)
		}
	}
	a.metricsAreExact()
}

func postOne(t *testing.T, url string, value []byte) int {
	t.Helper()
	answer, err := http.Post(url, "application/json", bytes.NewReader(value))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode
}

func offsets(t *testing.T, data, query string) map[int64]bool {
	t.Helper()
	set := map[int64]bool{}
	for _, row := range rowsOf(t, command(t, "sql", query, "--data", data, "--output", "json")) {
		var n int64
		if _, err := fmt.Sscan(fmt.Sprint(row[0]), &n); err != nil {
			t.Fatal(err)
		}
		if set[n] {
			t.Errorf("%s: %d comes twice", query, n)
		}
		set[n] = true
	}
	return set
}
