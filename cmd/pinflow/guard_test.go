package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/problem"
)

// routeTakes is what each route takes: nothing, any key, or a key with a scope. Whoever adds a route adds a line.
var routeTakes = map[string]string{
	"/": "key", "POST /session": "nothing", "DELETE /session": "nothing", "GET /healthz": "nothing", "GET /readyz": "nothing",
	"GET /openapi.json": "key", "GET /docs": "key", "GET /docs/{$}": "key", "GET /docs/docs.css": "key", "GET /docs/docs.js": "key",
	"/pin": "post", "/pin/{$}": "post", "/topics/{topic}": "post",
	"GET /{$}": "read", "GET /page/{file}": "read", "GET /metrics": "read", "GET /api/metrics": "read", "GET /api/metrics/{name}": "read", "GET /api/metrics/{name}/events": "read",
	"GET /api/models/{name}": "read", "GET /api/models/{name}/{key...}": "read", "GET /api/reports": "read", "GET /api/rejects": "read", "GET /api/status": "read", "GET /api/events": "read",
	"GET /api/lake": "read", "GET /api/audit": "read", "GET /api/generations": "read", "GET /api/batch/status": "read",
	"GET /api/reports/{name}": "sql", "POST /api/sql": "sql",
	"POST /api/audit": "admin", "POST /api/audit/acknowledge": "admin", "POST /api/generations/build": "admin", "POST /api/generations/switch": "admin", "POST /api/generations/drop": "admin", "POST /api/batch": "admin",
}

// doors is an up whose routes are asked without a network, as one that listens beyond loopback.
type doors struct {
	*up
	keys map[access.Scope]string
	bad  map[string]string // Authorization headers that let nobody in
}

func openDoors(t *testing.T) *doors {
	t.Helper()
	dir := t.TempDir()
	s := &config.Settings{Places: config.Places{Journal: "embedded:", Data: dir}, Listen: config.Listen{HTTP: "0.0.0.0:0", KafkaListen: "127.0.0.1:0", Access: config.Access{PlainHTTP: true}},
		Timing: config.Timing{SealGrace: time.Minute, LakeFlush: time.Second},
		Limits: config.Limits{DuckDBMemory: 96 << 20, BatchMemory: 8 << 20, LakeMemory: 8 << 20, JournalRetention: 64 << 20, SQLRows: 100, SQLTime: 5 * time.Second}}
	d := &doors{keys: map[access.Scope]string{}}
	file := filepath.Join(dir, access.FileName)
	create := func(scope access.Scope, expires time.Time, now time.Time) (access.Key, string) {
		k, text, err := access.Create(file, "test", scope, expires, now)
		if err != nil {
			t.Fatal(err)
		}
		return k, text
	}
	for scope := access.Scope(1); scope <= access.All; scope++ {
		_, d.keys[scope] = create(scope, time.Time{}, time.Now())
	}
	_, expired := create(access.All, time.Now().Add(-time.Minute), time.Now().Add(-time.Hour))
	gone, revoked := create(access.All, time.Time{}, time.Now())
	if err := access.Revoke(file, gone.ID); err != nil {
		t.Fatal(err)
	}
	_, wrong, err := access.Create(filepath.Join(t.TempDir(), "other.json"), "other", access.All, time.Time{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	right := d.keys[access.All]
	d.bad = map[string]string{"no key": "", "malformed": "Bearer " + right[:30] + "1" + right[31:], "no scheme": right, "wrong": "Bearer " + wrong, "expired": "Bearer " + expired, "revoked": "Bearer " + revoked}

	log, metrics := slog.New(slog.DiscardHandler), newMetrics()
	g, err := openGuard(s.HTTP, s, log, metrics)
	if err != nil {
		t.Fatal(err)
	}
	core, err := openCore(t.Context(), s, log, metrics, terminal{io.Discard, io.Discard}, duty{builds: true})
	t.Cleanup(func() {
		if err := core.closers.close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	d.up = &up{core: core, cmd: &upCmd{}, guard: g}
	if d.operator, err = newOperator(t.Context(), core, 1); err != nil {
		t.Fatal(err)
	}
	core.add(d.operator.close)
	site, err := d.routes()
	if err != nil {
		t.Fatal(err)
	}
	core.add(func() error { site.Close(); return nil })
	return d
}

// ask asks for a pattern of the mux. The client goes after a moment where an answer has no end, or starts work.
func (d *doors) ask(t *testing.T, pattern, authorization string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	method, path := http.MethodPost, pattern
	if m, p, ok := strings.Cut(pattern, " "); ok {
		method, path = m, p
	}
	route, _, _ := strings.Cut(path, "?")
	stays := time.Minute
	if strings.HasSuffix(route, "/events") || method == http.MethodPost && routeTakes[pattern] == "admin" {
		stays = 300 * time.Millisecond
	}
	path = strings.NewReplacer("{$}", "", "{name}", "pins", "{key...}", "x", "{file}", "page.css", "{topic}", "PinterestPipelineTopic", "{key}", "x").Replace(path)
	ctx, cancel := context.WithTimeout(t.Context(), stays)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader("{}"))
	r.Host = "198.51.100.7:8000"
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	w := httptest.NewRecorder()
	d.guard.ServeHTTP(w, r)
	return w
}

// TestEveryRouteTakesAKey asks every route there is with every sort of key.
func TestEveryRouteTakesAKey(t *testing.T) {
	d := openDoors(t)
	routes := d.guard.Routes()
	for _, r := range routes {
		if want, ok := routeTakes[r.Pattern]; !ok || r.Takes != want {
			t.Errorf("%q takes %q; the table says %q (%v)", r.Pattern, r.Takes, want, ok)
		}
	}
	if len(routes) != len(routeTakes) {
		t.Errorf("there are %d routes, %d in the table", len(routes), len(routeTakes))
	}
	for _, r := range routes {
		for name, header := range d.bad {
			if want := 401; r.Takes != "nothing" {
				if w := d.ask(t, r.Pattern, header); w.Code != want && w.Code != http.StatusTooManyRequests {
					t.Errorf("%s with %s: %d %s", r.Pattern, name, w.Code, w.Body)
				}
			} else if w := d.ask(t, r.Pattern, header); !strings.HasSuffix(r.Pattern, "/session") && w.Code != http.StatusOK {
				t.Errorf("%s, which is open, with %s: %d", r.Pattern, name, w.Code)
			}
		}
		need, err := access.ParseScope(r.Takes)
		if err != nil {
			continue
		}
		lesser, right := "Bearer "+d.keys[access.All&^need], "Bearer "+d.keys[need]
		w := d.ask(t, r.Pattern, lesser)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Header().Get("WWW-Authenticate"), `scope="`+r.Takes+`"`) {
			t.Errorf("%s with all scopes but %s: %d %s", r.Pattern, need, w.Code, w.Body)
		}
		if w := d.ask(t, r.Pattern, right); w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden {
			t.Errorf("%s with %s: %d %s", r.Pattern, need, w.Code, w.Body)
		}
		for name, headers := range map[string][]string{
			"a foreign host": {"Host", "rebound.example:8000"}, "a foreign origin": {"Origin", "https://evil.example"}, "another site's script": {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"},
		} {
			if w := d.ask(t, r.Pattern, right, headers...); w.Code != http.StatusForbidden && w.Code != http.StatusMisdirectedRequest {
				t.Errorf("%s with %s: %d", r.Pattern, name, w.Code)
			}
		}
	}
}

// TestTheDocumentTellsWhatOperationsTake, and has every route that takes a scope.
func TestTheDocumentTellsWhatOperationsTake(t *testing.T) {
	d := openDoors(t)
	var doc struct {
		Paths map[string]map[string]struct {
			Security  []map[string][]string
			Responses map[string]any
		}
		Components struct{ SecuritySchemes map[string]any }
	}
	w := d.ask(t, "GET /openapi.json", "Bearer "+d.keys[access.Post])
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || len(doc.Components.SecuritySchemes) != 3 {
		t.Fatalf("%d %v %s", w.Code, err, w.Body)
	}
	documented := map[string]bool{}
	for path, operations := range doc.Paths {
		for method, op := range operations {
			pattern := strings.ToUpper(method) + " " + path
			switch path {
			case "/pin/":
				pattern = "/pin/{$}"
			case "/topics/{topic}":
				pattern = path
			case "/api/models/{name}/{key}":
				pattern = "GET /api/models/{name}/{key...}"
			}
			want, known := routeTakes[pattern]
			documented[pattern] = known
			switch {
			case !known:
				t.Errorf("%s is no route", pattern)
			case want == "nothing" && len(op.Security) > 0:
				t.Errorf("%s: %v", pattern, op.Security)
			case want == "nothing":
			case len(op.Security) != 3 || !slices.Equal(op.Security[0]["key"], []string{want}) || op.Responses["401"] == nil || op.Responses["403"] == nil:
				t.Errorf("%s takes %s; the document says %v %v", pattern, want, op.Security, op.Responses)
			}
		}
	}
	for pattern, scope := range routeTakes {
		if _, err := access.ParseScope(scope); err == nil && !documented[pattern] && !slices.Contains([]string{"/pin", "GET /{$}", "GET /page/{file}"}, pattern) {
			t.Errorf("%s is not in the document", pattern)
		}
	}
}

// TestWhatTakesMoreThanItsRoute: a filter is SQL, and an audit work, wherever they are asked for.
func TestWhatTakesMoreThanItsRoute(t *testing.T) {
	d := openDoors(t)
	read, both, admin := "Bearer "+d.keys[access.Read], "Bearer "+d.keys[access.Read|access.SQL], "Bearer "+d.keys[access.Read|access.Admin]
	for _, c := range []struct{ path, more string }{
		{"GET /api/metrics/media_share?filter=true", both}, {"GET /api/metrics/media_share/events?filter=true", both}, {"GET /api/events?watch=media_share%3Ffilter%3Dtrue", both},
		{"GET /api/models/posts?filter=true", both}, {"GET /api/rejects?filter=true", both}, {"GET /api/audit?run=true", admin}, {"GET /api/audit?deep=true", admin},
	} {
		w := d.ask(t, c.path, read)
		var p problem.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 403 || p.Hint == "" {
			t.Errorf("%s: %d %s", c.path, w.Code, w.Body)
		}
		if w := d.ask(t, c.path, c.more); w.Code == 401 || w.Code == 403 {
			t.Errorf("%s with more: %d %s", c.path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"GET /api/metrics/media_share", "GET /api/audit", "GET /api/models/posts?media=image"} {
		if w := d.ask(t, path, read); w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestOnlyASelectRuns, whatever the key.
func TestOnlyASelectRuns(t *testing.T) {
	d := openDoors(t)
	for _, query := range []string{"DROP TABLE posts", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE posts", "INSERT INTO posts SELECT * FROM posts", "COPY posts TO 'x'", "ATTACH 'x'", "SET threads = 1",
		"PRAGMA database_list", "INSTALL httpfs", "CALL pragma_version()", "EXPLAIN ANALYZE SELECT 1", "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM read_csv('http://127.0.0.1/x')"} {
		body, err := json.Marshal(map[string]string{"sql": query})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/sql", bytes.NewReader(body))
		r.Host = "127.0.0.1"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+d.keys[access.All])
		w := httptest.NewRecorder()
		if d.guard.ServeHTTP(w, r); w.Code < 400 || w.Code >= 500 || strings.Contains(w.Body.String(), "root:") {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

// TestKafkasRESTClients are refused in words they understand, and may send the key as Basic has it.
func TestKafkasRESTClients(t *testing.T) {
	d := openDoors(t)
	for code, header := range map[int]string{40101: "", 40301: "Bearer " + d.keys[access.Read]} {
		var said struct {
			ErrorCode int `json:"error_code"`
			Message   string
		}
		w := d.ask(t, "/topics/{topic}", header)
		if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || said.ErrorCode != code || said.Message == "" || w.Code != code/100 {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	}
	r := httptest.NewRequest("POST", "/topics/x", nil)
	r.SetBasicAuth("pinflow", d.keys[access.Post])
	if w := d.ask(t, "/topics/{topic}", r.Header.Get("Authorization")); w.Code == 401 || w.Code == 403 {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// TestRoutesOfOtherRoles: those of a process without the web.
func TestRoutesOfOtherRoles(t *testing.T) {
	s := &config.Settings{Places: config.Places{Data: t.TempDir()}}
	g, err := openGuard("127.0.0.1:0", s, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	monitor(g, newMetrics(), func(context.Context) error {
		return &pinflow.Error{Op: "ask", On: "kafka.internal:9092", Kind: pinflow.Unavailable, Hint: "See whether kafka.internal runs."}
	})
	for _, r := range g.Routes() {
		if r.Takes != routeTakes[r.Pattern] {
			t.Errorf("%s takes %q", r.Pattern, r.Takes)
		}
	}
	ready := func() string {
		r := httptest.NewRequest("GET", "/readyz", nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		if g.ServeHTTP(w, r); w.Code != 503 {
			t.Error(w.Code)
		}
		return w.Body.String()
	}
	if said := ready(); !strings.Contains(said, "kafka.internal") {
		t.Errorf("where nobody needs a key: %s", said)
	}
	if _, _, err := access.Create(filepath.Join(s.Data, access.FileName), "a", access.Read, time.Time{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if g, err = openGuard("127.0.0.1:0", s, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	monitor(g, newMetrics(), func(context.Context) error {
		return &pinflow.Error{Op: "ask", On: "kafka.internal:9092", Kind: pinflow.Unavailable, Hint: "See whether kafka.internal runs."}
	})
	if said := ready(); strings.Contains(said, "kafka.internal") {
		t.Errorf("to nobody: %s", said)
	}
}

// TestListeningBeyondLoopback is refused until somebody can be let in, and nobody can listen in.
func TestListeningBeyondLoopback(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, access.FileName)
	open := func(address string, change func(*config.Settings)) error {
		s := &config.Settings{Places: config.Places{Data: dir}}
		if change != nil {
			change(s)
		}
		_, err := openGuard(address, s, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		return err
	}
	plain := func(s *config.Settings) { s.PlainHTTP = true }
	refused := func(name, want string, err error) {
		t.Helper()
		if err == nil || pinflow.HintOf(err) == "" || !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := open("127.0.0.1:0", nil); err != nil {
		t.Error(err)
	}
	refused("no TLS", "--tls-cert", open("0.0.0.0:0", nil))
	refused("no key", "pinflow key create", open("0.0.0.0:0", plain))
	refused("no key behind a proxy", "pinflow key create", open("127.0.0.1:0", func(s *config.Settings) { s.PublicHost = "pins.example" }))
	refused("no key on a name", "pinflow key create", open("example.com:0", plain))
	refused("a file that is not there", "pinflow key create", open("0.0.0.0:0", func(s *config.Settings) { s.PlainHTTP, s.KeysFile = true, filepath.Join(dir, "none.json") }))
	if _, _, err := access.Create(file, "a", access.Read, time.Now().Add(-time.Minute), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	refused("an expired key", "not expired", open("0.0.0.0:0", plain))
	if _, _, err := access.Create(file, "b", access.Read, time.Time{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := open("0.0.0.0:0", plain); err != nil {
		t.Error(err)
	}
	refused("no certificate", "no such file", open("0.0.0.0:0", func(s *config.Settings) { s.TLSCert, s.TLSKey = "none.crt", "none.key" }))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(keysVariable, string(text))
	if err := open("0.0.0.0:0", func(s *config.Settings) { s.PlainHTTP, s.Data = true, t.TempDir() }); err != nil {
		t.Errorf("keys of the environment: %v", err)
	}
	refused("both", "Give one of them", open("127.0.0.1:0", func(s *config.Settings) { s.KeysFile = file }))
	t.Setenv(keysVariable, "{")
	refused("broken in the environment", "PINFLOW_KEYS", open("127.0.0.1:0", nil))
	t.Setenv(keysVariable, "")
	refused("empty in the environment", "it is empty", open("127.0.0.1:0", nil))
	if err := os.Unsetenv(keysVariable); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("broken on loopback", "keys.json", open("127.0.0.1:0", nil))
}

// TestEventsEndWithTheirKey: who watches is cut off when the key is revoked, and not let in again.
func TestEventsEndWithTheirKey(t *testing.T) {
	d := openDoors(t)
	file := filepath.Join(d.Data, access.FileName)
	k, text, err := access.Create(file, "watcher", access.Read, time.Time{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(d.guard)
	defer server.Close()
	watch := func() *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/api/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+text)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	answer := watch()
	for end, tick := time.Now().Add(5*time.Second), time.Tick(20*time.Millisecond); answer.StatusCode != 200 && time.Now().Before(end); answer = watch() {
		answer.Body.Close()
		<-tick
	}
	defer answer.Body.Close()
	if n, err := io.ReadAtLeast(answer.Body, make([]byte, 10), 10); err != nil || answer.StatusCode != 200 {
		t.Fatal(answer.Status, n, err)
	}
	if err := access.Revoke(file, k.ID); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, answer.Body); ended <- err }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the stream goes on")
	}
	again := watch()
	if again.Body.Close(); again.StatusCode != 401 {
		t.Error(again.Status)
	}
}
