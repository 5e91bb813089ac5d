package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/ingest"
	"github.com/prometheus/client_golang/prometheus"
)

func TestPost(t *testing.T) {
	j := newJournal(1)
	url := start(t, ingest.Options{Journal: j, MaxRecord: 100_000})
	for _, c := range []struct{ name, body, value, key string }{
		{"as sent but for whitespace", "{ \"id\" : \"a b\",\n\"text\":\"t \\u0041 \\/\" , \"x\":[1, 2.50, 1E2, {\"y\":null}]}", `{"id":"a b","text":"t \u0041 \/","x":[1,2.50,1E2,{"y":null}]}`, "a b"},
		{"escaped key", `{"id":"\u00e9\n","text":""}`, `{"id":"\u00e9\n","text":""}`, "é\n"},
		{"number as key", `{"id":12345678901234567890123,"text":""}`, "", ""},
		{"integer as key", `{"id":12345678901234567,"text":""}`, `{"id":12345678901234567,"text":""}`, "12345678901234567"},
		{"byte order mark", "\ufeff{\"id\":\"a\",\"text\":\"\"}\r\n", `{"id":"a","text":""}`, "a"},
		{"large", `{"id":"a","text":"` + strings.Repeat("é ", 30_000) + `"}`, `{"id":"a","text":"` + strings.Repeat("é ", 30_000) + `"}`, "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, zip := range []bool{false, true} {
				body, headers := []byte(c.body), []string{"Content-Type", "application/json; charset=UTF-8"}
				if zip {
					body, headers = zipped(t, body), append(headers, "Content-Encoding", "gzip")
				}
				got := post(t, url+"/note/", bytes.NewReader(body), headers...)
				if c.value == "" {
					if got.problem(t).Status != 422 {
						t.Errorf("answered %s", got.body)
					}
					continue
				}
				p := got.receipt(t)
				d := j.at(t, p)
				if p.Topic != "notes" || string(d.Value) != c.value || string(d.Key) != c.key || len(d.Headers) != 0 {
					t.Errorf("%s holds the key %q, the value %.200s", p, d.Key, d.Value)
				}
			}
		})
	}
}

// TestRefused has one post per way to be refused.
func TestRefused(t *testing.T) {
	j := newJournal(1)
	url := start(t, ingest.Options{Journal: j, MaxRecord: 1 << 20, MaxBulk: 12 << 20})
	good := `{"id":"a","text":"b"}`
	zeros := zipped(t, make([]byte, 200<<20))
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		says                     string
	}{
		{"get", "GET", "/note/", "", nil, 405, "POST"},
		{"put", "PUT", "/note/", good, nil, 405, "POST"},
		{"options", "OPTIONS", "/note/", "", nil, 405, "POST"},
		{"elsewhere", "POST", "/nowhere", good, nil, 404, "/nowhere"},
		{"below", "POST", "/note/x", good, nil, 404, "/note/x"},
		{"xml", "POST", "/note/", good, []string{"Content-Type", "text/xml"}, 415, "application/json"},
		{"form", "POST", "/note/", good, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "--json"},
		{"no media type", "POST", "/note/", good, []string{"Content-Type", ";;"}, 415, ";;"},
		{"latin-1", "POST", "/note/", good, []string{"Content-Type", "application/json; charset=iso-8859-1"}, 415, "UTF-8"},
		{"brotli", "POST", "/note/", good, []string{"Content-Encoding", "br"}, 415, "gzip"},
		{"not gzip", "POST", "/note/", good, []string{"Content-Encoding", "gzip"}, 400, "gzip"},
		{"empty gzip", "POST", "/note/", "", []string{"Content-Encoding", "gzip"}, 400, "EOF"},
		{"empty", "POST", "/note/", "", nil, 400, "empty"},
		{"blank", "POST", "/note/", " \r\n\t", nil, 400, "empty"},
		{"only a byte order mark", "POST", "/note/", "\ufeff", nil, 400, "empty"},
		{"not json", "POST", "/note/", "hello", nil, 400, "value"},
		{"cut off", "POST", "/note/", good[:8], nil, 400, "ends"},
		{"two", "POST", "/note/", good + good, nil, 400, ""},
		{"lines as json", "POST", "/note/", good + "\n" + good, nil, 400, "ndjson"},
		{"utf-16", "POST", "/note/", "\xff\xfe{\x00}\x00", nil, 400, ""},
		{"invalid utf-8", "POST", "/note/", "{\"id\":\"a\",\"text\":\"\xc3\x28\"}", nil, 400, "UTF-8"},
		{"control character", "POST", "/note/", "{\"id\":\"a\",\"text\":\"\x01\"}", nil, 400, "control"},
		{"number", "POST", "/note/", "7", nil, 422, "must be an object"},
		{"null", "POST", "/note/", "null", nil, 422, "must be an object"},
		{"nothing of what is required", "POST", "/note/", "{}", nil, 422, "/id"},
		{"wrong type", "POST", "/note/", `{"id":"a","text":"b","stars":"x"}`, nil, 422, "/stars"},
		{"negative", "POST", "/note/", `{"id":"a","text":"b","stars":-1}`, nil, 422, "/stars"},
		{"huge integer", "POST", "/note/", `{"id":"a","text":"b","stars":` + strings.Repeat("9", 500) + `}`, nil, 422, "/stars"},
		{"a megabyte of digits", "POST", "/note/", `{"id":"a","text":"b","stars":` + strings.Repeat("9", 1_000_000) + `}`, nil, 422, "/stars"},
		{"NUL", "POST", "/note/", `{"id":"a","text":"\u0000"}`, nil, 422, "/text"},
		{"half a pair", "POST", "/note/", `{"id":"a","text":"\udc00"}`, nil, 422, "/text"},
		{"name twice", "POST", "/note/", `{"id":"a","text":"b","text":"c"}`, nil, 422, "/text"},
		{"reserved name", "POST", "/note/", `{"id":"a","text":"b","_key":"c"}`, nil, 422, "/_key"},
		{"deep", "POST", "/note/", `{"id":"a","text":"b","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, nil, 422, "deep"},
		{"10 MB of nesting", "POST", "/note/", strings.Repeat(`{"a":`, 2_000_000), nil, 413, "1048576"},
		{"large", "POST", "/note/", `{"id":"a","text":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "1048576"},
		{"larger than any bulk", "POST", "/note/", strings.Repeat(" ", 12<<20+1), nil, 413, "12582912"},
		{"a bomb", "POST", "/note/", string(zeros), []string{"Content-Encoding", "gzip"}, 413, ""},
		{"a bomb of lines", "POST", "/note/", string(zeros), []string{"Content-Encoding", "gzip", "Content-Type", ndjsonType}, 413, "12582912"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequest(c.method, url+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			got := do(t, req, c.headers...)
			p := got.problem(t)
			if p.Status != c.status || !strings.Contains(string(got.body), c.says) || p.Title == "" {
				t.Errorf("answered %d, want %d with %q: %.500s", got.status, c.status, c.says, got.body)
			}
			if c.status == 405 && got.header.Get("Allow") != "POST" {
				t.Errorf("Allow is %q", got.header.Get("Allow"))
			}
			if c.status == 422 && len(p.Errors) == 0 {
				t.Errorf("no faults are listed: %s", got.body)
			}
		})
	}
	if j.count() != 0 {
		t.Errorf("%d refused records were appended", j.count())
	}
	post(t, url+"/note", strings.NewReader(good)).receipt(t) // the slash may be left out
	post(t, url+"/note/", strings.NewReader(`{"id":"a","text":"b","x":`+strings.Repeat("[", 63)+strings.Repeat("]", 63)+`}`)).receipt(t)
}

func TestAllFaultsAreListed(t *testing.T) {
	url := start(t, ingest.Options{Journal: newJournal(1)})
	p := post(t, url+"/note/", strings.NewReader(`{"text":1,"stars":-1}`)).problem(t)
	var paths []string
	for _, e := range p.Errors {
		paths = append(paths, e.Path)
	}
	if !slices.Equal(paths, []string{"/id", "/stars", "/text"}) {
		t.Errorf("the faults are %+v", p.Errors)
	}
}

// TestNoAnswerBeforeTheAck holds the journal's acknowledgement back and sees that the client is not answered.
func TestNoAnswerBeforeTheAck(t *testing.T) {
	for name, body := range map[string]string{"post": `{"id":"a","text":"b"}`, "bulk": `[{"id":"a","text":"b"}]`} {
		j := newJournal(1)
		j.gate = make(chan struct{})
		url := start(t, ingest.Options{Journal: j, Timeout: time.Hour})
		answered := make(chan reply, 1)
		go func() { answered <- post(t, url+"/note/", strings.NewReader(body)) }()
		j.entered(t)
		select {
		case a := <-answered:
			t.Errorf("%s: answered %d before the journal was", name, a.status)
		default:
		}
		close(j.gate)
		if a := <-answered; a.status != 200 || j.count() != 1 {
			t.Errorf("%s: answered %d", name, a.status)
		}
	}
}

func TestJournalDown(t *testing.T) {
	j := newJournal(1)
	j.fail = func(int, pinflow.Draft) error { return unavailable() }
	url := start(t, ingest.Options{Journal: j})
	got := post(t, url+"/note/", strings.NewReader(`{"id":"a","text":"b"}`))
	if p := got.problem(t); p.Status != 503 || got.header.Get("Retry-After") == "" || p.Hint == "" || !strings.Contains(p.Detail, "the broker is down") {
		t.Errorf("answered %s", got.body)
	}
}

// TestTopicGone blames the journal, not the poster, who is to keep the record and send it again.
func TestTopicGone(t *testing.T) {
	j := newJournal(1)
	j.fail = func(int, pinflow.Draft) error {
		return &pinflow.Error{Op: "append", Kind: pinflow.NotFound, Hint: "Create the topic."}
	}
	got := post(t, start(t, ingest.Options{Journal: j})+"/note/", strings.NewReader(`{"id":"a","text":"b"}`))
	if p := got.problem(t); p.Status != 503 || got.header.Get("Retry-After") == "" || p.Hint != "Create the topic." {
		t.Errorf("answered %s", got.body)
	}
}

// TestSlowClients has clients that send nothing, or next to nothing: they are told, and hold no room.
func TestSlowClients(t *testing.T) {
	const timeout = 100 * time.Millisecond
	url := start(t, ingest.Options{Journal: newJournal(1), Timeout: timeout})
	for _, c := range []struct {
		name, content string
		length        int64 // -1: not told
		every         time.Duration
	}{
		{"small", "application/json", 30, time.Hour},
		{"large", "application/json", 300_000, timeout / 20},
		{"bulk", ndjsonType, -1, timeout / 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := &dawdling{every: c.every, done: make(chan struct{})}
			defer close(body.done)
			req, _ := http.NewRequest(http.MethodPost, url+"/note/", body)
			req.ContentLength = c.length
			began := time.Now()
			p := do(t, req, "Content-Type", c.content).problem(t)
			if took := time.Since(began); p.Status != http.StatusRequestTimeout || took > 5*time.Second {
				t.Errorf("answered %d after %s", p.Status, took)
			}
		})
	}
}

// dawdling is a body of spaces that come one by one.
type dawdling struct {
	every time.Duration
	done  chan struct{}
}

func (d *dawdling) Read(p []byte) (int, error) {
	select {
	case <-time.After(d.every):
		p[0] = ' '
		return 1, nil
	case <-d.done:
		return 0, io.ErrUnexpectedEOF
	}
}

func TestNoRoom(t *testing.T) {
	in := open(t, ingest.Options{Journal: newJournal(1), Timeout: time.Second}) // which a client has, too, for each piece of a body
	url := serve(t, in)
	release := holdRoom(t, in)
	large := `{"id":"a","text":"` + strings.Repeat("x", 100_000) + `"}`
	var posts sync.WaitGroup
	for name, send := range map[string]func() reply{
		"bulk":  func() reply { return postLines(t, url+"/note/", large) },
		"large": func() reply { return post(t, url+"/note/", strings.NewReader(large)) },
		"topic": func() reply { return post(t, url+"/topics/notes", strings.NewReader(`{"records":[]}`)) },
	} {
		posts.Go(func() {
			got := send()
			if p := got.problem(t); p.Status != 503 || got.header.Get("Retry-After") == "" {
				t.Errorf("%s: answered %s", name, got.body)
			}
		})
	}
	posts.Wait()
	post(t, url+"/note/", strings.NewReader(`{"id":"a","text":"b"}`)).receipt(t) // small posts need none
	release()
	if all := postLines(t, url+"/note/", large).results(t); all.Taken != 1 {
		t.Errorf("%d taken when there is room again", all.Taken)
	}
	holdRoom(t, in)() // all of it was given back
}

func holdRoom(t *testing.T, in *ingest.Ingest) (release func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	release, err := in.HoldRoom(ctx)
	if err != nil {
		t.Fatal("not all room was given back")
	}
	return release
}

func TestNewListsAllFaults(t *testing.T) {
	bad, twice := noteSource(), noteSource()
	bad.Name, bad.Route, bad.Topic = "bad", "no-slash", "other"
	twice.Name = "twice"
	wrong := noteSource()
	wrong.Name, wrong.Route, wrong.Topic, wrong.Schema = "wrong", "/wrong", "wrong", json.RawMessage(`{"type":7}`)
	_, err := ingest.New(ingest.Options{Sources: []pinflow.Source{noteSource(), bad, twice, wrong}, Journal: newJournal(1)})
	if pinflow.KindOf(err) != pinflow.Invalid {
		t.Fatalf("the error is %v", err)
	}
	for _, says := range []string{"no-slash", "note and twice have the same route /note", "note and twice have the same topic notes", "the schema of the source wrong"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q is missing in %v", says, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	j := newJournal(1)
	url := start(t, ingest.Options{Journal: j, Metrics: registry})
	post(t, url+"/note/", strings.NewReader(`{"id":"a","text":"b"}`))
	post(t, url+"/note/", strings.NewReader(`nope`))
	postLines(t, url+"/note/", `{"id":"a","text":"b"}`+"\n{}\n"+`{"id":"a","text":"b"}`)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			if c := m.Counter; c != nil && c.GetValue() > 0 {
				got[name] = c.GetValue()
			}
		}
	}
	for name, want := range map[string]float64{"pinflow_ingest_posts_total note 200": 3, "pinflow_ingest_posts_total note 400": 1,
		"pinflow_ingest_posts_total note 422": 1, "pinflow_ingest_bytes_total note": 21 + 4 + 46} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v (all: %v)", name, got[name], want, got)
		}
	}
}
