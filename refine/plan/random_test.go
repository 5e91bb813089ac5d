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

// leaves are what formulas are made of: all small, so that what is made of them stays in range.
var leaves = []string{"count(*)", "count(note)", "sum(quantity)", "min(quantity)", "max(amount)", "sum(amount)", "count(DISTINCT order_id)",
	"count(*) FILTER (WHERE express)", "sum(amount) FILTER (WHERE express)", "max(price)"}

var integerLeaf = []bool{true, true, true, true, false, false, true, true, false, false}

func leaf(r *rand.Rand) formula {
	if r.IntN(4) == 0 {
		text := pick(r, "0", "1", "2", "7", "100", "0.5", "1.25", "-3", "0.01")
		is, _ := new(big.Rat).SetString(text)
		return formula{text, func([]*big.Rat) *big.Rat { return is }, is.IsInt()}
	}
	i := r.IntN(len(leaves))
	return formula{leaves[i], func(v []*big.Rat) *big.Rat { return v[i] }, integerLeaf[i]}
}

func random(r *rand.Rand, depth int) formula {
	if depth == 0 {
		return leaf(r)
	}
	a, b := random(r, depth-1), random(r, r.IntN(depth))
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

// TestRandomMetrics compiles random expressions in random groupings and compares every group with exact arithmetic over
// the leaves that DuckDB counts over all rows at once.
func TestRandomMetrics(t *testing.T) {
	base := pipelinetest.Definition(t)
	w := newWorld(t, 7, compile(t, base))
	w.fill(func(source string) [][]byte { return pipelinetest.Records(7, source, 300) })
	w.exec("DELETE FROM full_sales WHERE quantity > 1000 OR abs(amount) > 1000000 OR abs(price) > 1000000")
	tooLarge, checked := 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		f, g := random(r, 1+r.IntN(3)), groupings[r.IntN(len(groupings))]
		if !slices.ContainsFunc(leaves, func(l string) bool { return strings.Contains(f.sql, l) }) {
			continue // constants only
		}
		where := pick(r, "", "", " WHERE express", " WHERE amount > 3")
		// Rounded at last, so that the digits are all there to be compared.
		d := *base
		d.Metrics = []pinflow.Script{{Name: "trial", File: "trial.sql", SQL: "SELECT " + g[0] + "round(" + f.sql + ", 5) AS v FROM sales" + where + g[1]}}
		p := compile(t, &d)
		got, err := w.view(p, "trial", w.run(p, p.Metrics[0]))
		if err != nil && (strings.Contains(err.Error(), "Overflow") || strings.Contains(err.Error(), "Could not cast")) {
			tooLarge++
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", d.Metrics[0].SQL, err)
		}
		w.show("sales", "true")
		var want [][]string
		dimensions := len(p.Metrics[0].Columns) - 1
		for _, row := range w.mustRows("SELECT " + g[0] + strings.Join(leaves, ", ") + " FROM sales" + where + g[1]) {
			text := "∅"
			if v := f.of(rats(row[dimensions:])); v != nil {
				text = v.FloatString(5)
			}
			want = append(want, append(slices.Clone(row[:dimensions]), text))
		}
		checked += len(want)
		w.same(d.Metrics[0].SQL, p.Metrics[0].Columns, got, want)
	}
	t.Logf("%d groups compared, %d metrics beyond 128 bits", checked, tooLarge)
	if checked < 300 || tooLarge > 6 {
		t.Errorf("%d groups compared, %d metrics beyond 128 bits: the test tells little", checked, tooLarge)
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
