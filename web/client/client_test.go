package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
	"github.com/pinflow/pinflow/web"
	"github.com/pinflow/pinflow/web/client"
)

// store answers every query with the same rows, or an error.
type store struct {
	res   pinflow.Result
	err   error
	asked pinflow.Query
}

func (s *store) Query(_ context.Context, q pinflow.Query) (*pinflow.Result, error) {
	if strings.HasPrefix(q.SQL, "SELECT count(*)") {
		return nil, errors.New("not counted")
	}
	s.asked = q
	return &s.res, s.err
}

func (s *store) Positions(context.Context) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	return s.res.Positions, nil
}
func (s *store) Changes() <-chan struct{} { return nil }

func sample() pinflow.Result {
	at := time.Date(2026, 11, 22, 10, 0, 0, 123e6, time.UTC)
	return pinflow.Result{
		Columns: []pinflow.Column{{Name: "at", Type: "TIMESTAMP WITH TIME ZONE"}, {Name: "day", Type: "DATE"}, {Name: "huge", Type: "HUGEINT"}, {Name: "money", Type: "DECIMAL(38,2)"},
			{Name: "text", Type: "VARCHAR"}, {Name: "bytes", Type: "BLOB"}, {Name: "yes", Type: "BOOLEAN"}, {Name: "tags", Type: "VARCHAR[]"}, {Name: "times", Type: "DATE[]"}},
		Rows: [][]any{
			{at, at.Truncate(24 * time.Hour), json.Number("123456789012345678901234567890"), json.Number("1.00"), "2026-11-22", []byte{0, 255}, true, []any{"a", nil}, []any{at.Truncate(24 * time.Hour)}},
			{nil, nil, nil, nil, nil, nil, nil, nil, nil}},
		Positions: map[pinflow.TopicPartition]pinflow.Progress{{Topic: "t", Partition: 3}: {NextOffset: 1 << 60}},
	}
}

func start(t *testing.T) (client.Client, *store) {
	t.Helper()
	s := &store{res: sample()}
	plan := &pinflow.Plan{Pipeline: "p", Metrics: []pinflow.PlannedMetric{{Name: "m", Columns: s.res.Columns}},
		Models: []pinflow.PlannedModel{{Name: "rows", Table: "rows", Columns: s.res.Columns}}}
	w, err := web.New(web.Options{Store: s, Plan: plan})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	w.Register(mux, nil)
	mux.Handle("/", problem.NotFound(mux))
	srv := httptest.NewServer(mux)
	t.Cleanup(func() { w.Close(); srv.Close() })
	return client.Client{Base: srv.URL + "/"}, s
}

func TestRowsArriveAsTheStoreGaveThem(t *testing.T) {
	c, s := start(t)
	for name, ask := range map[string]func() (*pinflow.Result, error){
		"metric": func() (*pinflow.Result, error) {
			return c.Metric(t.Context(), "m", url.Values{"limit": {"7"}, "text": {"a&b"}})
		},
		"model": func() (*pinflow.Result, error) { return c.Model(t.Context(), "rows", nil) },
		"sql":   func() (*pinflow.Result, error) { return c.SQL(t.Context(), `SELECT 'é "'`, nil) },
	} {
		got, err := ask()
		want := sample()
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %v\n got %v\nwant %v", name, err, got, want)
			continue
		}
		for _, write := range []func(*bytes.Buffer, *pinflow.Result) error{
			func(b *bytes.Buffer, r *pinflow.Result) error { return web.WriteCSV(b, r) },
			func(b *bytes.Buffer, r *pinflow.Result) error { return web.WriteJSON(b, r) },
		} {
			var here, there bytes.Buffer
			if err := errors.Join(write(&here, &want), write(&there, got)); err != nil || here.String() != there.String() {
				t.Errorf("%s: %v\n%s\n%s", name, err, there.String(), here.String())
			}
		}
		switch {
		case name == "sql" && s.asked.SQL != `SELECT 'é "'`:
			t.Errorf("the store was asked %+v", s.asked)
		case name == "metric" && (s.asked.Limit != 7 || s.asked.Filter[0].Value != "a&b"):
			t.Errorf("the store was asked %+v", s.asked)
		}
	}
}

func TestProblemsBecomeErrors(t *testing.T) {
	c, s := start(t)
	check := func(name string, err error, kind pinflow.Kind, holds, hint string) {
		t.Helper()
		var e *pinflow.Error
		if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(err.Error(), holds) || !strings.Contains(e.Hint, hint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := c.Metric(t.Context(), "none", nil)
	check("no such metric", err, pinflow.NotFound, "none", "The metrics are m.")
	_, err = c.Metric(t.Context(), "m", url.Values{"limit": {"x"}, "order": {"y"}})
	check("bad parameters", err, pinflow.Invalid, "order: ", "It takes")
	s.err = &pinflow.Error{Op: "query", Kind: pinflow.TooLarge, Hint: "Add LIMIT."}
	_, err = c.SQL(t.Context(), "SELECT 1", nil)
	check("too large", err, pinflow.TooLarge, "query", "Add LIMIT.")
	_, err = client.Client{Base: "http://127.0.0.1:1"}.Metric(t.Context(), "m", nil)
	check("nobody there", err, pinflow.Unavailable, "refused", "pinflow up")
	_, err = client.Client{Base: "http://a b"}.Metric(t.Context(), "m", nil)
	check("no address", err, pinflow.Invalid, "a b", "http://127.0.0.1:8000")
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	_, err = client.Client{Base: other.URL}.Metric(t.Context(), "m", nil)
	check("another server", err, pinflow.Internal, "404", "whether it is Pinflow")
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"columns":[],"rows":[{"a":`)) }))
	defer broken.Close()
	_, err = client.Client{Base: broken.URL}.Metric(t.Context(), "m", nil)
	check("broken off", err, pinflow.Unavailable, "breaks off", "Ask again")
}
