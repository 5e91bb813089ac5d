package web

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
)

// last returns the newest query for rows that the store was asked.
func (s *fakeStore) last() pinflow.Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.asked) - 1; i >= 0; i-- {
		if !strings.HasPrefix(s.asked[i].SQL, "SELECT count(*)") {
			return s.asked[i]
		}
	}
	return pinflow.Query{}
}

func TestParametersBecomeAQuery(t *testing.T) {
	s := serve(t, 3, nil)
	column, desc := func(n string) pinflow.Order { return pinflow.Order{Column: n} }, func(n string) pinflow.Order { return pinflow.Order{Column: n, Descending: true} }
	for _, c := range []struct {
		path string
		want pinflow.Query
	}{
		{"/api/metrics/cars_per_color", pinflow.Query{View: "cars_per_color", MaxRows: 1_000_000,
			Order: []pinflow.Order{column("color"), column("cars"), column("fastest")}}},
		{"/api/metrics/cars_per_color?order=FASTEST+desc,color&limit=5&cars=7&filter=cars+>+1", pinflow.Query{View: "cars_per_color", MaxRows: 1_000_000, Limit: 5, Where: "cars > 1",
			Filter: []pinflow.Condition{{Column: "cars", Op: "=", Value: "7"}}, Order: []pinflow.Order{desc("fastest"), column("color"), column("cars")}}},
		{"/api/metrics/cars_per_minute?from=2026-11-22T12:00:00%2B02:00&to=2026-11-22T11:00:00.5Z", pinflow.Query{View: "cars_per_minute", MaxRows: 1_000_000,
			Filter: []pinflow.Condition{{Column: "window_start", Op: ">=", Value: "2026-11-22T10:00:00Z"}, {Column: "window_start", Op: "<", Value: "2026-11-22T11:00:00.5Z"}},
			Order:  []pinflow.Order{column("window_start"), column("cars")}}},
		{"/api/models/cars", pinflow.Query{View: "cars", Limit: 100, Order: []pinflow.Order{column("_partition"), column("_offset")}}},
		{"/api/models/cars?order=_offset+desc&limit=10000", pinflow.Query{View: "cars", Limit: 10000, Order: []pinflow.Order{desc("_offset"), column("_partition")}}},
		{"/api/rejects?topic=t", pinflow.Query{View: "rejects", Limit: 100, Filter: []pinflow.Condition{{Column: "topic", Op: "=", Value: "t"}},
			Order: []pinflow.Order{desc("rejected_at"), column("topic"), column("partition"), desc("offset"), column("model")}}},
	} {
		path := strings.ReplaceAll(c.path, ">", "%3E")
		if status, _, body := s.get(t, path); status != 200 && !strings.Contains(c.path, "from=") {
			t.Errorf("%s: %d %s", c.path, status, body)
		}
		if got := s.store.last(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.path, got, c.want)
		}
	}
}

// What a URL says gets into a query as a column of the plan, a bound value, a number or the filter, which the store judges.
func TestNothingOfAURLIsSpliced(t *testing.T) {
	s := serve(t, 3, nil)
	evil := []string{`color"; DROP TABLE cars; --`, `1; DROP TABLE cars`, `color) UNION SELECT * FROM rejects --`, `color desc; SELECT 1`, `color'`, `"color"`, `cars --`,
		`(SELECT 1)`, `color, (SELECT 1)`, `1e3`, `-1`, `0x10`, `9999999999999999999999`, "color\x00", `read_csv('/etc/passwd')`}
	for _, e := range evil {
		for _, path := range []string{"/api/metrics/cars_per_color?order=", "/api/metrics/cars_per_color?limit=", "/api/models/cars?order=", "/api/rejects?limit=",
			"/api/metrics/cars_per_color/events?order=", "/api/metrics/cars_per_color?after=", "/api/metrics/cars_per_minute?from=", "/api/metrics/cars_per_color?format="} {
			if status, _, body := s.get(t, path+url.QueryEscape(e)); status != 422 {
				t.Errorf("%s%s: %d %s", path, e, status, body)
			}
		}
		if status, _, body := s.get(t, "/api/metrics/cars_per_color?"+url.QueryEscape(e)+"=1"); status != 422 {
			t.Errorf("column %s: %d %s", e, status, body)
		}
		if status, _, _ := s.get(t, "/api/metrics/"+url.PathEscape(e)); status != 404 {
			t.Errorf("metric %s: %d", e, status)
		}
		if got := s.store.last(); got.View != "" {
			t.Fatalf("the store was asked %+v", got)
		}
		s.get(t, "/api/metrics/cars_per_color?color="+url.QueryEscape(e))
		if got := s.store.last(); !reflect.DeepEqual(got.Filter, []pinflow.Condition{{Column: "color", Op: "=", Value: e}}) || got.Where != "" {
			t.Errorf("value %s became %+v", e, got)
		}
		s.store.commit(0, func() { s.store.asked = nil })
	}
}

func TestAllFaultsOfAURLAreListed(t *testing.T) {
	s := serve(t, 0, nil)
	_, _, body := s.get(t, "/api/metrics/cars_per_color?limit=x&order=nothing&to=now&format=xml&after=1&timeout=x&wheels=4")
	for _, name := range []string{"limit", "order", "to", "format", "after", "timeout", "wheels"} {
		if !strings.Contains(body, `"path":"`+name+`"`) {
			t.Errorf("%s is not in %s", name, body)
		}
	}
}
