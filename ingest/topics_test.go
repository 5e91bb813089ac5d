package ingest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/ingest"
)

type restAnswer struct {
	Offsets []struct {
		Partition *int32
		Offset    *int64
		Code      *int `json:"error_code"`
		Error     *string
	}
	Code    int `json:"error_code"`
	Message string
	Status  int
}

func postREST(t *testing.T, url, body string) (reply, restAnswer) {
	t.Helper()
	got := post(t, url, strings.NewReader(body), "Content-Type", "application/vnd.kafka.json.v2+json")
	var a restAnswer
	if err := json.Unmarshal(got.body, &a); err != nil {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
	return got, a
}

func TestTopics(t *testing.T) {
	j := newJournal(1)
	keyless := noteSource()
	keyless.Name, keyless.Route, keyless.Topic, keyless.Key = "plain", "/plain/", "plains", ""
	url := start(t, ingest.Options{Journal: j, Sources: []pinflow.Source{noteSource(), keyless}})
	got, a := postREST(t, url+"/topics/notes", `{"value_schema_id":null,"records":[
		{"value":{"id":"a", "text":"\u0041"}}, {"value":{"id":"b"}}, {"key":"c","value":{"id":"c","text":""}},
		{"key":"x","value":{"id":"d","text":""}}, {"value":null}, {}, {"partition":1,"value":{"id":"e","text":""}}]}`)
	if got.status != 200 || got.header.Get("Content-Type") != "application/vnd.kafka.v2+json" || len(a.Offsets) != 7 {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
	for i, says := range []string{"", "/text is missing", "", "/key", "must be an object", "must be an object", "/partition"} {
		o := a.Offsets[i]
		switch {
		case says == "" && (o.Code != nil || o.Offset == nil || o.Partition == nil):
			t.Errorf("record %d was not taken: %s", i, got.body)
		case says != "" && (o.Code == nil || *o.Code != 1 || o.Offset != nil || !strings.Contains(*o.Error, says)):
			t.Errorf("record %d should be refused with %q: %s", i, says, got.body)
		}
	}
	if d := j.records[0][0]; j.count() != 2 || string(d.Value) != `{"id":"a","text":"\u0041"}` || string(d.Key) != "a" {
		t.Errorf("the journal has %d, first %s", j.count(), d.Value)
	}
	if got, _ = postREST(t, url+"/topics/plains", `{"records":[{"key":{"k": 1},"partition":5,"value":{"id":"a","text":""}},{"key":"é","value":{"id":"a","text":""}}]}`); got.status != 200 {
		t.Fatalf("answered %s", got.body)
	}
	if k := j.records[5][0].Key; string(k) != `{"k":1}` {
		t.Errorf("the key is %s", k)
	}
	if k := j.records[0][2].Key; string(k) != "é" {
		t.Errorf("the key is %s", k)
	}
}

func TestTopicsRefused(t *testing.T) {
	j := newJournal(1)
	url := start(t, ingest.Options{Journal: j})
	many := `{"records":[` + strings.Repeat(`{},`, 10_000) + `{}]}`
	for _, c := range []struct {
		name, topic, body string
		status, code      int
	}{
		{"no such topic", "nowhere", `{"records":[]}`, 404, 40401},
		{"not json", "notes", `hello`, 400, 400},
		{"no object", "notes", `[]`, 400, 400},
		{"no records", "notes", `{}`, 422, 422},
		{"records null", "notes", `{"records":null}`, 422, 422},
		{"records empty", "notes", `{"records":[]}`, 422, 422},
		{"a member that nobody heeds", "notes", `{"records":[{"value":{"id":"a","text":""}}],"acks":0}`, 422, 422},
		{"a record's member that nobody heeds", "notes", `{"records":[{"value":{"id":"a","text":""},"headers":[]}]}`, 422, 422},
		{"records no list", "notes", `{"records":{}}`, 400, 400},
		{"a record no object", "notes", `{"records":[1]}`, 400, 400},
		{"cut off", "notes", `{"records":[{"value":{"id"`, 400, 400},
		{"something behind", "notes", `{"records":[]} x`, 400, 400},
		{"partition no number", "notes", `{"records":[{"partition":"x"}]}`, 400, 400},
		{"too many", "notes", many, 413, 413},
		{"too large", "notes", `{"records":[{"value":"` + strings.Repeat("x", 9<<20) + `"}]}`, 413, 413},
		{"none good", "notes", `{"records":[{"value":{}}]}`, 422, 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, a := postREST(t, url+"/topics/"+c.topic, c.body)
			if got.status != c.status || a.Code != c.code || a.Message == "" || a.Status != c.status {
				t.Errorf("answered %d %.300s", got.status, got.body)
			}
		})
	}
	req, _ := http.NewRequest(http.MethodGet, url+"/topics/notes", nil)
	if got := do(t, req); got.status != 405 || got.header.Get("Allow") != "POST" {
		t.Errorf("GET is answered with %d", got.status)
	}
	if got := post(t, url+"/topics/notes", strings.NewReader("{}"), "Content-Type", "application/vnd.kafka.avro.v2+json"); got.status != 415 {
		t.Errorf("Avro is answered with %d", got.status)
	}
	if j.count() != 0 {
		t.Errorf("the journal has %d records of posts that were refused", j.count())
	}
	j.fail = func(n int, _ pinflow.Draft) error {
		if n == 1 {
			return nil
		}
		return unavailable()
	}
	good := `{"value":{"id":"a","text":""}}`
	if got, a := postREST(t, url+"/topics/notes", `{"records":[`+good+`]}`); got.status != 503 || got.header.Get("Retry-After") == "" || *a.Offsets[0].Code != 2 {
		t.Errorf("a journal that is down is answered with %d %s", got.status, got.body)
	}
	if got, a := postREST(t, url+"/topics/notes", fmt.Sprintf(`{"records":[%s,%s]}`, good, good)); got.status != 200 || a.Offsets[0].Offset == nil || *a.Offsets[1].Code != 2 {
		t.Errorf("a journal that takes one is answered with %d %s", got.status, got.body)
	}
}

// TestTopicsAccept answers a client of the proxy in the content type that it reads.
func TestTopicsAccept(t *testing.T) {
	url := start(t, ingest.Options{Journal: newJournal(1)})
	for accept, want := range map[string]string{"": "application/problem+json", "*/*": "application/problem+json",
		"application/vnd.kafka.v2+json, application/json": "application/vnd.kafka.v2+json"} {
		got := post(t, url+"/topics/notes", strings.NewReader(`{"records":[]}`), "Accept", accept)
		if got.status != 422 || got.header.Get("Content-Type") != want {
			t.Errorf("who accepts %q is answered %d as %s", accept, got.status, got.header.Get("Content-Type"))
		}
	}
}

// TestTopicsPartition tells who asks for a partition that is not there from a topic that has gone.
func TestTopicsPartition(t *testing.T) {
	j, keyless := newJournal(1), noteSource()
	keyless.Key = ""
	j.fail = func(int, pinflow.Draft) error {
		return &pinflow.Error{Op: "append", On: "notes", Kind: pinflow.NotFound}
	}
	url := start(t, ingest.Options{Journal: j, Sources: []pinflow.Source{keyless}})
	for asked, want := range map[string]int{`"partition":3,`: 422, `"partition":2,`: 503, ``: 503} {
		got, a := postREST(t, url+"/topics/notes", `{"records":[{`+asked+`"value":{"id":"a","text":""}}]}`)
		if retry := len(a.Offsets) == 1 && *a.Offsets[0].Code == 2; got.status != want || retry != (want == 503) {
			t.Errorf("%s is answered with %d %s", asked, got.status, got.body)
		}
	}
}
