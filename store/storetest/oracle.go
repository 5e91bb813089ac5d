package storetest

import (
	"math/big"
	"testing"

	"github.com/pinflow/pinflow"
)

// check holds what a store shows against what the log says up to the positions that it shows it for.
func (w *world) check(t testing.TB, s Store) {
	t.Helper()
	positions, err := s.Progress(t.Context(), w.plan.Generation)
	must(t, err)
	ends := make([]int64, w.parts)
	for p := range ends {
		ends[p] = positions[partition(int32(p))].NextOffset
	}
	all := w.before(ends)
	var accepted []order
	var rejects int64
	for _, o := range all {
		if o.rejected {
			rejects++
		} else {
			accepted = append(accepted, o)
		}
	}
	latest, first := standing(all, "latest"), standing(all, "first")
	w.checkRows(t, s, "orders", accepted)
	if w.env.Part != nil {
		w.checkRows(t, s, "visits", accepted)
	}
	w.checkRows(t, s, "latest", values(latest))
	w.checkRows(t, s, "first", values(first))
	w.checkGroups(t, s, "by_category", accepted, true)
	w.checkGroups(t, s, "latest_by_category", values(latest), false)
	w.checkGroups(t, s, "first_by_category", values(first), false)
	amounts := map[int64]bool{}
	for _, o := range latest {
		amounts[o.amount] = true
	}
	w.checkView(t, s, "latest_amounts", [][]any{{int64(len(amounts))}})
	ids := map[string]map[string]bool{}
	for _, o := range accepted {
		at := text([]any{o.category})
		if ids[at] == nil {
			ids[at] = map[string]bool{}
		}
		ids[at][o.id] = true
	}
	var counts [][]any
	for _, o := range accepted {
		if at := text([]any{o.category}); ids[at] != nil {
			counts = append(counts, []any{o.category, int64(len(ids[at]))})
			ids[at] = nil
		}
	}
	w.checkView(t, s, "ids", counts)
	w.checkView(t, s, "accepted", [][]any{{int64(len(accepted))}})
	result := query(t, s, pinflow.Query{SQL: "SELECT count(*) FROM rejects WHERE model = 'orders'"})
	if result.Rows[0][0] != rejects {
		t.Errorf("%v rejects, want %d", result.Rows[0][0], rejects)
	}
}

func values(m map[string]order) []order {
	var all []order
	for _, id := range sortedKeys(m) {
		all = append(all, m[id])
	}
	return all
}

func (w *world) checkRows(t testing.TB, s Store, view string, want []order) {
	t.Helper()
	var rows [][]any
	for i := range want {
		rows = append(rows, want[i].row()[2:])
	}
	w.checkView(t, s, view, rows)
}

// checkGroups holds a metric by category against its definition.
func (w *world) checkGroups(t testing.TB, s Store, view string, of []order, high bool) {
	t.Helper()
	var rows [][]any
	at := map[any]int{}
	for _, o := range of {
		i, ok := at[o.category]
		if !ok {
			i = len(rows)
			at[o.category] = i
			rows = append(rows, []any{o.category, int64(0), new(big.Int), o.amount}[:3+map[bool]int{true: 1}[high]])
		}
		rows[i][1] = rows[i][1].(int64) + 1
		rows[i][2] = new(big.Int).Add(rows[i][2].(*big.Int), big.NewInt(o.amount))
		if high {
			rows[i][3] = max(rows[i][3].(int64), o.amount)
		}
	}
	w.checkView(t, s, view, rows)
}

func (w *world) checkView(t testing.TB, s Store, view string, want [][]any) {
	t.Helper()
	result := query(t, s, pinflow.Query{View: view})
	same(t, view, lines(result.Rows), lines(want))
	if result.Generation != w.plan.Generation {
		t.Errorf("%s was read in generation %q", view, result.Generation)
	}
}
