package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine/plan"
)

// scraps are what nonsense is made of.
var scraps = strings.Fields(`SELECT FROM m WHERE GROUP BY ALL id n x b tags ts d huge o count(*) sum( max( min( avg( count(DISTINCT FILTER ( ) , + - * / // % = <> < IN ( 1 0 2.5 'a' NULL
	AS k AS j CASE WHEN THEN ELSE END AND OR NOT IS round( , 2) coalesce( nullif( greatest( ::INTEGER ::DECIMAL(10,2) ::VARCHAR ::DATE [1] unnest(tags) AS t(tag) tag ; -- ü
	list_transform( lambda y: y ) INTERVAL 1 day date_trunc('day', ts) BETWEEN 1 EXISTS ANY || ->> 'a' true struct_pack(a := id) {'a': 1} . m. "n" random() now() $1 ? *`)

// TestNonsense: whatever is written, there are faults or a plan, never an error of the compiler's own, let alone a
// panic; and what compiles shows what DuckDB says of it.
func TestNonsense(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	compiled := 0
	for range 5 {
		d := trial(trialModel, "")
		d.Metrics = nil
		for i := range 60 {
			sql := nonsense(r)
			d.Metrics = append(d.Metrics, pinflow.Script{Name: fmt.Sprintf("k%d", i), File: sql, SQL: sql})
		}
		_, faults, err := plan.Compile(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		faulty := map[string]bool{}
		for _, f := range faults {
			if faulty[f.File] = true; f.Message == "" {
				t.Errorf("%s: a fault without a reason", f.File)
			}
		}
		d.Metrics = slices.DeleteFunc(d.Metrics, func(m pinflow.Script) bool { return faulty[m.File] })
		compiled += len(d.Metrics)
		agree(t, r, d)
	}
	t.Logf("%d of 300 compile", compiled)
	if compiled < 50 {
		t.Error("the test tells little: hardly anything compiles")
	}
}

// agree compares every metric with DuckDB's run of it to six digits: the exact ones are compared elsewhere.
func agree(t *testing.T, r *rand.Rand, d *pinflow.Definition) {
	p := compile(t, d)
	w := newWorld(t, r.Uint64(), p)
	w.fill(func(string) (posts [][]byte) {
		for range 40 {
			posts = append(posts, fmt.Appendf(nil, `{"id": %q, "n": %d, "x": %s, "b": %v, "tags": %s, "o": {"a": "1"}}`, pick(r, "a", "b", "1", "", "A"),
				r.IntN(5)-1, pick(r, "1.5", "0", "-0.0", "2"), r.IntN(2) == 0, pick(r, "[]", `["a","b"]`, `["a"]`)), []byte("{}"))
		}
		return posts
	})
	for i, m := range p.Metrics {
		got, err := w.view(p, m.Name, w.run(p, m))
		if err != nil {
			t.Errorf("%s: %v", d.Metrics[i].SQL, err)
			continue
		}
		w.showAll("m")
		text, _, _ := strings.Cut(d.Metrics[i].SQL, "--")
		want, err := w.rows(strings.TrimRight(text, "; "))
		if err != nil {
			continue // it fails for a row, which is NULL here
		}
		if g, x := sixDigits(m, got), sixDigits(m, want); !slices.Equal(g, x) {
			t.Errorf("%s\n got  %v\n want %v", d.Metrics[i].SQL, g, x)
		}
	}
}

// sixDigits are rows in an order of their own, numbers rounded; what DuckDB divides by zero is NULL.
func sixDigits(m pinflow.PlannedMetric, rows [][]string) (lines []string) {
	for _, row := range rows {
		row = slices.Clone(row)
		for i, number := range rats(row) {
			switch {
			case m.Columns[i].Type == "VARCHAR":
			case number != nil:
				f, _ := number.Float64()
				row[i] = fmt.Sprintf("%.6g", f)
			case row[i] == "inf" || row[i] == "-inf" || row[i] == "nan":
				row[i] = "∅"
			}
		}
		lines = append(lines, strings.Join(row, " | "))
	}
	slices.Sort(lines)
	return lines
}

// nonsense is a metric of which some parts are replaced, left out or added.
func nonsense(r *rand.Rand) string {
	words := strings.Fields(pick(r,
		"SELECT id , sum( n ) AS k , round( avg( n ) , 2 ) AS j FROM m WHERE n > 1 GROUP BY id",
		"SELECT date_trunc( 'day' , ts ) AS day , count(*) FILTER ( b ) AS k , count(DISTINCT id ) AS j FROM m GROUP BY day",
		"SELECT tag , CASE WHEN count(*) > 3 THEN max( d ) / count(*) ELSE 0 END AS k FROM m , unnest(tags) AS t(tag) GROUP BY ALL",
		"SELECT coalesce( max( n ) , 0 ) + nullif( count(*) , 2 ) AS k , min( x ) AS low , b AND n = 1 AS j FROM m GROUP BY b , n"))
	for range r.IntN(4) {
		i := r.IntN(len(words))
		switch r.IntN(3) {
		case 0:
			words[i] = scraps[r.IntN(len(scraps))]
		case 1:
			words[i] += " " + scraps[r.IntN(len(scraps))]
		case 2:
			words[i] = ""
		}
	}
	return strings.Join(words, " ")
}
