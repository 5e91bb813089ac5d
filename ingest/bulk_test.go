package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/ingest"
)

// TestBulkIsItsRecordsPostedAlone posts random records, good and bad, one by one and as bulks of both
// forms, with small buffers so that records lie across their ends.
func TestBulkIsItsRecordsPostedAlone(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		records := make([]string, r.IntN(1200))
		for i := range records {
			records[i] = randomRecord(r)
		}
		alone, lines, elements := newJournal(3), newJournal(3), newJournal(3)
		options := func(j *journal) ingest.Options {
			return ingest.Options{Journal: j, MaxRecord: 300 + r.IntN(2000)}
		}
		o := options(alone)
		var want []result
		url := start(t, o)
		for i, rec := range records {
			want = append(want, resultOf(t, i, post(t, url+"/note/", strings.NewReader(rec))))
		}
		var asLines, asArray strings.Builder
		asArray.WriteString(pick(r, "", "\ufeff", " \n", "\ufeff\r\n ") + "[")
		for i, rec := range records {
			asLines.WriteString(pick(r, "", "\n", " \r\n") + rec)
			if i < len(records)-1 || r.IntN(2) == 0 {
				asLines.WriteString(pick(r, "\n", "\r\n"))
			}
			asArray.WriteString(pick(r, "", "\n", " ", "\t") + rec + pick(r, "", " "))
			if i < len(records)-1 {
				asArray.WriteByte(',')
			}
		}
		asArray.WriteString("]" + pick(r, "", "\n", " \n "))
		for _, c := range []struct {
			journal *journal
			body    string
			content string
		}{{lines, pick(r, "", "\ufeff") + asLines.String(), ndjsonType}, {elements, asArray.String(), "application/json"}} {
			o.Journal = c.journal
			body, headers := []byte(c.body), []string{"Content-Type", c.content}
			if r.IntN(2) == 0 {
				body, headers = zipped(t, body), append(headers, "Content-Encoding", "gzip")
			}
			got := post(t, start(t, o)+"/note/", bytes.NewReader(body), headers...).results(t)
			for i := range max(len(want), len(got.Results)) {
				if i >= len(want) || i >= len(got.Results) || !reflect.DeepEqual(got.Results[i], want[i]) {
					t.Fatalf("seed %d, %s: %d results, want %d; at %d\n got %s\nwant %s\nrecord %.300q", seed, c.content, len(got.Results), len(want), i,
						asJSON(at(got.Results, i)), asJSON(at(want, i)), at(records, i))
				}
			}
			if !reflect.DeepEqual(c.journal.records, alone.records) {
				t.Fatalf("seed %d, %s: the journals differ", seed, c.content)
			}
		}
	}
}

func at[T any](list []T, i int) (zero T) {
	if i < len(list) {
		return list[i]
	}
	return zero
}

func asJSON(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}

func pick(r *rand.Rand, choices ...string) string { return choices[r.IntN(len(choices))] }

// resultOf is the result that a bulk should give for a record that was answered with a when posted alone.
func resultOf(t *testing.T, index int, a reply) result {
	t.Helper()
	if a.status == 200 {
		return result{Index: index, Status: 200, Position: a.receipt(t)}
	}
	p := a.problem(t)
	return result{Index: index, Status: p.Status, Title: p.Title, Kind: p.Kind, Detail: p.Detail, Errors: p.Errors}
}

// randomRecord is a record without line breaks whose brackets and strings close, but which may be wrong in any other way.
func randomRecord(r *rand.Rand) string {
	text, _ := json.Marshal(strings.Repeat(pick(r, "a", `\`, `"`, "é", "{", "],", "\n", " "), r.IntN(40)))
	good := fmt.Sprintf(`{"id":"%d" , "text": %s,"stars":%d,"more":[{"x":[1,{}]},"]"]}`, r.IntN(20), text, r.IntN(5))
	switch r.IntN(12) {
	case 0:
		return `{"id":1,"stars":"x"}`
	case 1:
		return pick(r, `1`, `"x,]}"`, `null`, `{}`, `-0.5e3`)
	case 2:
		return pick(r, `{"id":tru,"text":"a"}`, `{"id":"1","text":"a"} {"id":"2","text":"b"}`, `{"id":"1" "text":"a"}`, `{'id':1}`, "{\"id\":\"\xff\",\"text\":\"\"}", `nope`)
	case 3:
		return pick(r, `{"id":"1","id":"2","text":"a"}`, `{"id":"1","text":"\u0000"}`, `{"id":"1","text":"\ud800"}`, `{"id":"1","text":"a","stars":1e999}`,
			`{"id":"1","text":"a","stars":99999999999999999999999}`, `{"id":"1","text":"a","_offset":1}`)
	case 4:
		return fmt.Sprintf(`{"id":"big","text":"%s"}`, strings.Repeat("b", r.IntN(4000)+r.IntN(50)/49*r.IntN(700_000)))
	case 5:
		n := r.IntN(100)
		return `{"id":"deep","text":"","d":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	return good
}

func TestBulkTellsWhatTheJournalDidNotTake(t *testing.T) {
	const n = 9000
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, `{"id":%d,"text":"t"}`+"\n", i)
	}
	for _, c := range []struct {
		name  string
		fail  func(n int, d pinflow.Draft) error
		taken func(asked int) int // of so many that the journal was asked for
		whole bool                // it goes on being asked
	}{
		{"down in the middle", func(n int, _ pinflow.Draft) error {
			if n >= 5000 {
				return unavailable()
			}
			return nil
		}, func(int) int { return 5000 }, false},
		{"one record too large for it", func(n int, _ pinflow.Draft) error {
			if n == 77 {
				return &pinflow.Error{Op: "produce", Kind: pinflow.TooLarge}
			}
			return nil
		}, func(asked int) int { return asked - 1 }, true},
		{"one record lost on the way", func(n int, _ pinflow.Draft) error {
			if n == 77 {
				return unavailable()
			}
			return nil
		}, func(asked int) int { return asked - 1 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJournal(1)
			j.fail = c.fail
			got := postLines(t, start(t, ingest.Options{Journal: j})+"/note/", body.String())
			all := got.results(t)
			if len(all.Results) != n || all.Taken != j.count() || j.count() != c.taken(j.seen) || (j.seen == n) != c.whole {
				t.Fatalf("%d results; the journal was asked for %d, has %d, and %d are said to be taken", len(all.Results), j.seen, j.count(), all.Taken)
			}
			retry := false
			for i, one := range all.Results {
				if one.Status == 200 {
					if d := j.at(t, one.Position); string(d.Key) != fmt.Sprint(i) {
						t.Fatalf("the receipt of record %d is that of %s", i, d.Key)
					}
					continue
				}
				retry = retry || one.Status == 503
				if one.Detail == "" || (one.Status != 503 && one.Status != 413) {
					t.Fatalf("result %d: %+v", i, one)
				}
			}
			if (got.header.Get("Retry-After") != "") != retry {
				t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
			}
		})
	}
}

// TestBulkThatBreaksOff has bodies that cannot be read to their end.
func TestBulkThatBreaksOff(t *testing.T) {
	good := func(n int) string { return strings.Repeat(`{"id":"a","text":"b"},`, n) }
	lines := func(n int) string { return strings.Repeat(`{"id":"a","text":"b"}`+"\n", n) }
	for _, c := range []struct {
		name, content, body string
		cut                 bool // the connection says that more would come
		taken, status       int  // status of the last result
	}{
		{"array not closed", "application/json", "[" + good(5000), false, 5000, 400},
		{"array ends in a record", "application/json", "[" + good(3) + `{"id":`, false, 3, 400},
		{"comma missing within an element", "application/json", "[" + good(2) + `{"id":"a","text":"b"}{"id":"a","text":"b"}]`, false, 2, 400},
		{"trailing comma", "application/json", "[" + good(3) + "]", false, 3, 400},
		{"two commas", "application/json", "[" + good(3) + "," + good(3) + "]", false, 3, 400},
		{"something behind", "application/json", "[" + strings.TrimSuffix(good(3), ",") + "] x", false, 3, 400},
		{"stray brace", "application/json", "[" + strings.TrimSuffix(good(3), ",") + "}]", false, 2, 400},
		{"larger than a bulk", ndjsonType, lines(60_000), true, 0, 413},
		{"connection ends in a record", ndjsonType, lines(5000) + `{"id":"a","text":"b"}`, true, 5000, 400},
		{"gzip ends early", "gzip", lines(2000), true, 0, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJournal(2)
			url := start(t, ingest.Options{Journal: j, MaxBulk: 1 << 20})
			headers := []string{"Content-Type", c.content}
			body := []byte(c.body)
			if c.content == "gzip" {
				headers = []string{"Content-Type", ndjsonType, "Content-Encoding", "gzip"}
				body = zipped(t, body)
				body = body[:len(body)-9]
			}
			got := raw(t, url, body, c.cut, headers...)
			all := got.results(t)
			last := all.Results[len(all.Results)-1]
			if got.status != 207 || all.Refused != 1 || last.Status != c.status || last.Detail == "" {
				t.Fatalf("answered %d, %d refused, the last %+v", got.status, all.Refused, last)
			}
			if all.Taken != j.count() || c.taken != 0 && all.Taken != c.taken {
				t.Errorf("%d are said to be taken, %d were, want %d", all.Taken, j.count(), c.taken)
			}
		})
	}
}

func TestIdempotencyKeyTravels(t *testing.T) {
	j := newJournal(1)
	url := start(t, ingest.Options{Journal: j})
	bulk := `[{"id":"a","text":""},{},{"id":"a","text":""}]`
	post(t, url+"/note/", strings.NewReader(`{"id":"a","text":""}`), "Idempotency-Key", "k").receipt(t)
	post(t, url+"/note/", strings.NewReader(bulk), "Idempotency-Key", "k").results(t)
	post(t, url+"/note/", strings.NewReader(bulk), "Idempotency-Key", "k").results(t)
	post(t, url+"/note/", strings.NewReader("{\"id\":\"a\",\"text\":\"\"}\n"), "Idempotency-Key", "l", "Content-Type", "application/x-ndjson").results(t)
	rest := `{"records":[{"value":{"id":"a","text":""}},{"value":1},{"value":{"id":"a","text":""}}]}`
	post(t, url+"/topics/notes", strings.NewReader(rest), "Idempotency-Key", "m", "Content-Type", "application/vnd.kafka.json.v2+json")
	want := []string{"k", "k:0", "k:2", "k:0", "k:2", "l:0", "m:0", "m:2"}
	if j.count() != len(want) {
		t.Fatalf("%d records", j.count())
	}
	for i, want := range want {
		if h := j.records[0][i].Headers; len(h) != 1 || h[0].Key != "Idempotency-Key" || string(h[0].Value) != want {
			t.Errorf("record %d has the headers %+v, want %s", i, h, want)
		}
		if v := string(j.records[0][i].Value); v != `{"id":"a","text":""}` {
			t.Errorf("record %d has the value %s", i, v)
		}
	}
}

func TestIdempotencyKeyIsRefused(t *testing.T) {
	j := newJournal(1)
	url := start(t, ingest.Options{Journal: j})
	for _, path := range []string{"/note/", "/topics/notes"} {
		for _, key := range []string{strings.Repeat("k", 256), "", "a b", "é", "a\tb"} {
			body := `{"id":"a","text":""}`
			if path != "/note/" {
				body = `{"records":[{"value":` + body + `}]}`
			}
			if got := post(t, url+path, strings.NewReader(body), "Idempotency-Key", key); got.status != 400 {
				t.Errorf("%s with %q: %d", path, key, got.status)
			}
		}
	}
	if j.count() != 0 {
		t.Errorf("%d records were taken", j.count())
	}
	if got := post(t, url+"/note/", strings.NewReader(`{"id":"a","text":""}`), "Idempotency-Key", strings.Repeat("~", 255)); got.status != 200 {
		t.Errorf("the longest key: %d", got.status)
	}
}

// TestBulkOfManyResults has results that don't fit into memory: they are answered whole nevertheless.
func TestBulkOfManyResults(t *testing.T) {
	const n = 200_000
	j := newJournal(7)
	url := start(t, ingest.Options{Journal: j})
	var body bytes.Buffer
	for i := range n {
		fmt.Fprintf(&body, `{"id":%d,"text":"%x"}`+"\n", i, rand.Uint64())
	}
	all := post(t, url+"/note/", &body, "Content-Type", ndjsonType).results(t)
	if all.Taken != n || j.count() != n {
		t.Fatalf("%d taken, the journal has %d", all.Taken, j.count())
	}
	for i, one := range all.Results {
		if string(j.records[one.Partition][one.Offset].Key) != fmt.Sprint(i) {
			t.Fatalf("the receipt of %d is that of %s", i, j.records[one.Partition][one.Offset].Key)
		}
	}
}

func TestBulkOfTooManyRecords(t *testing.T) {
	j := newJournal(1)
	j.forget = true
	got := postLines(t, start(t, ingest.Options{Journal: j})+"/note/", strings.Repeat("0\n", 1_000_002))
	if !json.Valid(got.body) {
		t.Fatal("the answer is no JSON")
	}
	lines := bytes.Split(bytes.TrimSpace(got.body), []byte("\n"))
	if got.status != 207 || len(lines) != 1_000_003 || !bytes.Contains(lines[1], []byte(`"status":422`)) ||
		!bytes.Contains(lines[1_000_001], []byte(`{"index":1000000,"status":413`)) {
		t.Fatalf("answered %d, %d lines, the last result %s", got.status, len(lines), lines[len(lines)-2])
	}
}

// TestJournalThatDoesNotAnswer has a journal that takes longer than a post waits, and may read the records still later.
func TestJournalThatDoesNotAnswer(t *testing.T) {
	j := newJournal(1)
	j.gate = make(chan struct{})
	url := start(t, ingest.Options{Journal: j, Timeout: 500 * time.Millisecond}) // which a client has, too, for each piece of a body
	var posts sync.WaitGroup
	for range 20 {
		posts.Go(func() {
			if p := post(t, url+"/note/", strings.NewReader(`{"id":"a","text":"b"}`)).problem(t); p.Status != 503 {
				t.Errorf("answered %d", p.Status)
			}
		})
	}
	posts.Wait()
	var lines strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&lines, `{"id":"%d", "text":"%s"}`+"\n", i, strings.Repeat("x", 200))
	}
	body := lines.String()
	for ahead := range 9 { // the journal stops in any of the buffers
		j.mu.Lock()
		j.calls, j.ahead = 0, ahead
		before := j.seen
		j.mu.Unlock()
		got := postLines(t, url+"/note/", body)
		if all := got.results(t); all.Taken != j.seen-before || len(all.Results) != 20_000 || got.header.Get("Retry-After") == "" {
			t.Fatalf("%d taken of %d", all.Taken, len(all.Results))
		}
		j.checkLate(t)
	}
	close(j.gate)
	post(t, url+"/note/", strings.NewReader(`{"id":"a","text":"b"}`)).receipt(t)
	j.checkLate(t)
}

func TestClientThatGoesAway(t *testing.T) {
	for _, c := range []struct{ name, content, body string }{
		{"post", "application/json", `{"id":"a","text":"b"}`},
		{"bulk", ndjsonType, strings.Repeat(`{"id":"a","text":"b"}`+"\n", 2500)},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJournal(1)
			j.gate, j.left = make(chan struct{}), make(chan struct{}, 1)
			url := start(t, ingest.Options{Journal: j, Timeout: time.Hour})
			ctx, cancel := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/note/", strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", c.content)
			wait := make(chan struct{})
			go func() {
				defer close(wait)
				if resp, err := client.Do(req); err == nil {
					resp.Body.Close()
					t.Error("the client was answered")
				}
			}()
			j.entered(t)
			cancel()
			<-wait
			<-j.left // the wait for the journal has ended, although an hour was left
			close(j.gate)
			post(t, url+"/note/", strings.NewReader(`{"id":"a","text":"b"}`)).receipt(t)
			j.checkLate(t)
		})
	}
}

// TestResultsThatCannotBeKept has no folder for them: the bulk stops, and tells all that it has done.
func TestResultsThatCannotBeKept(t *testing.T) {
	j := newJournal(1)
	url := start(t, ingest.Options{Journal: j, Spool: t.TempDir() + "/missing"})
	var body bytes.Buffer
	for i := range 300_000 {
		fmt.Fprintf(&body, "{\"id\":%d,\"text\":\"\",\"%x\":1}\n{\"%x\":1}\n", i, i*7919, i*104729)
	}
	all := post(t, url+"/note/", &body, "Content-Type", ndjsonType).results(t)
	last := all.Results[len(all.Results)-1]
	if last.Status != 500 || !strings.Contains(last.Detail, "missing") || all.Taken != j.count() || len(all.Results) >= 600_000 {
		t.Fatalf("%d results, %d said to be taken, the journal has %d, the last %+v", len(all.Results), all.Taken, j.count(), last)
	}
}

// TestManyAndLongFaults has records whose faults are many, or so long that they are not told whole.
func TestManyAndLongFaults(t *testing.T) {
	closed := noteSource()
	closed.Schema = json.RawMessage(`{"type":"object","properties":{"id":{"type":"string"}},"additionalProperties":false}`)
	url := start(t, ingest.Options{Journal: newJournal(1), Sources: []pinflow.Source{closed}})
	record := func(fields, length int) string {
		var b strings.Builder
		for i := range fields {
			fmt.Fprintf(&b, `,"%d%s":1`, i, strings.Repeat("n", length))
		}
		return "{" + b.String()[1:] + "}"
	}
	all := postLines(t, url+"/note/", record(50, 1)+"\n"+record(500, 1)+"\n"+record(90, 8000)+"\n").results(t)
	for i, want := range []int{50, 101, 6} {
		faults := all.Results[i].Errors
		if len(faults) != want || all.Results[i].Status != 422 {
			t.Errorf("record %d: %d, %d faults, want %d", i, all.Results[i].Status, len(faults), want)
		}
		if i > 0 && !strings.Contains(faults[len(faults)-1].Reason, "more faults") {
			t.Errorf("record %d: the last fault is %.200v", i, faults[len(faults)-1])
		}
	}
}
