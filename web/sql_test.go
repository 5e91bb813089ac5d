package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
)

// echo answers a query with its own text.
func echo(_ context.Context, q pinflow.Query) (*pinflow.Result, error) {
	return &pinflow.Result{Columns: []pinflow.Column{{Name: "sql", Type: "VARCHAR"}, {Name: "sql", Type: "BIGINT"}}, Rows: [][]any{{q.SQL, int64(7)}},
		Positions: map[pinflow.TopicPartition]pinflow.Progress{{Topic: "t"}: {NextOffset: 3}}}, nil
}

func TestSQL(t *testing.T) {
	s := serve(t, 3, nil)
	s.store.answerSQL(echo)
	for _, c := range []struct {
		path, kind, body string
		status           int
		holds            string
	}{
		{"/api/sql", "application/json", `{"sql":"SELECT 1"}`, 200, `{"sql":"SELECT 1","sql_1":7}`},
		{"/api/sql", "application/json; charset=utf-8", `{"sql":"SELECT 'é'"}`, 200, "SELECT 'é'"},
		{"/api/sql", "text/plain", "SELECT 2", 200, `"SELECT 2"`},
		{"/api/sql", "application/sql", "SELECT 2", 200, `"SELECT 2"`},
		{"/api/sql", "", "SELECT 2", 200, `"SELECT 2"`},
		{"/api/sql", "application/x-www-form-urlencoded", `{"sql":"SELECT 3"}`, 200, `"SELECT 3"`}, // curl -d
		{"/api/sql", "application/x-www-form-urlencoded", `SELECT 4`, 200, `"SELECT 4"`},
		{"/api/sql?format=csv", "text/plain", "SELECT 5", 200, "sql,sql\nSELECT 5,7\n"},
		{"/api/sql?after=t:0:2", "text/plain", "SELECT 6", 200, `"next_offset":3`},
		{"/api/sql?after=t:0:3&timeout=1ms", "text/plain", "SELECT 6", 503, "before offset 3"},
		{"/api/sql?limit=3", "text/plain", "SELECT 6", 422, "no such parameter"},
		{"/api/sql", "application/xml", "<x/>", 415, "application/xml"},
		{"/api/sql", "application/json", `{"sql":1}`, 400, "cannot unmarshal"},
		{"/api/sql", "application/json", `{"query":"SELECT 1"}`, 400, "unknown field"},
		{"/api/sql", "application/json", `{"sql":"SELECT 1"} {}`, 400, "follows"},
		{"/api/sql", "application/json", `{"sql":" "}`, 400, "no query"},
		{"/api/sql", "text/plain", "", 400, "no query"},
		{"/api/sql", "text/plain", strings.Repeat("x", 1<<20+1), 413, "1048576 bytes"},
	} {
		status, _, body := s.do(t, "POST", c.path, c.kind, c.body, nil)
		if status != c.status || !strings.Contains(body, c.holds) {
			t.Errorf("%s %s %.50s: %d %.300s, want %d with %s", c.path, c.kind, c.body, status, body, c.status, c.holds)
		}
		if status == 200 && !strings.Contains(c.path, "csv") && !json.Valid([]byte(body)) {
			t.Errorf("no JSON: %s", body)
		}
	}
}

func TestSQLHasLimits(t *testing.T) {
	s := serve(t, 3, func(o *Options) { o.Limits.SQLRows, o.Limits.SQLTime = 12, 3*time.Second })
	s.store.answerSQL(echo)
	s.do(t, "POST", "/api/sql", "text/plain", "SELECT 1", nil)
	if got := s.store.last(); got.SQL != "SELECT 1" || got.MaxRows != 12 || got.Timeout != 3*time.Second || got.View != "" {
		t.Errorf("the store was asked %+v", got)
	}
	s.store.answerSQL(func(context.Context, pinflow.Query) (*pinflow.Result, error) {
		return nil, &pinflow.Error{Op: "query", Kind: pinflow.TooLarge, Hint: "Add LIMIT."}
	})
	if status, _, body := s.do(t, "POST", "/api/sql", "text/plain", "SELECT 1", nil); status != http.StatusRequestEntityTooLarge || !strings.Contains(body, "Add LIMIT.") {
		t.Errorf("too many rows: %d %s", status, body)
	}
}

func TestSQLOfAnotherSitesPageIsRefused(t *testing.T) {
	s := serve(t, 3, nil)
	s.store.answerSQL(echo)
	for name, header := range map[string]map[string]string{
		"fetch metadata": {"Sec-Fetch-Site": "cross-site"}, "origin": {"Origin": "https://evil.example"},
	} {
		if status, _, body := s.do(t, "POST", "/api/sql", "text/plain", "SELECT 1", header); status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, _, _ := s.do(t, "POST", "/api/sql", "text/plain", "SELECT 1", map[string]string{"Sec-Fetch-Site": "same-origin"}); status != 200 {
		t.Errorf("of our own page: %d", status)
	}
}

// Slow queries of users leave the store to the metrics.
func TestSlowSQLDoesNotStarveMetrics(t *testing.T) {
	s := serve(t, 3, func(o *Options) { o.Limits.Queries = 2 })
	running, release := make(chan struct{}, 10), make(chan struct{})
	s.store.answerSQL(func(ctx context.Context, q pinflow.Query) (*pinflow.Result, error) {
		running <- struct{}{}
		<-release
		return echo(ctx, q)
	})
	var slow sync.WaitGroup
	for range 5 {
		slow.Go(func() {
			if status, _, _ := s.do(t, "POST", "/api/sql", "text/plain", "SELECT 1", nil); status != 200 {
				t.Errorf("in the end: %d", status)
			}
		})
	}
	<-running
	if status, _, _ := s.get(t, "/api/metrics/totals"); status != 200 || len(running) > 0 {
		t.Errorf("a metric beside slow queries: %d, %d more queries in the store", status, len(running))
	}
	close(release)
	slow.Wait()
}
