package plan_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/pipelines/pipelinetest"
)

// formula is a random expression over aggregates: as SQL, and as what it is by exact arithmetic.
type formula struct {
	sql string
	// of computes it from the values of the leaves; nil is NULL.
	of func(leaves []*big.Rat) *big.Rat
	// integer: it is one whatever the leaves are
	integer bool
}

// leaves are what formulas over a model are made of: all small, so that what is made of them stays in range.
type leaves struct {
	model   string
	of      []string
	integer []bool // they are integers whatever the rows are
}

var (
	salesLeaves = leaves{"sales", []string{"count(*)", "count(note)", "sum(quantity)", "min(quantity)", "max(amount)", "sum(amount)", "count(DISTINCT order_id)",
		"count(*) FILTER (WHERE express)", "sum(amount) FILTER (WHERE express)", "max(price)"},
		[]bool{true, true, true, true, false, false, true, true, false, false}}
	// ordersLeaves are of a model with a key.
	ordersLeaves = leaves{"orders", []string{"count(*)", "count(note)", "sum(quantity)", "sum(express)", "sum(price)", "sum(amount)", "count(DISTINCT note)",
		"count(*) FILTER (WHERE express)", "sum(amount) FILTER (WHERE express)", "count_if(express)", "count(DISTINCT raw_price) FILTER (WHERE quantity > 2)"},
		[]bool{true, true, true, true, false, false, true, true, false, true, true}}
)

func (l *leaves) leaf(r *rand.Rand) formula {
	if r.IntN(4) == 0 {
		text := pick(r, "0", "1", "2", "7", "100", "0.5", "1.25", "-3", "0.01")
		is, _ := new(big.Rat).SetString(text)
		return formula{text, func([]*big.Rat) *big.Rat { return is }, is.IsInt()}
	}
	i := r.IntN(len(l.of))
	return formula{l.of[i], func(v []*big.Rat) *big.Rat { return v[i] }, l.integer[i]}
}

func (l *leaves) random(r *rand.Rand, depth int) formula {
	if depth == 0 {
		return l.leaf(r)
	}
	a, b := l.random(r, depth-1), l.random(r, r.IntN(depth))
	switch r.IntN(14) {
	case 0, 1:
		return two(a, "+", b, a.integer && b.integer, (*big.Rat).Add)
	case 2:
		return two(a, "-", b, a.integer && b.integer, (*big.Rat).Sub)
	case 3:
		return two(a, "*", b, a.integer && b.integer, (*big.Rat).Mul)
	case 4, 5, 6:
		return two(a, "/", b, false, func(z, x, y *big.Rat) *big.Rat {
			if y.Sign() == 0 {
				return nil
			}
			return z.Quo(x, y)
		})
	case 7, 8:
		n := r.IntN(4)
		return one(fmt.Sprintf("round(%s, %d)", a.sql, n), a, n == 0, func(x *big.Rat) *big.Rat {
			y, _ := new(big.Rat).SetString(x.FloatString(n))
			return y
		})
	case 9:
		return one("floor("+a.sql+")", a, true, func(x *big.Rat) *big.Rat {
			return new(big.Rat).SetInt(new(big.Int).Div(x.Num(), x.Denom()))
		})
	case 10:
		return one("ceil("+a.sql+")", a, true, func(x *big.Rat) *big.Rat {
			up := new(big.Int).Div(new(big.Int).Neg(x.Num()), x.Denom())
			return new(big.Rat).SetInt(up.Neg(up))
		})
	case 11:
		return one("abs("+a.sql+")", a, a.integer, func(x *big.Rat) *big.Rat { return new(big.Rat).Abs(x) })
	}
	return chosen(r, a, b)
}

// chosen is one of the two.
func chosen(r *rand.Rand, a, b formula) formula {
	integer := a.integer && b.integer
	better := func(sign int) func(v []*big.Rat) *big.Rat {
		return func(v []*big.Rat) *big.Rat {
			x, y := a.of(v), b.of(v)
			if x == nil || y != nil && y.Cmp(x) == sign {
				return y
			}
			return x
		}
	}
	switch r.IntN(5) {
	case 0:
		return formula{"coalesce(" + a.sql + ", " + b.sql + ")", func(v []*big.Rat) *big.Rat {
			if x := a.of(v); x != nil {
				return x
			}
			return b.of(v)
		}, integer}
	case 1:
		return formula{"greatest(" + a.sql + ", " + b.sql + ")", better(1), integer}
	case 2:
		return formula{"least(" + a.sql + ", " + b.sql + ")", better(-1), integer}
	case 3:
		return formula{"nullif(" + a.sql + ", " + b.sql + ")", func(v []*big.Rat) *big.Rat {
			x, y := a.of(v), b.of(v)
			if x != nil && y != nil && x.Cmp(y) == 0 {
				return nil
			}
			return x
		}, a.integer}
	}
	return formula{"CASE WHEN " + a.sql + " > " + b.sql + " THEN " + b.sql + " ELSE " + a.sql + " END", func(v []*big.Rat) *big.Rat {
		x, y := a.of(v), b.of(v)
		if x != nil && y != nil && x.Cmp(y) > 0 {
			return y
		}
		return x
	}, integer}
}

func one(sql string, a formula, integer bool, f func(*big.Rat) *big.Rat) formula {
	return formula{sql, func(v []*big.Rat) *big.Rat {
		if x := a.of(v); x != nil {
			return f(x)
		}
		return nil
	}, integer}
}

func two(a formula, op string, b formula, integer bool, f func(z, x, y *big.Rat) *big.Rat) formula {
	return formula{"(" + a.sql + " " + op + " " + b.sql + ")", func(v []*big.Rat) *big.Rat {
		x, y := a.of(v), b.of(v)
		if x == nil || y == nil {
			return nil
		}
		return f(new(big.Rat), x, y)
	}, integer}
}

// groupings are random dimensions: what they show and GROUP BY.
var groupings = [][2]string{{"", ""}, {"country, ", " GROUP BY country"}, {"channel, express, ", " GROUP BY ALL"}, {"upper(country) AS code, ", " GROUP BY 1"},
	{"sold_at::DATE AS day, country IS NULL AS nowhere, ", " GROUP BY ALL"}, {"quantity % 3 AS rest, ", " GROUP BY rest"}, {"length(note) AS n, ", " GROUP BY length(note)"}}

// trialMetric is a random metric: what its last column is of the leaves, and a query for these.
type trialMetric struct {
	formula
	leaves string
}

// randomMetrics returns base with n random metrics over a model in place of its own.
func randomMetrics(seed uint64, n int, of leaves, base *pinflow.Definition) (*pinflow.Definition, []trialMetric) {
	r := rand.New(rand.NewPCG(seed, 3))
	d := *base
	d.Metrics, d.Reports = nil, nil
	var trials []trialMetric
	for len(trials) < n {
		f, g := of.random(r, 1+r.IntN(3)), groupings[r.IntN(len(groupings))]
		if !slices.ContainsFunc(of.of, func(l string) bool { return strings.Contains(f.sql, l) }) {
			continue // constants only
		}
		rest := " FROM " + of.model + pick(r, "", "", " WHERE express", " WHERE amount > 3") + g[1]
		// Rounded at last, so that the digits are all there to be compared.
		sql := "SELECT " + g[0] + "round(" + f.sql + ", 5) AS v" + rest
		d.Metrics = append(d.Metrics, pinflow.Script{Name: fmt.Sprintf("trial_%d", len(trials)), File: sql, SQL: sql})
		trials = append(trials, trialMetric{f, "SELECT " + g[0] + strings.Join(of.of, ", ") + rest})
	}
	return &d, trials
}

// newTrialWorld holds sales and orders without the values with which formulas leave 128 bits.
func newTrialWorld(t *testing.T, seed uint64, p *pinflow.Plan, n int) *world {
	w := newWorld(t, seed, p)
	w.fillRecords(func(s pinflow.PlannedSource) []pinflow.Record { return pipelinetest.Posts(t, seed, s.Name, n) })
	for _, m := range []string{"sales", "orders"} {
		w.exec("DELETE FROM full_" + m + " WHERE quantity > 1000 OR abs(amount) > 1000000 OR abs(price) > 1000000")
	}
	return w
}

// tooLarge tells whether a view has failed because an integer left 128 bits.
func tooLarge(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "Overflow") || strings.Contains(err.Error(), "Could not cast"))
}

// TestRandomMetrics compiles random expressions in random groupings and compares every group with exact arithmetic over
// the leaves that DuckDB counts over all rows at once.
func TestRandomMetrics(t *testing.T) { compareRandom(t, 1, 150, salesLeaves) }

// TestRandomMetricsOverEntities compares with the leaves over the rows that stand at the end of a random history.
func TestRandomMetricsOverEntities(t *testing.T) {
	for seed := range uint64(3) {
		compareRandom(t, seed, 60, ordersLeaves)
	}
}

func compareRandom(t *testing.T, seed uint64, n int, of leaves) {
	t.Helper()
	d, trials := randomMetrics(seed, n, of, pipelinetest.Definition(t))
	p := compile(t, d)
	w := newTrialWorld(t, 7+seed, p, 300)
	large, checked := 0, 0
	for i, m := range p.Metrics {
		got, err := w.view(p, m.Name, w.run(p, m))
		if tooLarge(err) {
			large++
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", d.Metrics[i].SQL, err)
		}
		w.showAll(of.model)
		var want [][]string
		for _, row := range w.mustRows(trials[i].leaves) {
			dimensions, text := row[:len(m.Columns)-1], "∅"
			if v := trials[i].of(rats(row[len(dimensions):])); v != nil {
				text = v.FloatString(5)
			}
			want = append(want, append(slices.Clone(dimensions), text))
		}
		checked += len(want)
		w.same(d.Metrics[i].SQL, m.Columns, got, want)
	}
	t.Logf("%d groups compared, %d metrics beyond 128 bits", checked, large)
	if checked < 2*n || large > n/10 {
		t.Error("the test tells little")
	}
}

func rats(values []string) []*big.Rat {
	all := make([]*big.Rat, len(values))
	for i, v := range values {
		if r, ok := new(big.Rat).SetString(v); ok {
			all[i] = r
		}
	}
	return all
}
