package web

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

// served is a web over a fake store with a server.
type served struct {
	*Web
	store *fakeStore
	url   string
	api   huma.API
}

func serve(t testing.TB, rows int, change func(*Options)) *served {
	t.Helper()
	store := newFakeStore()
	o := Options{Store: store, Plan: testPlan(), Limits: Limits{Wait: 5 * time.Second}}
	store.fill(o.Plan, rows)
	store.commit(int64(rows), nil)
	if change != nil {
		change(&o)
	}
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	api := changeable{humago.New(http.NewServeMux(), huma.DefaultConfig("test", "1"))}
	w.Register(mux, api)
	mux.Handle("/", problem.NotFound(mux))
	srv := httptest.NewServer(mux)
	t.Cleanup(func() { w.Close(); srv.Close() })
	return &served{w, store, srv.URL, api}
}

// changeable is an API whose document may change.
type changeable struct{ huma.API }

func (c changeable) Change(f func(*huma.OpenAPI)) { f(c.OpenAPI()) }

// get returns status, header and body.
func (s *served) get(t testing.TB, path string) (int, http.Header, string) {
	t.Helper()
	return s.do(t, "GET", path, "", "", nil)
}

func (s *served) do(t testing.TB, method, path, contentType, body string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

func TestRoutes(t *testing.T) {
	s := serve(t, 3, func(o *Options) {
		o.Lake = func(context.Context) (any, error) { return map[string]int{"objects": 7}, nil }
	})
	for _, c := range []struct {
		path   string
		status int
		media  string
		holds  string
	}{
		{"/api/metrics", 200, "application/json", `"name":"cars_per_color","description":"How many cars of each color","model":"cars","columns":[{"name":"color","type":"VARCHAR"}`},
		{"/api/metrics/cars_per_color", 200, "application/json", `"positions":[{"topic":"t","partition":0,"next_offset":3}]`},
		{"/api/metrics/cars_per_color?format=csv", 200, "text/csv", "color,cars,fastest\n"},
		{"/api/metrics/cars_per_color?color=red", 200, "application/json", `"rows":[` + "\n" + `{"color":"red","cars":`},
		{"/api/metrics/cars_per_color?COLOR=red", 200, "application/json", `{"color":"red"`},
		{"/api/metrics/cars_per_color?color=nowhere", 200, "application/json", `"rows":[]}`},
		{"/api/metrics/totals", 200, "application/json", `"distance":123456789012345678901234567890}`},
		{"/api/metrics/color_per_minute?limit=1", 200, "application/json", `{"window_start":"2026-11-22T10:00:00.000Z","color":"blue","cars":`},
		{"/api/metrics/none", 404, problem.ContentType, "cars_per_color, cars_per_minute"},
		{"/api/metrics/cars_per_color?nothing=1", 422, problem.ContentType, `"path":"nothing"`},
		{"/api/metrics/cars_per_color?limit=0", 422, problem.ContentType, `"path":"limit"`},
		{"/api/metrics/cars_per_color?limit=1&limit=2", 422, problem.ContentType, "more than once"},
		{"/api/metrics/cars_per_color?from=2026-11-22T10:00:00Z", 422, problem.ContentType, "TIMESTAMPTZ"},
		{"/api/metrics/cars_per_color?limit=%zz", 400, problem.ContentType, "Escape"},
		{"/api/metrics/cars_per_color?timeout=1h", 422, problem.ContentType, "between 0s and 5s"},
		{"/api/models/cars", 200, "application/json", `{"color":"red","_partition":0,"_offset":0}`},
		{"/api/models/cars?limit=10001", 422, problem.ContentType, "more than 10000"},
		{"/api/models/unkept", 404, problem.ContentType, "cars, plates."},
		{"/api/models/cars/red", 404, problem.ContentType, "has no key"},
		{"/api/models/plates/K-AB%2F1/de", 404, problem.ContentType, "K-AB/1, de"},
		{"/api/models/plates/K", 404, problem.ContentType, "/api/models/plates/{plate}/{land}"},
		{"/api/models/plates/K/de?color=red", 422, problem.ContentType, "no such parameter"},
		{"/api/reports", 200, "application/json", `"name":"fast_cars","description":"The fastest","columns":[{"name":"color"`},
		{"/api/reports/none", 404, problem.ContentType, "The reports are fast_cars."},
		{"/api/reports/fast_cars?as_of=2026-11-22", 400, problem.ContentType, "runs no batch"},
		{"/api/audit", 404, problem.ContentType, ""},
		{"/api/rejects", 200, "application/json", `"rows":[]`},
		{"/api/status", 200, "application/json", `"counted":3`},
		{"/api/lake", 200, "application/json", `{"objects":7}`},
		{"/api/events?nothing=1", 422, problem.ContentType, "watch only"},
		{"/api/events?watch=none", 404, problem.ContentType, "The metrics are"},
		{"/api/events?watch=totals&watch=totals", 400, problem.ContentType, "twice"},
		{"/api/metrics/totals/events?after=t:0:1", 422, problem.ContentType, `"path":"after"`},
		{"/api/metrics/totals/events?limit=1001", 422, problem.ContentType, "more than 1000"},
		{"/api/sql", 405, problem.ContentType, "It takes POST"},
		{"/healthz", 200, "application/json", "ok"},
		{"/readyz", 200, "application/json", "ready"},
		{"/metrics", 200, "text/plain", "pinflow_web_query_seconds_bucket"},
		{"/", 200, "text/html", "cars_per_color"},
		{"/page/page.js", 200, "text/javascript", "EventSource"},
		{"/page/page.go", 404, problem.ContentType, ""},
		{"/page/index.html", 404, problem.ContentType, ""},
		{"/nothing", 404, problem.ContentType, ""},
	} {
		status, header, body := s.get(t, c.path)
		if status != c.status || !strings.HasPrefix(header.Get("Content-Type"), c.media) || !strings.Contains(body, c.holds) {
			t.Errorf("GET %s: %d %s\n%.600s\nwant %d %s with %q", c.path, status, header.Get("Content-Type"), body, c.status, c.media, c.holds)
		}
		if c.media == "application/json" && !json.Valid([]byte(body)) {
			t.Errorf("GET %s is no JSON: %s", c.path, body)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" && c.path != "/nothing" && c.path != "/api/sql" && c.path != "/api/audit" {
			t.Errorf("GET %s may be sniffed", c.path)
		}
	}
}

func TestAnswerHasItsPositionInTheHeader(t *testing.T) {
	s := serve(t, 3, nil)
	s.store.commit(2, func() {
		s.store.at[pinflow.TopicPartition{Topic: "t", Partition: 1}] = pinflow.Progress{NextOffset: 9}
	})
	for _, format := range []string{"json", "csv"} {
		_, header, _ := s.get(t, "/api/metrics/totals?format="+format)
		if got := header.Get("Pinflow-Position"); got != "t:0:5, t:1:9" {
			t.Errorf("%s: position %q", format, got)
		}
	}
}

func TestFormatIsNegotiated(t *testing.T) {
	s := serve(t, 1, nil)
	for accept, want := range map[string]string{
		"": "application/json", "*/*": "application/json", "text/csv": "text/csv", "text/csv;q=0.9, */*": "text/csv",
		"application/json, text/csv": "application/json", "text/html, */*": "application/json",
	} {
		_, header, _ := s.do(t, "GET", "/api/metrics/totals", "", "", map[string]string{"Accept": accept})
		if !strings.HasPrefix(header.Get("Content-Type"), want) {
			t.Errorf("Accept %q: %s, want %s", accept, header.Get("Content-Type"), want)
		}
	}
	_, header, _ := s.do(t, "GET", "/api/metrics/totals?format=json", "", "", map[string]string{"Accept": "text/csv"})
	if header.Get("Content-Type") != "application/json" {
		t.Errorf("format does not beat Accept: %s", header.Get("Content-Type"))
	}
}
