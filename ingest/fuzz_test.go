package ingest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pinflow/pinflow/ingest"
)

// FuzzBody posts bodies of any kind. Whatever comes, the answer is one JSON document, its results have receipts for
// exactly the records that the journal has, these are objects that satisfy the schema, and an array that is JSON has
// one result per element.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{`{"id":"a","text":"b"}`, `[{"id":"a","text":"b"},{"id":1,"text":""},7,"]",[[]]]`, "{\"id\":\"a\",\"text\":\"b\"}\r\n\n{}\nx",
		"\ufeff[ ]", `[{"id":"a","text":"\\\"]"}`, "[,]", "[1,]", "[}", `[{"id":"a","text":"b"}]]`, strings.Repeat("[", 3000), strings.Repeat(`{"a":`, 3000),
		"[\"\xff\",{\"id\":\"\\u0000\",\"text\":\"\\ud800\"}]", `{"id":"a","id":"b","text":""}`, `[{"id":"a","text":"b","x":99999999999999999999999999}]`,
		"\x00", "[\x00]", `[{"id":"` + strings.Repeat("k", 700) + `","text":""},{"id":"a","text":"b"}]`} {
		for _, content := range []bool{false, true} {
			f.Add([]byte(seed), content)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, lines bool) {
		j := newJournal(1)
		in := open(t, ingest.Options{Journal: j, MaxRecord: 500, Spool: "."})
		mux := http.NewServeMux()
		in.Register(mux, nil)
		req := httptest.NewRequest(http.MethodPost, "/note/", bytes.NewReader(body))
		if lines {
			req.Header.Set("Content-Type", ndjsonType)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, req)
		a := reply{w.Code, w.Header(), w.Body.Bytes()}
		taken := 0
		switch {
		case w.Code >= 400:
			a.problem(t)
		case bytes.Contains(a.body, []byte(`"results":[`)):
			all := a.results(t)
			taken = all.Taken
			var elements []json.RawMessage
			if !lines && json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &elements) == nil && len(elements) != len(all.Results) {
				t.Errorf("%d results for %d elements of %q", len(all.Results), len(elements), body)
			}
		default:
			a.receipt(t)
			taken = 1
		}
		if taken != j.count() {
			t.Errorf("%d receipts, the journal has %d; body %q", taken, j.count(), body)
		}
		for _, d := range j.records[0] {
			var v map[string]any
			if err := json.Unmarshal(d.Value, &v); err != nil || v["text"] == nil || v["id"] == nil {
				t.Errorf("%q was appended: %v", d.Value, err)
			}
		}
	})
}
