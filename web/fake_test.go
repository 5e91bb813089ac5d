package web

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
)

// fakeStore is views in memory. Its query knows = on texts, order and limit; of SQL it knows to count a view.
type fakeStore struct {
	mu      sync.Mutex
	views   map[string]*pinflow.Result
	at      map[pinflow.TopicPartition]pinflow.Progress
	changed chan struct{}
	asked   []pinflow.Query
	places  int   // calls of Positions
	err     error // answers every query
	onSQL   func(ctx context.Context, q pinflow.Query) (*pinflow.Result, error)
}

func newFakeStore() *fakeStore {
	return &fakeStore{views: map[string]*pinflow.Result{"rejects": {Columns: pinflow.RejectsTable().Keys}},
		at: map[pinflow.TopicPartition]pinflow.Progress{}, changed: make(chan struct{})}
}

// commit changes the store as f says, and moves the position of topic t by n.
func (s *fakeStore) commit(n int64, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tp := pinflow.TopicPartition{Topic: "t"}
	s.at[tp] = pinflow.Progress{NextOffset: s.at[tp].NextOffset + n}
	if f != nil {
		f()
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *fakeStore) fail(err error) { s.commit(0, func() { s.err = err }) }

// answerSQL sets what answers SQL.
func (s *fakeStore) answerSQL(f func(context.Context, pinflow.Query) (*pinflow.Result, error)) {
	s.commit(0, func() { s.onSQL = f })
}

func (s *fakeStore) Changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *fakeStore) Positions(context.Context) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places++
	return maps.Clone(s.at), nil
}

func (s *fakeStore) Query(ctx context.Context, q pinflow.Query) (*pinflow.Result, error) {
	s.mu.Lock()
	s.asked = append(s.asked, q)
	err, onSQL := s.err, s.onSQL
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if view, ok := strings.CutPrefix(q.SQL, `SELECT count(*) AS n FROM "`); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		n := int64(len(s.views[strings.TrimSuffix(view, `"`)].Rows))
		return &pinflow.Result{Columns: []pinflow.Column{{Name: "n", Type: "BIGINT"}}, Rows: [][]any{{n}}, Positions: maps.Clone(s.at)}, nil
	}
	if q.SQL != "" {
		return onSQL(ctx, q)
	}
	return s.view(q)
}

func (s *fakeStore) view(q pinflow.Query) (*pinflow.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.views[q.View]
	if !ok {
		return nil, &pinflow.Error{Op: "query", On: q.View, Kind: pinflow.NotFound}
	}
	res := &pinflow.Result{Columns: v.Columns, Positions: maps.Clone(s.at)}
	index := func(name string) int {
		return slices.IndexFunc(v.Columns, func(c pinflow.Column) bool { return c.Name == name })
	}
	for _, row := range v.Rows {
		if !slices.ContainsFunc(q.Filter, func(c pinflow.Condition) bool { return fmt.Sprint(row[index(c.Column)]) != c.Value }) {
			res.Rows = append(res.Rows, row)
		}
	}
	slices.SortStableFunc(res.Rows, func(a, b []any) int {
		for _, o := range q.Order {
			c := compareValues(a[index(o.Column)], b[index(o.Column)])
			if o.Descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	if q.MaxRows > 0 && len(res.Rows) > q.MaxRows {
		return nil, &pinflow.Error{Op: "query", On: q.View, Kind: pinflow.TooLarge}
	}
	if q.Limit > 0 && len(res.Rows) > q.Limit {
		res.Rows = res.Rows[:q.Limit]
	}
	return res, nil
}

func compareValues(a, b any) int {
	if n, ok := a.(int64); ok {
		m, _ := b.(int64)
		return cmp.Compare(n, m)
	}
	return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

// testPlan has a metric of each shape that the page knows, a model and a source.
func testPlan() *pinflow.Plan {
	number := func(name string) pinflow.Column { return pinflow.Column{Name: name, Type: "BIGINT"} }
	window := pinflow.Column{Name: "window_start", Type: "TIMESTAMP WITH TIME ZONE"}
	color := pinflow.Column{Name: "color", Type: "VARCHAR"}
	metric := func(name, about string, columns ...pinflow.Column) pinflow.PlannedMetric {
		return pinflow.PlannedMetric{Name: name, Description: about, Model: "cars", Columns: columns}
	}
	return &pinflow.Plan{Pipeline: "traffic", Generation: "g0123456789ab",
		Sources: []pinflow.PlannedSource{{Source: pinflow.Source{Name: "car", Route: "/car/", Topic: "t", Partitions: 2, Schema: json.RawMessage(
			`{"type":"object","required":["plate","speed","color"],"properties":{"plate":{"type":"string"},"speed":{"type":"integer","minimum":0},"color":{"enum":["it's red","blue"]}}}`)}}},
		Models: []pinflow.PlannedModel{
			{Name: "cars", Source: "car", Table: "cars", Columns: []pinflow.Column{color, {Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"}}},
			{Name: "unkept", Source: "car"},
			{Name: "plates", Source: "car", Table: "plates", Key: []string{"plate", "land"}, Keep: "latest", Columns: []pinflow.Column{
				{Name: "plate", Type: "VARCHAR"}, {Name: "land", Type: "VARCHAR"}, color}}},
		Reports: []pinflow.PlannedReport{{Name: "fast_cars", Description: "The fastest", SQL: "SELECT 1", Columns: []pinflow.Column{color}}},
		Metrics: []pinflow.PlannedMetric{
			metric("cars_per_color", "How many cars of each color", color, number("cars"), number("fastest")),
			metric("cars_per_minute", "Cars per minute", window, number("cars")),
			metric("color_per_minute", "Cars per minute and color", window, color, number("cars"), pinflow.Column{Name: "share", Type: "DECIMAL(38,2)"}),
			metric("totals", "All cars", number("cars"), pinflow.Column{Name: "distance", Type: "HUGEINT"}),
		}}
}

// fill puts n rows into each metric's view.
func (s *fakeStore) fill(plan *pinflow.Plan, n int) {
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	colors := []string{"red", "blue", "green", "white", "black", "grey", "yellow"}
	for _, m := range plan.Metrics {
		v := &pinflow.Result{Columns: m.Columns}
		for i := range n {
			row := make([]any, len(m.Columns))
			for j, c := range m.Columns {
				switch c.Type {
				case "BIGINT":
					row[j] = int64((i*7919+j*31)%1000 + i%7)
				case "VARCHAR":
					row[j] = colors[i%len(colors)]
					if m.Name == "cars_per_color" && i >= len(colors) {
						row[j] = fmt.Sprintf("%s no. %d", colors[i%len(colors)], i)
					}
				case "HUGEINT":
					row[j] = json.Number(huge.String())
				case "DECIMAL(38,2)":
					row[j] = json.Number(fmt.Sprintf("%d.%02d", i%100, i%97))
				default:
					step := i
					if m.Name == "color_per_minute" {
						step = i / len(colors)
					}
					row[j] = start.Add(time.Duration(step) * time.Minute)
				}
			}
			v.Rows = append(v.Rows, row)
			if m.Name == "totals" {
				break
			}
		}
		s.views[m.Name] = v
	}
	s.views["cars"] = &pinflow.Result{Columns: plan.Models[0].Columns}
	s.views["plates"] = &pinflow.Result{Columns: plan.Models[2].Columns}
	for i := range n {
		s.views["cars"].Rows = append(s.views["cars"].Rows, []any{colors[i%len(colors)], int32(0), int64(i)})
	}
}
