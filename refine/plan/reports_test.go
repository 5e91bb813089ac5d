package plan_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/pipelines/pipelinetest"
)

// counted are things and how often they were seen, the commonest first, ties by name.
type counted struct {
	name string
	n    int
}

func commonest(seen map[string]int) (all []counted) {
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		all = append(all, counted{name, seen[name]})
	}
	slices.SortStableFunc(all, func(a, b counted) int { return cmp.Compare(b.n, a.n) })
	return all
}

func (w *world) report(name string) [][]string {
	w.t.Helper()
	i := slices.IndexFunc(w.plan.Reports, func(r pinflow.PlannedReport) bool { return r.Name == name })
	return w.mustRows(w.plan.Reports[i].SQL)
}

// TestShippedReports compares the shipped reports, their order too, with the same counted in Go.
func TestShippedReports(t *testing.T) {
	p := compile(t, shipped(t))
	for seed := range uint64(3) {
		w := newWorld(t, seed, p)
		w.fillRecords(func(pinflow.PlannedSource) []pinflow.Record { return repins(seed, []int{0, 30, 600}[seed]) })
		w.exec("UPDATE full_posts SET posted_at = posted_at + INTERVAL 1 day * (_offset % 3)")
		w.exec("UPDATE full_pins SET follower_count = follower_count // 3 WHERE _offset % 2 = 0")
		w.showAll("posts")
		w.showAll("pins")

		tags, days, medians := map[string]map[string]int{}, map[string]map[string]int{}, map[string][]string{}
		add := func(to map[string]map[string]int, of, name string) {
			if to[of] == nil {
				to[of] = map[string]int{}
			}
			to[of][name]++
		}
		for _, row := range w.mustRows("SELECT category, tag FROM full_posts, unnest(tags) AS t(tag)") {
			add(tags, row[0], row[1])
		}
		for _, row := range w.mustRows("SELECT strftime(posted_at, '%Y-%m-%d'), category FROM full_posts") {
			add(days, row[0], row[1])
		}
		for _, row := range w.mustRows("SELECT category, follower_count FROM pins") {
			medians[row[0]] = append(medians[row[0]], row[1])
		}
		sameRows(t, "top_tags", w.report("top_tags"), placed(tags, 10, func(category string, place int, of counted) []string {
			return []string{category, strconv.Itoa(place), of.name, strconv.Itoa(of.n)}
		}))
		sameRows(t, "category_by_day", w.report("category_by_day"), placed(days, 100, func(day string, place int, of counted) []string {
			return []string{day, strconv.Itoa(place), of.name, strconv.Itoa(of.n)}
		}))
		var followers [][]string
		for _, category := range slices.Sorted(maps.Keys(medians)) {
			followers = append(followers, append([]string{category}, middle(medians[category])...))
		}
		sameRows(t, "followers_by_category", w.report("followers_by_category"), followers)

		last := map[string]int{}
		posts := w.mustRows("SELECT category FROM full_posts ORDER BY _offset")
		for _, row := range posts[max(0, len(posts)-100):] {
			last[row[0]]++
		}
		var first [][]string
		for _, c := range commonest(last)[:min(1, len(last))] {
			first = append(first, []string{c.name, strconv.Itoa(c.n)})
		}
		sameRows(t, "last_hundred", w.report("last_hundred"), first)
	}
}

// placed are the commonest things of each group in order.
func placed(groups map[string]map[string]int, most int, row func(group string, place int, of counted) []string) (rows [][]string) {
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		all := commonest(groups[group])
		for i, c := range all[:min(most, len(all))] {
			rows = append(rows, row(group, i+1, c))
		}
	}
	return rows
}

// middle returns how many values there are, how many are known, their median to one decimal, the least and the largest.
func middle(values []string) []string {
	var known []*big.Int
	for _, v := range values {
		if n, ok := new(big.Int).SetString(v, 10); ok {
			known = append(known, n)
		}
	}
	row := []string{strconv.Itoa(len(values)), strconv.Itoa(len(known)), "∅", "∅", "∅"}
	if n := len(known); n > 0 {
		slices.SortFunc(known, (*big.Int).Cmp)
		twice := new(big.Int).Add(known[(n-1)/2], known[n/2])
		row[2], row[3], row[4] = new(big.Rat).SetFrac(twice, big.NewInt(2)).FloatString(1), known[0].String(), known[n-1].String()
	}
	return row
}

func sameRows(t *testing.T, what string, got, want [][]string) {
	t.Helper()
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%s\n got  %v\n want %v", what, got, want)
	}
}

// TestReportsAreDeterministic: rows that lie otherwise, worked on by several threads, give the same report in the same order.
func TestReportsAreDeterministic(t *testing.T) {
	d := pipelinetest.Definition(t)
	p := compile(t, d)
	w := newWorld(t, 3, p)
	w.fillRecords(func(s pinflow.PlannedSource) []pinflow.Record { return pipelinetest.Posts(t, 3, s.Name, 500) })
	w.exec("CREATE TABLE rejects (model VARCHAR, reason VARCHAR, payload BLOB)")
	w.exec("INSERT INTO rejects SELECT 'sales', note, encode(coalesce(note, '')) FROM full_sales")
	for _, m := range []string{"orders", "requests", "levels"} {
		w.showAll(m)
		w.exec("CREATE TABLE all_" + m + " AS FROM " + m)
	}
	i := slices.IndexFunc(d.Metrics, func(m pinflow.Script) bool { return m.Name == "requests_by_channel" })
	w.exec("CREATE VIEW requests_by_channel AS " + d.Metrics[i].SQL)
	w.exec("SET threads = 4")
	said := map[string][][]string{}
	for round := range 4 {
		for _, m := range []string{"orders", "requests", "levels"} {
			w.exec(fmt.Sprintf("CREATE OR REPLACE VIEW %s AS FROM (FROM all_%[1]s ORDER BY hash(_offset, %d))", m, round))
		}
		for _, r := range p.Reports {
			rows := w.report(r.Name)
			if round == 0 {
				said[r.Name] = rows
			}
			if len(rows) < 3 {
				t.Errorf("%s tells little: %v", r.Name, rows)
			}
			sameRows(t, r.Name, rows, said[r.Name])
		}
	}
}
