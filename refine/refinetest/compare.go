package refinetest

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// Shown is where the plan's stable views can be read.
type Shown interface {
	// From returns what stands for a view in FROM.
	From(view string) string
	// Rows returns the rows of a query in order, each value as text and NULL as ∅, and the columns' types.
	Rows(query string) (rows [][]string, types []string)
}

// Store returns the views of a store, which must be at rest.
func Store(t testing.TB, r pinflow.StoreReader) Shown { return reader{t, r} }

type reader struct {
	t testing.TB
	pinflow.StoreReader
}

func (r reader) From(view string) string { return duck.Quote(view) }

func (r reader) Rows(query string) (rows [][]string, types []string) {
	r.t.Helper()
	ask := func(query string) *pinflow.Result {
		result, err := r.Query(r.t.Context(), pinflow.Query{SQL: query})
		if err != nil {
			r.t.Fatalf("%v\n%s", err, query)
		}
		return result
	}
	for _, c := range ask("SELECT * FROM (" + query + ") LIMIT 0").Columns {
		types = append(types, c.Type)
	}
	for _, values := range ask("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (" + query + ")").Rows {
		row := make([]string, len(values))
		for i, v := range values {
			if row[i] = "∅"; v != nil {
				row[i] = fmt.Sprint(v)
			}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, slices.Compare)
	return rows, types
}

// Check holds what is shown to the oracle: every metric, every model's rows, and the rejects.
func (o *Oracle) Check(t testing.TB, shown Shown) {
	t.Helper()
	for _, m := range o.plan.Metrics {
		got, types := shown.Rows("SELECT * FROM " + shown.From(m.Name))
		want, computed := o.Metric(m.Name)
		for i, typ := range computed {
			if typ == "DOUBLE" {
				types[i] = typ
			}
		}
		SameMetric(t, m.Name, types, got, want)
	}
	for i := range o.plan.Models {
		m := &o.plan.Models[i]
		o.checkRejects(t, m, shown)
		if m.Table == "" {
			continue
		}
		// What a definition's own SQL yields; the plan may add where a row comes from.
		columns := o.columns(m)
		got, _ := shown.Rows("SELECT " + columns + " FROM " + shown.From(m.Table))
		want, _ := o.db.rows("SELECT " + columns + " FROM " + m.Name)
		same(t, "rows of "+m.Name, got, want)
	}
}

// columns lists the columns of a model that its own SQL yields. To DuckDB, * is more than it is in a model.
func (o *Oracle) columns(m *pinflow.PlannedModel) string {
	var names []string
	for _, row := range o.db.query("DESCRIBE " + m.Name) {
		if slices.ContainsFunc(m.Columns, func(c pinflow.Column) bool { return c.Name == row[0] }) {
			names = append(names, duck.Quote(row[0]))
		}
	}
	return strings.Join(names, ", ")
}

func (o *Oracle) checkRejects(t testing.TB, m *pinflow.PlannedModel, shown Shown) {
	t.Helper()
	var want [][]string
	for at := range o.Rejected[m.Name] {
		want = append(want, strings.Split(at.String(), ":"))
	}
	slices.SortFunc(want, slices.Compare)
	got, _ := shown.Rows(`SELECT topic, "partition", "offset" FROM ` + shown.From("rejects") + " WHERE model = " + duck.Literal(m.Name))
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
