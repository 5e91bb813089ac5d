package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/pinflow/pinflow"
)

// damages are what a live half can do wrong with the rows of a table.
var damages = map[string]func(all [][]any) [][]any{
	"lost":    func(all [][]any) [][]any { return all[1:] },
	"doubled": func(all [][]any) [][]any { return append(slices.Clone(all), all[0]) },
	"changed": func(all [][]any) [][]any {
		row := slices.Clone(all[0])
		for i := len(row) - 1; i >= 2; i-- {
			if n, ok := row[i].(int64); ok && i != len(row)-1 || ok && len(row) < 6 {
				row[i] = n + 1000
				return append([][]any{row}, all[1:]...)
			}
			if s, ok := row[i].(string); ok {
				row[i] = s + "!"
				return append([][]any{row}, all[1:]...)
			}
		}
		return all[1:]
	},
}

// testDifferences has the live half do one thing wrong in one table: the comparison finds it there and nowhere else, and
// with the install it is right.
func testDifferences(t *testing.T, newEnv func(testing.TB) Env) {
	for i, table := range []string{"by_category", "ids", "orders", "visits", "rejects", "orders__accepted", "latest", "first", "latest_by_category", "latest_amounts", "first_by_category"} {
		t.Run(table, func(t *testing.T) { findDamage(t, newEnv(t), table, uint64(i)) })
	}
}

func findDamage(t *testing.T, env Env, table string, seed uint64) {
	p := batchPlan("g1")
	w := newWorld(env, p, seed, 1)
	w.ids = 500 // so that what is wrong with one row shows
	s := open(t, env, p, 0)
	for n, what := range []string{"", "lost", "doubled", "changed"} {
		if (table == "ids" || table == "latest" || table == "first") && what == "doubled" {
			what = "" // that is no difference: a set has it once, and of a key only the last row stands
		}
		for range 60 {
			w.post(0)
		}
		d := w.live(t, w.positions(t, s), 1000, 0)
		if what != "" {
			spoil(t, &d, table, damages[what])
		}
		must(t, s.Commit(t.Context(), d))
		w.seal()
		in := w.batch(t, n)
		compared, err := s.Compare(t.Context(), in, false)
		must(t, err)
		c, err := s.Install(t.Context(), in)
		must(t, err)
		for _, c := range []*pinflow.Comparison{compared, c} {
			if c.Why != "" || (c.Differing == 0) != (what == "") || c.Rows == 0 {
				t.Errorf("%s: %d of %d rows differ %s", what, c.Differing, c.Rows, c.Why)
			}
			checkTables(t, c, table, what)
		}
	}
	w.check(t, s)
}

// checkTables checks that only one table differs, and its samples.
func checkTables(t *testing.T, c *pinflow.Comparison, table, what string) {
	t.Helper()
	for _, one := range c.Tables {
		if (one.Differing > 0) != (one.Table == table && what != "") {
			t.Errorf("%s: %d rows of %s differ: %+v", what, one.Differing, one.Table, one.Samples)
		}
		if len(one.Samples) != min(20, int(one.Differing)) {
			t.Errorf("%s: %d samples of %d", what, len(one.Samples), one.Differing)
		}
		for _, sample := range one.Samples {
			// A row that is there twice looks the same on both sides.
			if sample.Live == sample.Batch && what != "doubled" || sample.Live+sample.Batch == "" ||
				sample.Live != "" && !json.Valid([]byte(sample.Live)) || sample.Batch != "" && !json.Valid([]byte(sample.Batch)) {
				t.Errorf("%s: sample %+v", what, sample)
			}
		}
	}
}

// spoil damages the rows that a delta adds to a table or lets stand.
func spoil(t testing.TB, d *pinflow.Delta, table string, damage func([][]any) [][]any) {
	t.Helper()
	read := func(r pinflow.Relation) pinflow.Relation {
		var all [][]any
		must(t, r.Scan(t.Context(), func(row []any) error { all = append(all, slices.Clone(row)); return nil }))
		return rows(damage(all))
	}
	for i := range d.Added {
		if d.Added[i].Table == table {
			d.Added[i].Rows = read(d.Added[i].Rows)
			return
		}
	}
	for i := range d.Changes {
		c := &d.Changes[i]
		if c.Table == table {
			c.Rows = read(c.Rows)
			return
		}
	}
	spoilDeltas(t, d, table, damage)
}

func spoilDeltas(t testing.TB, d *pinflow.Delta, table string, damage func([][]any) [][]any) {
	t.Helper()
	for i := range d.Changes {
		asked := d.Changes[i].Deltas
		d.Changes[i].Deltas = damaged(asked, table, damage)
	}
}

// testComparisons reads what was recorded, in order, and acknowledges it.
func testComparisons(t *testing.T, env Env) {
	p := batchPlan("g1")
	w := newWorld(env, p, 12, 1)
	s := open(t, env, p, 0)
	var want []*pinflow.Comparison
	for n := range 3 {
		for range 20 {
			w.post(0)
		}
		if n != 1 {
			d := w.live(t, w.positions(t, s), 1000, 0)
			if n == 2 {
				spoil(t, &d, "by_category", damages["changed"])
			}
			must(t, s.Commit(t.Context(), d))
		}
		w.seal()
		c, err := s.Install(t.Context(), w.batch(t, n))
		must(t, err)
		want = append(want, c)
	}
	wantKind(t, "acknowledging what is equal", s.Acknowledge(t.Context(), p.Generation, 0), pinflow.NotFound)
	must(t, s.Acknowledge(t.Context(), p.Generation, 2))
	want[2].Acknowledged = true
	must(t, s.Close())
	s = env.Open(t)
	got, err := s.Comparisons(t.Context(), p.Generation)
	must(t, err)
	if len(got) != len(want) {
		t.Fatalf("%d comparisons, want %d", len(got), len(want))
	}
	for i := range got {
		if fmt.Sprintf("%+v", got[i]) != fmt.Sprintf("%+v", *want[i]) || i > 0 && got[i].ID <= got[i-1].ID {
			t.Errorf("got  %+v\nwant %+v", got[i], *want[i])
		}
	}
	if got[0].Why != "" || got[0].Rows == 0 || got[1].Why == "" || got[2].Differing == 0 {
		t.Errorf("got %+v", got)
	}
}

// testCompare compares installed and uninstalled ranges, and finds rows edited by nobody's leave.
func testCompare(t *testing.T, env Env) {
	p := batchPlan("g1")
	w := newWorld(env, p, 13, 2)
	s := open(t, env, p, 0, 1)
	for range 3 {
		w.grow(40)
		w.catchUp(t, s)
		w.seal()
	}
	w.grow(10)
	w.catchUp(t, s)
	w.install(t, s, w.batch(t, 0))
	w.install(t, s, w.batch(t, 1))
	for n := range 3 {
		in := w.batch(t, n)
		in.StateOf = nil
		c, err := s.Compare(t.Context(), in, n == 1)
		must(t, err)
		if c.Why != "" || c.Differing != 0 || c.Rows == 0 {
			t.Errorf("period %d: %+v", n, c)
		}
		in.Added = in.Added[1:]
		c, err = s.Compare(t.Context(), in, false)
		must(t, err)
		if c.Differing == 0 {
			t.Errorf("period %d without a table of the batch is equal: %+v", n, c)
		}
	}
	w.seal()
	w.grow(10)
	w.post(1)
	w.seal()
	c, err := s.Compare(t.Context(), w.batch(t, 4), true)
	must(t, err)
	if c.Why == "" {
		t.Errorf("a period that is not counted was compared: %+v", c)
	}
	all, err := s.Comparisons(t.Context(), p.Generation)
	must(t, err)
	if len(all) != 4 {
		t.Errorf("%d comparisons were recorded", len(all))
	}
	w.check(t, s)
}
