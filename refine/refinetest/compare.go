package refinetest

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// Check holds tables to the oracle: every metric's view, every model's rows, and the rejects.
func (o *Oracle) Check(t testing.TB, p *pinflow.Plan, tables *Tables) {
	t.Helper()
	for _, m := range p.Metrics {
		got, types := tables.View(m.Name)
		want, computed := o.Metric(m.Name)
		for i, typ := range computed {
			if typ == "DOUBLE" {
				types[i] = typ
			}
		}
		SameMetric(t, m.Name, types, got, want)
	}
	for i := range p.Models {
		m := &p.Models[i]
		o.checkRejects(t, m, tables)
		if m.Table == "" {
			continue
		}
		// What a definition's own SQL yields; the plan may add where a row comes from.
		got, _ := tables.db.rows("SELECT " + shown(o, m) + " FROM gen." + m.Table)
		want, _ := o.db.rows("SELECT " + shown(o, m) + " FROM " + m.Name)
		same(t, "rows of "+m.Name, got, want)
	}
}

// shown lists the columns of a model that its own SQL yields.
func shown(o *Oracle, m *pinflow.PlannedModel) string {
	var names []string
	for _, row := range o.db.query("DESCRIBE " + m.Name) {
		names = append(names, duck.Quote(row[0]))
	}
	return strings.Join(names, ", ")
}

func (o *Oracle) checkRejects(t testing.TB, m *pinflow.PlannedModel, tables *Tables) {
	t.Helper()
	var want [][]string
	for at := range o.Rejected[m.Name] {
		want = append(want, strings.Split(at.String(), ":"))
	}
	slices.SortFunc(want, slices.Compare)
	got, _ := tables.db.rows(`SELECT topic, "partition", "offset" FROM gen.rejects WHERE model = '` + m.Name + "'")
	same(t, "rejects of "+m.Name, got, want)
}

// same compares rows exactly.
func same(t testing.TB, what string, got, want [][]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("%s, row %d:\ngot  %q\nwant %q", what, i, got[i], want[i])
			return
		}
	}
}

// SameMetric compares a view's rows with those of the metric's SQL. The view computes exactly where the
// SQL computes in DOUBLE: in columns that either has as DOUBLE or DECIMAL a difference of one in the last digit shown is none.
func SameMetric(t testing.TB, name string, types []string, got, want [][]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d rows, want %d", name, len(got), len(want))
		return
	}
	order := func(a, b []string) int { // by what is exact first
		for exact := range 2 {
			for i, typ := range types {
				if c := strings.Compare(a[i], b[i]); (exact == 0) == (typ != "DOUBLE" && !strings.HasPrefix(typ, "DECIMAL")) && c != 0 {
					return c
				}
			}
		}
		return 0
	}
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	for i := range got {
		for c := range got[i] {
			if got[i][c] != want[i][c] && !(near(types[c], got[i][c], want[i][c])) {
				t.Errorf("%s, row %d, column %d (%s): got %s, want %s\ngot  %q\nwant %q", name, i, c, types[c], got[i][c], want[i][c], got[i], want[i])
				return
			}
		}
	}
}

func near(typ, a, b string) bool {
	if typ != "DOUBLE" && !strings.HasPrefix(typ, "DECIMAL") {
		return false
	}
	x, okX := new(big.Rat).SetString(a)
	y, okY := new(big.Rat).SetString(b)
	if !okX || !okY {
		return false
	}
	unit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals(a, b))), nil))
	if size := new(big.Rat).Abs(x); typ == "DOUBLE" || strings.Contains(b, "e") {
		unit.Add(unit, size.Mul(size, big.NewRat(1, 1_000_000_000_000)))
	}
	d := x.Sub(x, y)
	return d.Abs(d).Cmp(unit) <= 0
}

// decimals is the larger number of digits behind a decimal point.
func decimals(texts ...string) (n int) {
	for _, text := range texts {
		if _, behind, ok := strings.Cut(text, "."); ok {
			n = max(n, len(behind))
		}
	}
	return n
}
