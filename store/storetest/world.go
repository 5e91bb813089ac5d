package storetest

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
)

// order is a record of the world: what cleaning makes of it, with the period in which it lies.
type order struct {
	partition      int32
	offset, period int64
	id             string // the key; all of an id's orders lie in one partition
	category       any    // string or nil
	amount         int64
	rejected       bool
}

// row is the order as a row of a model.
func (o *order) row() []any {
	return []any{o.period, topic, o.id, o.category, o.amount, o.partition, o.offset}
}

// world is a log of orders, and two ways to compute from it what a store should hold: the live half's and the batch's.
type world struct {
	r       *rand.Rand
	env     Env
	plan    *pinflow.Plan
	log     [][]order // by partition
	period  int64     // of the next order
	sealed  []sealed  // periods 0, 1, … as far as they are closed
	ids     int       // how many different ones a partition has
	parts   int
	corrupt func(d *pinflow.Delta, rows map[string][][]any) // changes what the live half adds; nil for nothing
}

// sealed is a closed period: where it ends in each partition.
type sealed struct{ start, end []int64 }

var orderColumns = []pinflow.Column{column("id", "VARCHAR"), column("category", "VARCHAR"), column("amount", "BIGINT"), column("_partition", "INTEGER"), column("_offset", "BIGINT")}

// batchPlan has models with rows of each kind, and metrics over them.
func batchPlan(generation string) *pinflow.Plan {
	category, id := column("category", "VARCHAR"), column("id", "VARCHAR")
	n := measure("n", "BIGINT", pinflow.Sum)
	signed := []pinflow.Measure{measure("_rows", "BIGINT", pinflow.Sum), measure("total", "HUGEINT", pinflow.Sum)}
	accepted := func(model string) pinflow.Table {
		return pinflow.Table{Name: model + "__accepted", Kind: pinflow.Partials, Model: model, Measures: []pinflow.Measure{n}}
	}
	key := []string{"id"}
	p := &pinflow.Plan{Pipeline: "shop", Generation: generation, Sources: []pinflow.PlannedSource{{Source: pinflow.Source{Name: "shop_orders", Topic: topic}}},
		Tables: []pinflow.Table{
			{Name: "by_category", Kind: pinflow.Partials, Model: "orders", Keys: []pinflow.Column{category},
				Measures: []pinflow.Measure{n, measure("total", "HUGEINT", pinflow.Sum), measure("high", "BIGINT", pinflow.Max)}},
			{Name: "ids", Kind: pinflow.Partials, Model: "orders", Keys: []pinflow.Column{category, id}},
			{Name: "orders", Kind: pinflow.Rows, Model: "orders", Keys: orderColumns, Rows: "all"},
			{Name: "visits", Kind: pinflow.Rows, Model: "visits", Keys: orderColumns, Rows: "recent"},
			{Name: "latest", Kind: pinflow.Entities, Model: "latest", Keys: orderColumns, Key: key, Keep: "latest"},
			{Name: "first", Kind: pinflow.Entities, Model: "first", Keys: orderColumns, Key: key, Keep: "first"},
			{Name: "latest_by_category", Kind: pinflow.Partials, Model: "latest", Signed: true, Keys: []pinflow.Column{category}, Measures: signed},
			{Name: "latest_amounts", Kind: pinflow.Partials, Model: "latest", Signed: true, Keys: []pinflow.Column{column("amount", "BIGINT")}, Measures: []pinflow.Measure{measure("_n", "BIGINT", pinflow.Sum)}},
			{Name: "first_by_category", Kind: pinflow.Partials, Model: "first", Signed: true, Keys: []pinflow.Column{category}, Measures: signed},
			accepted("orders"), accepted("visits"), accepted("latest"), accepted("first"), pinflow.RejectsTable(),
		},
		Reports: []pinflow.PlannedReport{{Name: "best", Columns: []pinflow.Column{category, n.Column, column("price", "DECIMAL(10,2)")}}},
		Views: []pinflow.View{
			view("by_category", "SELECT category, sum(n)::BIGINT AS n, sum(total)::HUGEINT AS total, max(high) AS high FROM {gen}.by_category GROUP BY category"),
			view("ids", "SELECT category, count(DISTINCT id) AS n FROM {gen}.ids GROUP BY category"),
			view("latest_by_category", "SELECT category, sum(_rows)::BIGINT AS n, sum(total)::HUGEINT AS total FROM {gen}.latest_by_category GROUP BY category HAVING sum(_rows) > 0"),
			view("latest_amounts", "SELECT count(*) AS n FROM (SELECT amount FROM {gen}.latest_amounts GROUP BY amount HAVING sum(_n) > 0) AS a"),
			view("first_by_category", "SELECT category, sum(_rows)::BIGINT AS n, sum(total)::HUGEINT AS total FROM {gen}.first_by_category GROUP BY category HAVING sum(_rows) > 0"),
			view("accepted", "SELECT coalesce(sum(n), 0)::BIGINT AS n FROM {gen}.orders__accepted"),
		}}
	for _, m := range []string{"orders", "visits", "latest", "first"} {
		model := pinflow.PlannedModel{Name: m, Source: "shop_orders", Columns: orderColumns, Table: m, Rows: "all", Accepted: pinflow.Partial{Table: m + "__accepted"}}
		switch t := p.Table(m); {
		case t.Kind == pinflow.Entities:
			model.Key, model.Keep = t.Key, t.Keep
		default:
			model.Rows = t.Rows
		}
		p.Models = append(p.Models, model)
		p.Views = append(p.Views, view(m, "SELECT "+names(orderColumns)+" FROM {gen}."+m))
	}
	return p
}

func newWorld(env Env, p *pinflow.Plan, seed uint64, partitions int) *world {
	return &world{r: rand.New(rand.NewPCG(seed, 3)), env: env, plan: p, log: make([][]order, partitions), parts: partitions, ids: 12}
}

// grow appends up to so many orders to each partition.
func (w *world) grow(most int) {
	for p := range w.log {
		for range w.r.IntN(most + 1) {
			w.post(int32(p))
		}
	}
}

func (w *world) post(p int32) {
	o := order{partition: p, offset: int64(len(w.log[p])), period: w.period, id: fmt.Sprintf("%d-%d", p, w.r.IntN(w.ids)), amount: w.r.Int64N(50) - 10, rejected: w.r.IntN(12) == 0}
	if w.r.IntN(8) > 0 {
		o.category = []string{"art", "food", "it's"}[w.r.IntN(3)]
	}
	w.log[p] = append(w.log[p], o)
}

// seal closes the period.
func (w *world) seal() {
	s := sealed{start: make([]int64, w.parts), end: make([]int64, w.parts)}
	for p := range w.log {
		if n := len(w.sealed); n > 0 {
			s.start[p] = w.sealed[n-1].end[p]
		}
		s.end[p] = int64(len(w.log[p]))
	}
	w.sealed = append(w.sealed, s)
	w.period++
}

// relation gives rows to the store, now and then in the way it likes best.
func (w *world) relation(t testing.TB, table string, all [][]any) pinflow.Relation {
	if w.env.Native != nil && len(all) > 0 && w.r.IntN(2) == 0 {
		return w.env.Native(t, columnsOf(w.plan, table), all)
	}
	return rows(all)
}

// live is the delta of the orders of some partitions from where they stand up to so many.
func (w *world) live(t testing.TB, at map[pinflow.TopicPartition]pinflow.Progress, most int, partitions ...int32) pinflow.Delta {
	d := pinflow.Delta{Generation: w.plan.Generation, Close: func() {}}
	added := map[string][][]any{}
	var accepted []order
	for _, p := range partitions {
		from := at[partition(p)]
		end := min(int64(len(w.log[p])), from.NextOffset+int64(most))
		period := int64(from.Period)
		for _, o := range w.log[p][min(from.NextOffset, end):end] {
			period = o.period
			if o.rejected {
				reject(added, o)
				continue
			}
			accepted = append(accepted, o)
			add(added, o)
		}
		d.Advances = append(d.Advances, pinflow.Advance{TopicPartition: partition(p), Start: from.NextOffset, End: max(end, from.NextOffset), Period: pinflow.Period(period)})
	}
	changes := map[string][][]any{"latest": lastPerPeriod(accepted), "first": firsts(accepted)}
	if w.corrupt != nil {
		w.corrupt(&d, added)
	}
	w.add(t, &d, added)
	for _, table := range []string{"latest", "first"} {
		if len(changes[table]) == 0 {
			continue
		}
		before := []pinflow.Column{column("id", "VARCHAR"), column("category", "VARCHAR"), column("amount", "BIGINT")}
		d.Changes = append(d.Changes, pinflow.Change{Table: table, Rows: w.relation(t, table, changes[table]), Before: before,
			Deltas: func(ctx context.Context, held pinflow.Relation) ([]pinflow.Addition, error) {
				return deltas(ctx, table, changes[table], held)
			}})
	}
	return d
}

func (w *world) add(t testing.TB, d *pinflow.Delta, added map[string][][]any) {
	for _, table := range w.plan.Tables {
		if len(added[table.Name]) > 0 {
			d.Added = append(d.Added, pinflow.Addition{Table: table.Name, Rows: w.relation(t, table.Name, added[table.Name])})
		}
	}
}

// add is what an accepted order adds to the tables that are not of entities.
func add(to map[string][][]any, o order) {
	put := func(table string, row ...any) { to[table] = append(to[table], row) }
	put("by_category", o.period, o.partition, o.category, int64(1), big.NewInt(o.amount), o.amount)
	put("ids", o.period, o.partition, o.category, o.id)
	put("orders", o.row()...)
	put("visits", o.row()...)
	for _, m := range []string{"orders", "visits", "latest", "first"} {
		put(m+"__accepted", o.period, o.partition, int64(1))
	}
}

func reject(to map[string][][]any, o order) {
	for _, m := range []string{"orders", "visits", "latest", "first"} {
		to["rejects"] = append(to["rejects"], []any{m, topic, o.partition, o.offset, o.period, day(0), "no order", []byte(o.id)})
	}
}

// lastPerPeriod are the last rows of each key and period, per key in the order of offsets.
func lastPerPeriod(all []order) [][]any {
	var kept [][]any
	for i := range all {
		later := slices.ContainsFunc(all[i+1:], func(o order) bool { return o.id == all[i].id && o.period == all[i].period })
		if !later {
			kept = append(kept, all[i].row())
		}
	}
	return kept
}

func firsts(all []order) [][]any {
	seen := map[string]bool{}
	var kept [][]any
	for i := range all {
		if !seen[all[i].id] {
			kept = append(kept, all[i].row())
		}
		seen[all[i].id] = true
	}
	return kept
}

// signs gathers signed partials of rows that came to stand or ceased to.
type signs struct {
	prefix string
	added  map[string][][]any
}

// put counts a row (category, amount) in a period.
func (s *signs) put(period, shard, category, amount any, sign int64) {
	add := func(table string, row ...any) { s.added[table] = append(s.added[table], row) }
	add(s.prefix+"_by_category", period, shard, category, sign, big.NewInt(sign*amount.(int64)))
	if s.prefix == "latest" {
		add("latest_amounts", period, shard, amount, sign)
	}
}

func (s *signs) additions() []pinflow.Addition {
	var all []pinflow.Addition
	for table, r := range s.added {
		all = append(all, pinflow.Addition{Table: table, Rows: rows(r)})
	}
	slices.SortFunc(all, func(a, b pinflow.Addition) int { return strings.Compare(a.Table, b.Table) })
	return all
}

// deltas are the signed partials of a change, as pinflow.Change describes them.
func deltas(ctx context.Context, table string, changed [][]any, held pinflow.Relation) ([]pinflow.Addition, error) {
	before := map[string][]any{} // category and amount by key
	err := held.Scan(ctx, func(row []any) error {
		if before[row[0].(string)] != nil {
			return fmt.Errorf("two rows are held of %s", row[0])
		}
		before[row[0].(string)] = []any{row[1], row[2]}
		return nil
	})
	s := &signs{table, map[string][][]any{}}
	for _, row := range changed {
		period, id, category, amount, shard := row[0], row[2].(string), row[3], row[4], row[5]
		was := before[id]
		if table == "first" && was != nil {
			continue
		}
		s.put(period, shard, category, amount, 1)
		if was != nil {
			s.put(period, shard, was[0], was[1], -1)
		}
		before[id] = []any{category, amount}
	}
	return s.additions(), err
}

// before returns the orders with offsets before ends, by time.
func (w *world) before(ends []int64) []order {
	var all []order
	for p, orders := range w.log {
		all = append(all, orders[:ends[p]]...)
	}
	return all
}

// standing are the rows that stand for each key after some orders: the last ones, or the first.
func standing(all []order, keep string) map[string]order {
	state := map[string]order{}
	for _, o := range all {
		if _, ok := state[o.id]; o.rejected || ok && keep == "first" {
			continue
		}
		state[o.id] = o
	}
	return state
}

// batch is a sealed period as the batch computes it, with the state before and after, from nothing but the log.
func (w *world) batch(t testing.TB, period int) pinflow.Installation {
	s := w.sealed[period]
	in := pinflow.Installation{Generation: w.plan.Generation, Period: pinflow.Period(period), Next: pinflow.Period(period + 1)}
	added := map[string][][]any{}
	for p := range w.log {
		in.Ranges = append(in.Ranges, pinflow.InstalledRange{TopicPartition: partition(int32(p)), Start: s.start[p], End: s.end[p], Records: s.end[p] - s.start[p]})
		for _, o := range w.log[p][s.start[p]:s.end[p]] {
			if o.rejected {
				reject(added, o)
			} else {
				add(added, o)
			}
		}
	}
	for _, keep := range []string{"latest", "first"} {
		was, is := standing(w.before(s.start), keep), standing(w.before(s.end), keep)
		signed := &signs{keep, map[string][][]any{}}
		for _, id := range sortedKeys(is) {
			o, old := is[id], was[id]
			if had := old.id != ""; had && old.offset == o.offset {
				continue
			} else if had {
				signed.put(int64(period), old.partition, old.category, old.amount, -1)
			}
			signed.put(int64(period), o.partition, o.category, o.amount, 1)
			added[keep] = append(added[keep], o.row())
		}
		for table, r := range signed.added {
			added[table] = merged(w.plan.Table(table), r)
		}
	}
	var d pinflow.Delta
	w.add(t, &d, added)
	in.Added = d.Added
	in.StateOf = w.stateOf(s.end)
	if w.env.Part != nil && len(added["visits"]) > 0 {
		part := w.env.Part(t, columnsOf(w.plan, "visits"), added["visits"])
		part.Kind, part.Of, part.Name = pinflow.CleanPart, "visits", fmt.Sprintf("gen=%s/clean/visits/period=%d", w.plan.Generation, period)
		in.Parts = []pinflow.Part{part}
	}
	return in
}

// merged adds up signed rows by their keys; those of zeros are left in now and then, as they mean nothing.
func merged(t *pinflow.Table, all [][]any) [][]any {
	keys := 2 + len(t.Keys)
	by := map[string][]any{}
	for _, row := range all {
		at := text(row[:keys])
		if by[at] == nil {
			by[at] = slices.Clone(row)
			continue
		}
		for i := keys; i < len(row); i++ {
			by[at][i] = plus(by[at][i], row[i])
		}
	}
	var out [][]any
	for _, at := range sortedKeys(by) {
		out = append(out, by[at])
	}
	return out
}

// stateOf answers as Installation.StateOf for the state behind some offsets.
func (w *world) stateOf(ends []int64) func(context.Context, string, pinflow.Relation) (pinflow.Relation, error) {
	return func(ctx context.Context, table string, keys pinflow.Relation) (pinflow.Relation, error) {
		state := standing(w.before(ends), table)
		var found rows
		err := keys.Scan(ctx, func(row []any) error {
			if o, ok := state[row[0].(string)]; ok {
				found = append(found, o.row())
			}
			return nil
		})
		return found, err
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, cmp.Compare)
	return keys
}
