package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
)

// event is one server-sent event as a client reads it.
type event struct{ name, id, data string }

// events reads a stream's events, without comments, until it ends.
func events(body *bufio.Reader, each func(event) bool) {
	var e event
	for {
		line, err := body.ReadString('\n')
		if err != nil {
			return
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if e.data != "" && !each(e) {
				return
			}
			e = event{}
		}
	}
}

// open opens a stream; cancel ends it.
func (s *served) open(t testing.TB, ctx context.Context, path, lastID string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// rowsOf is what a client holds that has applied all events.
type rowsOf struct {
	rows  []string
	at    []Position
	total *int64
}

func (c *rowsOf) take(t testing.TB, e event) {
	switch e.name {
	case "snapshot":
		var s snapshot
		if err := json.Unmarshal([]byte(e.data), &s); err != nil {
			t.Fatal(err)
		}
		c.rows, c.at, c.total = apply(nil, []edit{{0, 0, s.Rows}}), s.Positions, s.Total
	case "change":
		var s change
		if err := json.Unmarshal([]byte(e.data), &s); err != nil {
			t.Fatal(err)
		}
		c.rows, c.at, c.total = apply(c.rows, s.Edits), s.Positions, s.Total
	}
}

// counting is a commit that makes the first n of totals and moves the position to n.
func (s *fakeStore) counting(n int64) {
	s.commit(1, func() {
		s.views["totals"].Rows = [][]any{{n, json.Number("1")}}
		s.views["cars_per_color"].Rows = append(s.views["cars_per_color"].Rows, []any{fmt.Sprint(n), n, n})
	})
}

func TestManyClientsShareOneFeedAndEndWithTheSameRows(t *testing.T) {
	s := serve(t, 0, nil)
	const clients, commits = 60, 40
	var reading, ready sync.WaitGroup
	ready.Add(clients)
	for range clients {
		res := s.open(t, t.Context(), "/api/metrics/cars_per_color/events?every_ms=100", "")
		reading.Go(func() {
			var has rowsOf
			events(bufio.NewReader(res.Body), func(e event) bool {
				if has.at == nil {
					ready.Done()
				}
				has.take(t, e)
				return has.at[0].NextOffset < commits
			})
			if len(has.rows) != commits || *has.total != commits {
				t.Errorf("a client has %d of %d rows", len(has.rows), commits)
			}
		})
	}
	ready.Wait()
	if clients, feeds := s.hub.size(); clients != 60 || feeds != 2 { // the rows' and the status'
		t.Errorf("%d clients, %d feeds", clients, feeds)
	}
	for n := range int64(commits) {
		s.store.counting(n)
	}
	reading.Wait()
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	asked := 0
	for _, q := range s.store.asked {
		if q.View == "cars_per_color" {
			asked++
		}
	}
	if asked > 10 {
		t.Errorf("%d clients asked the store %d times", clients, asked)
	}
}

func TestAStreamIsASnapshotThenChanges(t *testing.T) {
	s := serve(t, 3, nil)
	res := s.open(t, t.Context(), "/api/metrics/cars_per_color/events?limit=2&order=cars+desc&every_ms=100", "")
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("it is %s", got)
	}
	var names []string
	var has rowsOf
	events(bufio.NewReader(res.Body), func(e event) bool {
		names = append(names, e.name)
		has.take(t, e)
		if len(names) < 3 {
			s.store.counting(int64(5000 + len(names)))
		}
		return len(names) < 3
	})
	if got := strings.Join(names, " "); got != "snapshot change change" {
		t.Errorf("events are %s", got)
	}
	if len(has.rows) != 2 || !strings.HasPrefix(has.rows[0], `{"color":"5002"`) || has.total == nil || *has.total != 5 {
		t.Errorf("the client has %v of %v", has.rows, has.total)
	}
}

func TestWithAFilterTheTotalIsNotKnown(t *testing.T) {
	s := serve(t, 30, nil)
	res := s.open(t, t.Context(), "/api/metrics/cars_per_color/events?limit=2&filter=true", "")
	events(bufio.NewReader(res.Body), func(e event) bool {
		var has rowsOf
		if has.take(t, e); has.total != nil || len(has.rows) != 2 {
			t.Errorf("it has %v of %d", has.rows, *has.total)
		}
		return false
	})
}

func TestAfterAReconnectOnlyNewsIsSent(t *testing.T) {
	s := serve(t, 3, nil)
	var seen event
	const path = "/api/metrics/totals/events?every_ms=100"
	events(bufio.NewReader(s.open(t, t.Context(), path, "").Body), func(e event) bool { seen = e; return false })
	if seen.id == "" || seen.name != "snapshot" {
		t.Fatalf("the first event is %+v", seen)
	}
	res := s.open(t, t.Context(), path, seen.id)
	s.store.counting(77)
	events(bufio.NewReader(res.Body), func(e event) bool {
		if !strings.Contains(e.data, `"posts":77`) && !strings.Contains(e.data, `"cars":77`) {
			t.Errorf("what was seen was sent again: %+v", e)
		}
		return false
	})
	events(bufio.NewReader(s.open(t, t.Context(), path, "another").Body), func(e event) bool {
		if e.name != "snapshot" {
			t.Errorf("an id that nobody gave is answered by %+v", e)
		}
		return false
	})
}

func TestOneStreamCarriesStatusAndMetrics(t *testing.T) {
	s := serve(t, 3, nil)
	res := s.open(t, t.Context(), "/api/events?watch=totals&watch=cars_per_color%3Flimit%3D1", "")
	seen := map[string]bool{}
	events(bufio.NewReader(res.Body), func(e event) bool {
		var about struct{ Metric, Pipeline string }
		if err := json.Unmarshal([]byte(e.data), &about); err != nil || e.id != "" {
			t.Errorf("%v: %+v", err, e)
		}
		seen[e.name+" "+about.Metric+about.Pipeline] = true
		return len(seen) < 3
	})
	for _, want := range []string{"status traffic", "snapshot totals", "snapshot cars_per_color"} {
		if !seen[want] {
			t.Errorf("no %s in %v", want, seen)
		}
	}
}

func TestStoreErrors(t *testing.T) {
	s := serve(t, 3, nil)
	const path = "/api/metrics/totals/events?every_ms=100"
	broken := &pinflow.Error{Op: "query", On: "db", Kind: pinflow.Unavailable, Err: fmt.Errorf("it is away"), Hint: "Wait."}
	res := s.open(t, t.Context(), path, "")
	var names []string
	events(bufio.NewReader(res.Body), func(e event) bool {
		names = append(names, e.name)
		switch len(names) {
		case 1:
			s.store.fail(broken)
		case 2:
			if !strings.Contains(e.data, `"status":503`) || !strings.Contains(e.data, `"instance":"/api/metrics/totals"`) || !strings.Contains(e.data, "Wait.") {
				t.Errorf("the problem is %s", e.data)
			}
			if status, header, _ := s.get(t, "/api/metrics/color_per_minute/events"); status != 503 || header.Get("Retry-After") == "" {
				t.Errorf("a stream that can't begin: %d %v", status, header)
			}
			if status, _, body := s.get(t, "/api/status"); status != 200 || !strings.Contains(body, `"counted":3`) {
				t.Errorf("status of a store that can't be queried: %d %s", status, body)
			}
			s.store.fail(nil)
		}
		return len(names) < 3
	})
	if got := strings.Join(names, " "); got != "snapshot problem snapshot" {
		t.Errorf("events are %s", got)
	}
}

func TestClientsAreBounded(t *testing.T) {
	s := serve(t, 3, func(o *Options) { o.Limits.Clients = 3 })
	ctx, cancel := context.WithCancel(t.Context())
	for range 3 {
		s.open(t, ctx, "/api/metrics/totals/events", "")
	}
	if status, header, body := s.get(t, "/api/events"); status != 503 || header.Get("Retry-After") == "" || !strings.Contains(body, "there are 3 already") {
		t.Errorf("the fourth: %d %s", status, body)
	}
	cancel()
	s.until(t, 0, 1)
	if res := s.open(t, t.Context(), "/api/events", ""); res.StatusCode != 200 {
		t.Errorf("when there is room again: %d", res.StatusCode)
	}
}

// until waits until there are so many clients and feeds.
func (s *served) until(t testing.TB, clients, feeds int) {
	t.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for range 5000 {
		if c, f := s.hub.size(); c == clients && f == feeds {
			return
		}
		<-poll.C
	}
	c, f := s.hub.size()
	t.Fatalf("%d clients, %d feeds, want %d and %d", c, f, clients, feeds)
}

func TestAClientThatDoesNotReadHoldsUpNobody(t *testing.T) {
	s := serve(t, 1000, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(1)
	fmt.Fprintf(conn, "GET /api/metrics/cars_per_color/events?every_ms=100 HTTP/1.1\r\nHost: x\r\n\r\n")
	s.until(t, 1, 2)
	res := s.open(t, t.Context(), "/api/metrics/cars_per_color/events?every_ms=100", "")
	seen := 0
	events(bufio.NewReader(res.Body), func(event) bool {
		seen++
		s.store.commit(1, func() { // every row changes
			for i, row := range s.store.views["cars_per_color"].Rows {
				s.store.views["cars_per_color"].Rows[i] = []any{row[0], row[1].(int64) + 1, row[2]}
			}
		})
		return seen < 15
	})
	if seen != 15 {
		t.Errorf("the client that reads saw %d events", seen)
	}
	conn.Close()
	res.Body.Close()
	s.until(t, 0, 1)
}

func TestCloseEndsAllStreamsAndFeeds(t *testing.T) {
	s := serve(t, 3, nil)
	var reading sync.WaitGroup
	for i := range 20 {
		res := s.open(t, t.Context(), []string{"/api/metrics/totals/events", "/api/events?watch=totals"}[i%2], "")
		reading.Go(func() { events(bufio.NewReader(res.Body), func(event) bool { return true }) })
	}
	s.Close()
	reading.Wait() // it would never end
	s.until(t, 0, 1)
	if status, _, body := s.get(t, "/api/events"); status != 503 || !strings.Contains(body, "stopping") {
		t.Errorf("after Close: %d %s", status, body)
	}
}

// A server that is shut down must not wait for streams, nor a limit for requests end them.
func TestAServersLimitsDoNotEndAStream(t *testing.T) {
	s := serve(t, 3, nil)
	mux := http.NewServeMux()
	s.Register(mux, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: mux, ReadTimeout: time.Second, WriteTimeout: time.Second}
	srv.RegisterOnShutdown(s.Close)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(listener) }()
	res, err := http.Get("http://" + listener.Addr().String() + "/api/metrics/totals/events?every_ms=500")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	seen := 0
	events(bufio.NewReader(res.Body), func(event) bool {
		seen++
		s.store.counting(int64(seen))
		return seen < 4 // at least 1.5 s, which is beyond both limits
	})
	if seen < 4 {
		t.Errorf("the stream ended after %d events", seen)
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != http.ErrServerClosed {
		t.Error(err)
	}
}

// recorder is a client in memory that takes everything at once.
type recorder struct {
	mu     sync.Mutex
	header http.Header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(int)     {}
func (r *recorder) Flush()              {}
func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.body.Write(p)
}

func (r *recorder) count(text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.body.String(), text)
}

func TestPaceAndKeepAlive(t *testing.T) {
	bubble(t, func(t *testing.T, s *Web, store *fakeStore) {
		ctx, cancel := context.WithCancel(t.Context())
		out := &recorder{header: http.Header{}}
		req, _ := http.NewRequestWithContext(ctx, "GET", "/api/metrics/totals/events?every_ms=2000", nil)
		req.SetPathValue("name", "totals")
		var streaming sync.WaitGroup
		streaming.Go(func() { s.serve(s.metricEvents)(out, req) })
		synctest.Wait()
		start := time.Now()
		for n := range int64(100) { // ten seconds of ten commits
			time.Sleep(100 * time.Millisecond)
			store.counting(n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := out.count("event: "); got < 6 || got > 7 { // at 0, 2, 4, 6, 8, 10 s and the rest
			t.Errorf("%d events in %s at one in two seconds", got, time.Since(start))
		}
		if !strings.Contains(out.body.String(), `"cars":99`) {
			t.Error("the last commit was not told")
		}
		before := out.count(": keep-alive")
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := out.count(": keep-alive") - before; got != 4 {
			t.Errorf("%d keep-alives in a minute of silence", got)
		}
		cancel()
		streaming.Wait()
		if clients, feeds := s.hub.size(); clients != 0 || feeds != 1 {
			t.Errorf("%d clients and %d feeds are left", clients, feeds)
		}
	})
}

// pipes is a listener in memory that accepts one connection.
type pipes struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conn:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }

func TestAClientThatNeverReadsIsCutOff(t *testing.T) {
	bubble(t, func(t *testing.T, s *Web, _ *fakeStore) {
		mux := http.NewServeMux()
		s.Register(mux, nil)
		listener := &pipes{make(chan net.Conn), make(chan struct{})}
		srv := &http.Server{Handler: mux}
		go func() { _ = srv.Serve(listener) }()
		client, server := net.Pipe()
		listener.conn <- server
		fmt.Fprintf(client, "GET /api/metrics/totals/events HTTP/1.1\r\nHost: x\r\n\r\n")
		synctest.Wait()
		if clients, _ := s.hub.size(); clients != 1 {
			t.Errorf("%d clients", clients)
		}
		time.Sleep(writeTimeout + time.Second)
		synctest.Wait()
		if clients, feeds := s.hub.size(); clients != 0 || feeds != 1 {
			t.Errorf("%d clients and %d feeds are left", clients, feeds)
		}
		client.Close()
		srv.Close()
	})
}
