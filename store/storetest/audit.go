package storetest

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/pinflow/pinflow"
)

// damaged are deltas of which one table's rows are damaged.
func damaged(asked func(context.Context, pinflow.Relation) ([]pinflow.Addition, error), table string, damage func([][]any) [][]any) func(context.Context, pinflow.Relation) ([]pinflow.Addition, error) {
	return func(ctx context.Context, held pinflow.Relation) ([]pinflow.Addition, error) {
		all, err := asked(ctx, held)
		for i := range all {
			if all[i].Table == table {
				all[i].Rows = rows(damage(all[i].Rows.(rows)))
			}
		}
		return all, err
	}
}

// testCounts holds the counts against the log.
func testCounts(t *testing.T, env Env) {
	p := batchPlan("g1")
	w := newWorld(env, p, 14, 2)
	s := open(t, env, p, 0, 1)
	for n := range 3 {
		w.grow(40)
		if n != 1 {
			w.catchUp(t, s)
		}
		w.seal()
		w.install(t, s, w.batch(t, n))
	}
	w.grow(10)
	w.catchUp(t, s)
	want := map[string]pinflow.StoreCount{}
	for _, orders := range w.log {
		for _, o := range orders {
			for _, m := range p.Models {
				at := fmt.Sprint(m.Name, o.partition, o.period)
				c, ok := want[at]
				if !ok {
					c = pinflow.StoreCount{Model: m.Name, TopicPartition: partition(o.partition), Period: pinflow.Period(o.period), Rows: -1}
					if m.Name == "orders" {
						c.Rows = 0
					}
				}
				if o.rejected {
					c.Rejected++
				} else {
					c.Accepted++
				}
				if m.Name == "orders" {
					c.Rows = c.Accepted
				}
				want[at] = c
			}
		}
	}
	got, err := s.Counts(t.Context(), p.Generation)
	must(t, err)
	if len(got.Counts) != len(want) {
		t.Errorf("%d counts, want %d", len(got.Counts), len(want))
	}
	for _, c := range got.Counts {
		if c != want[fmt.Sprint(c.Model, c.Partition, c.Period)] {
			t.Errorf("got %+v, want %+v", c, want[fmt.Sprint(c.Model, c.Partition, c.Period)])
		}
	}
	if !reflect.DeepEqual(got.Positions, w.positions(t, s)) {
		t.Errorf("positions %v", got.Positions)
	}
	_, err = s.Counts(t.Context(), "g9")
	wantKind(t, "counts of an unknown generation", err, pinflow.NotFound)
}

// testReports replaces a report's rows while it is read.
func testReports(t *testing.T, env Env) {
	p := batchPlan("g1")
	s := open(t, env, p, 0)
	if got := query(t, s, pinflow.Query{View: "best"}); len(got.Rows) != 0 || !reflect.DeepEqual(got.Columns, p.Reports[0].Columns) {
		t.Errorf("before the first run: %+v", got)
	}
	done := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		for {
			result, err := s.Query(t.Context(), pinflow.Query{View: "best"})
			if err == nil && len(result.Rows) > 0 {
				for _, row := range result.Rows {
					if row[1] != int64(len(result.Rows)) {
						err = fmt.Errorf("a report of %d rows has one of %v", len(result.Rows), row[1])
					}
				}
			}
			if err != nil {
				ended <- err
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	for n := 1; n <= 6; n++ {
		var all [][]any
		for range n {
			all = append(all, []any{nil, int64(n), "1.50"})
		}
		relation := pinflow.Relation(rows(all))
		if env.Native != nil && n%2 == 0 {
			relation = env.Native(t, p.Reports[0].Columns, all)
		}
		must(t, s.PutReport(t.Context(), p.Generation, "best", pinflow.Period(n), relation))
	}
	close(done)
	must(t, <-ended)
	wantKind(t, "an unknown report", s.PutReport(t.Context(), p.Generation, "worst", 1, rows{}), pinflow.NotFound, "worst")
	wantKind(t, "an unknown generation", s.PutReport(t.Context(), "g9", "best", 1, rows{}), pinflow.NotFound)
	if err := s.PutReport(t.Context(), p.Generation, "best", 9, broken{}); err == nil {
		t.Error("rows that break were taken")
	}
	must(t, s.Close())
	s = env.Open(t)
	result := query(t, s, pinflow.Query{View: "best"})
	if len(result.Rows) != 6 || text(result.Rows[0]) != "<nil> | 6 | 1.50" {
		t.Errorf("got %+v", result.Rows)
	}
	info, err := s.ReportInfo(t.Context(), p.Generation)
	must(t, err)
	if len(info) != 1 || info[0].Report != "best" || info[0].AsOf != 6 || info[0].Rows != 6 || info[0].At.IsZero() {
		t.Errorf("got %+v", info)
	}
}

// testByKey reads single rows by their key.
func testByKey(t *testing.T, env Env) {
	p := batchPlan("g1")
	w := newWorld(env, p, 15, 1)
	s := open(t, env, p, 0)
	w.grow(50)
	w.post(0)
	w.catchUp(t, s)
	for id, o := range standing(w.log[0], "latest") {
		result := query(t, s, pinflow.Query{View: "latest", Filter: where("id", "=", id), Limit: 1})
		if len(result.Rows) != 1 || text(result.Rows[0]) != text(o.row()[2:]) {
			t.Errorf("%s: got %v, want %v", id, result.Rows, o.row()[2:])
		}
	}
	if result := query(t, s, pinflow.Query{View: "latest", Filter: where("id", "=", "' OR ''='")}); len(result.Rows) != 0 {
		t.Errorf("got %v", result.Rows)
	}
}
