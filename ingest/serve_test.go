package ingest_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/ingest"
	"github.com/pinflow/pinflow/problem"
)

const noteSchema = `{"type":"object","required":["id","text"],"properties":{
	"id":{"type":["string","integer"]},"text":{"type":"string"},"stars":{"type":"integer","minimum":0}}}`

func noteSource() pinflow.Source {
	return pinflow.Source{Name: "note", Route: "/note/", Operation: "Get Db Row", Topic: "notes", Partitions: 3, Key: "id",
		Schema: json.RawMessage(noteSchema), SchemaFile: "note.json"}
}

// start serves ingest on a real listener and returns its URL.
func start(t testing.TB, o ingest.Options) string {
	t.Helper()
	return serve(t, open(t, o))
}

func open(t testing.TB, o ingest.Options) *ingest.Ingest {
	t.Helper()
	if o.Sources == nil {
		o.Sources = []pinflow.Source{noteSource()}
	}
	if d, ok := t.(*testing.T); ok && o.Spool == "" {
		o.Spool = d.TempDir()
	}
	in, err := ingest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func serve(t testing.TB, in *ingest.Ingest) string {
	t.Helper()
	mux := http.NewServeMux()
	in.Register(mux, nil)
	mux.Handle("/", problem.NotFound(mux))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		// Every handler has to end.
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("a handler does not end: %v", err)
		}
		<-done
	})
	return "http://" + l.Addr().String()
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   []byte
}

type result struct {
	Index  int `json:"index"`
	Status int `json:"status"`
	pinflow.Position
	Title, Kind, Detail, Hint string
	Errors                    []problem.Detail
}

type results struct {
	Taken, Refused int
	Results        []result
}

func (r reply) results(t testing.TB) results {
	t.Helper()
	var all results
	if err := json.Unmarshal(r.body, &all); err != nil {
		t.Fatalf("the answer %d is no results: %v\n%.300s", r.status, err, r.body)
	}
	taken, want := 0, http.StatusOK
	for i, one := range all.Results {
		if one.Index != i {
			t.Fatalf("result %d has the index %d", i, one.Index)
		}
		if one.Status == http.StatusOK {
			taken++
		} else {
			want = http.StatusMultiStatus
		}
	}
	if r.status != want || all.Taken != taken || all.Refused != len(all.Results)-taken {
		t.Fatalf("answered %d, %d taken, %d refused; the results say %d, %d of %d taken", r.status, all.Taken, all.Refused, want, taken, len(all.Results))
	}
	return all
}

func (r reply) problem(t testing.TB) problem.Problem {
	t.Helper()
	var p problem.Problem
	if err := json.Unmarshal(r.body, &p); err != nil || r.header.Get("Content-Type") != problem.ContentType || p.Status != r.status {
		t.Fatalf("the answer %d is no problem: %v\n%s", r.status, err, r.body)
	}
	return p
}

func (r reply) receipt(t testing.TB) pinflow.Position {
	t.Helper()
	var p pinflow.Position
	if err := json.Unmarshal(r.body, &p); err != nil || r.status != http.StatusOK {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	return p
}

// post sends a body; headers are names and values in turn.
func post(t testing.TB, url string, body io.Reader, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, req, headers...)
}

func do(t testing.TB, req *http.Request, headers ...string) reply {
	t.Helper()
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, b}
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute}

const ndjsonType = "application/x-ndjson"

func postLines(t testing.TB, url, body string) reply {
	t.Helper()
	return post(t, url, strings.NewReader(body), "Content-Type", ndjsonType)
}

func zipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// raw posts a body to /note/ in one chunk over a connection of its own. If cut, the connection ends without the
// last chunk.
func raw(t testing.TB, url string, body []byte, cut bool, headers ...string) reply {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST /note/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n")
	for i := 0; i < len(headers); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", headers[i], headers[i+1])
	}
	fmt.Fprintf(&b, "\r\n%x\r\n%s\r\n", len(body), body)
	if !cut {
		b.WriteString("0\r\n\r\n")
	}
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(b.Bytes())
		if cut && err == nil {
			err = conn.(*net.TCPConn).CloseWrite()
		}
		sent <- err
	}()
	a := readReply(t, conn)
	<-sent // a server that has answered need not read on
	return a
}

func readReply(t testing.TB, from io.Reader) reply {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(from), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, got}
}
