package storetest

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
)

// model is the store as plain Go: rows by their keys.
type model struct {
	plan      *pinflow.Plan
	positions map[pinflow.TopicPartition]pinflow.Progress
	sales     map[string][]any // by text of the keys: keys and merged measures
	people    map[string]map[string]bool
	things    [][]any
	rejects   [][]any
	total     int64
}

func newModel(p *pinflow.Plan) *model {
	return &model{plan: p, positions: map[pinflow.TopicPartition]pinflow.Progress{}, sales: map[string][]any{}, people: map[string]map[string]bool{}}
}

func (m *model) apply(d made) {
	for _, a := range d.Advances {
		m.positions[a.TopicPartition] = pinflow.Progress{NextOffset: a.End, Period: max(a.Period, m.positions[a.TopicPartition].Period)}
	}
	for _, row := range d.rows["totals"] {
		m.total += row[2].(int64)
	}
	sales := m.plan.Table("sales")
	for _, row := range d.rows["sales"] {
		keys, measures := row[2:2+len(sales.Keys)], row[2+len(sales.Keys):]
		have, ok := m.sales[text(keys)]
		if !ok {
			m.sales[text(keys)] = slices.Clone(row[2:])
			continue
		}
		for i, measure := range sales.Measures {
			at := len(keys) + i
			have[at] = merge(measure.Merge, have[at], measures[i])
		}
	}
	for _, row := range d.rows["people"] {
		at := text(row[2:3])
		if m.people[at] == nil {
			m.people[at] = map[string]bool{}
		}
		if row[3] != nil {
			m.people[at][row[3].(string)] = true
		}
	}
	for _, row := range d.rows["things"] {
		m.things = append(m.things, row[2:])
	}
	m.rejects = append(m.rejects, d.rows["rejects"]...)
}

// merge is a measure's merge as the words say it.
func merge(how pinflow.Merge, a, b any) any {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	if how == pinflow.Sum {
		return plus(a, b)
	}
	if (compare(a, b) < 0) == (how == pinflow.Min) {
		return a
	}
	return b
}

func plus(a, b any) any {
	switch a := a.(type) {
	case int64:
		return a + b.(int64)
	case *big.Int:
		return new(big.Int).Add(a, b.(*big.Int))
	}
	_, digits, _ := strings.Cut(a.(string), ".")
	return new(big.Rat).Add(rat(a), rat(b)).FloatString(len(digits))
}

func compare(a, b any) int {
	switch a := a.(type) {
	case bool:
		return map[bool]int{true: 1}[a] - map[bool]int{true: 1}[b.(bool)]
	case time.Time:
		return a.Compare(b.(time.Time))
	case string:
		if _, ok := new(big.Rat).SetString(a); !ok || !strings.Contains(a, ".") {
			return strings.Compare(a, b.(string))
		}
	}
	return rat(a).Cmp(rat(b))
}

func rat(v any) *big.Rat {
	r, ok := new(big.Rat).SetString(fmt.Sprint(v))
	if !ok {
		panic(fmt.Sprintf("storetest: %v is no number", v))
	}
	return r
}

// text is a row as one line in which equal values look equal.
func text(row []any) string {
	parts := make([]string, len(row))
	for i, v := range row {
		switch v := v.(type) {
		case time.Time:
			parts[i] = v.UTC().Format(time.RFC3339Nano)
		case json.Number:
			parts[i] = v.String()
		case string:
			parts[i] = v
			if _, err := time.Parse(time.RFC3339, v); err != nil && !strings.Contains(v, ".") {
				parts[i] = fmt.Sprintf("%q", v)
			}
		case []any:
			parts[i] = "[" + text(v) + "]"
		case []byte:
			parts[i] = fmt.Sprintf("%x", v)
		default:
			parts[i] = fmt.Sprint(v)
		}
	}
	return strings.Join(parts, " | ")
}

// check holds what the store shows against the model.
func (m *model) check(t testing.TB, s Store) {
	t.Helper()
	var sales, people [][]any
	for _, row := range m.sales {
		sales = append(sales, row)
	}
	for at, who := range m.people {
		people = append(people, []any{at, int64(len(who))})
	}
	m.checkView(t, s, "sales", sales)
	m.checkView(t, s, "things", m.things)
	m.checkView(t, s, "rejects", m.rejects)
	m.checkView(t, s, "totals", [][]any{{m.total}})
	got := lines(query(t, s, pinflow.Query{View: "people"}).Rows)
	var want []string
	for _, row := range people {
		want = append(want, fmt.Sprintf("%s | %d", row[0], row[1]))
	}
	slices.Sort(want)
	same(t, "people", got, want)
}

func (m *model) checkView(t testing.TB, s Store, view string, want [][]any) {
	t.Helper()
	result := query(t, s, pinflow.Query{View: view})
	same(t, view, lines(result.Rows), lines(want))
	for tp, p := range m.positions {
		if result.Positions[tp] != p {
			t.Errorf("%s: position of %s is %+v, want %+v", view, tp, result.Positions[tp], p)
		}
	}
}

func lines(all [][]any) []string {
	var lines []string
	for _, row := range all {
		lines = append(lines, text(row))
	}
	slices.Sort(lines)
	return lines
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("%s: %d rows, want %d; the first that differs:\n got %s\nwant %s", what, len(got), len(want), at(got, i), at(want, i))
			return
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "nothing"
}
