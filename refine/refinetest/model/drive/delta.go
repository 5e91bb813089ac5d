package drive

import (
	"context"
	"fmt"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine/refinetest/model"
)

// rows is a Relation in memory.
type rows [][]any

// Scan implements pinflow.Relation.
func (r rows) Scan(_ context.Context, f func([]any) error) error {
	for _, row := range r {
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}

// tables are rows by the name of their table.
type tables map[string]rows

func (t tables) add(table string, row ...any) { t[table] = append(t[table], row) }

// additions returns them in the order of the plan.
func (t tables) additions(p *pinflow.Plan) (all []pinflow.Addition) {
	for _, table := range p.Tables {
		if len(t[table.Name]) > 0 {
			all = append(all, pinflow.Addition{Table: table.Name, Rows: t[table.Name]})
		}
	}
	return all
}

// epoch is the first instant of a world: no period is the first of all times.
const epoch = pinflow.Period(1_790_000_000_000 / 86_400_000 * 86_400_000)

// periodAt is the model's period as the store has it.
func periodAt(w *model.World, i int8) pinflow.Period {
	if i < 0 {
		return pinflow.NoPeriod
	}
	return epoch + w.PeriodAt(i)
}

func partition(p int8) pinflow.TopicPartition {
	return pinflow.TopicPartition{Topic: model.Topic, Partition: int32(p)}
}

// row is a record as a row of a model.
func row(w *model.World, g, p, offset, period int8) []any {
	r := w.Log[p].Records[offset]
	return []any{int64(periodAt(w, period)), model.Topic, string(w.Key(r.Key)), int64(model.Dimension(g, r)), int64(r.Val), int32(p), int64(offset)}
}

// count adds what a record gives to the tables that know no keys. It returns false if the keyed models reject it.
func count(w *model.World, t tables, g, p, offset, period int8) bool {
	r := w.Log[p].Records[offset]
	d, shard := int64(periodAt(w, period)), int32(p)
	reject := func(model string) {
		t.add("rejects", model, partition(p).Topic, shard, int64(offset), d, time.UnixMilli(int64(epoch)).UTC(), "bad", []byte(fmt.Sprint(r)))
	}
	if r.Kind == model.Bad {
		reject("plain")
		reject("latest")
		return false
	}
	dim, val := int64(model.Dimension(g, r)), int64(r.Val)
	t.add("plain", row(w, g, p, offset, period)...)
	t.add("plain__accepted", d, shard, int64(1))
	t.add("figures", d, shard, dim, int64(1), val)
	t.add("vals", d, shard, dim, val)
	if w.Misplaced(r.Key, p) {
		reject("latest")
		return false
	}
	t.add("latest__accepted", d, shard, int64(1))
	return true
}

// delta is what a live worker has in hand.
func delta(w *model.World, x *model.Live, g, p int8) pinflow.Delta {
	t := tables{}
	latest, first := rows{}, rows{}
	for i := range x.N {
		if !count(w, t, g, p, x.Offsets[i], x.Periods[i]) {
			continue
		}
		r := row(w, g, p, x.Offsets[i], x.Periods[i])
		latest, first = append(latest, r), append(first, r)
	}
	d := skipped(w, x, g, p)
	d.Added = t.additions(plan(model.Topic, g))
	before := columns[:3]
	if len(latest) > 0 {
		latest, first = lastOfPeriod(latest), firstOfKey(first)
		d.Changes = []pinflow.Change{
			{Table: "latest", Rows: latest, Before: before, Deltas: func(ctx context.Context, held pinflow.Relation) ([]pinflow.Addition, error) {
				return latestDeltas(ctx, latest, held, g)
			}},
			{Table: "first", Rows: first, Before: before, Deltas: func(ctx context.Context, held pinflow.Relation) ([]pinflow.Addition, error) {
				return firstDeltas(ctx, first, held, g)
			}},
		}
	}
	return d
}

// skipped moves the position and counts nothing.
func skipped(w *model.World, x *model.Live, g, p int8) pinflow.Delta {
	return pinflow.Delta{Generation: generation(g), Close: func() {}, Advances: []pinflow.Advance{{TopicPartition: partition(p), Start: int64(x.Pos), End: int64(x.End),
		Period: periodAt(w, x.NewFloor), First: periodAt(w, x.Periods[0])}}}
}

// The columns of a row.
const (
	atPeriod = 0
	atKey    = 2
	atDim    = 3
	atVal    = 4
	atShard  = 5
)

// lastOfPeriod leaves the last row of each key and period.
func lastOfPeriod(all rows) (kept rows) {
	for i, r := range all {
		last := true
		for _, later := range all[i+1:] {
			last = last && (later[atKey] != r[atKey] || later[atPeriod] != r[atPeriod])
		}
		if last {
			kept = append(kept, r)
		}
	}
	return kept
}

// firstOfKey leaves the first row of each key.
func firstOfKey(all rows) (kept rows) {
	seen := map[any]bool{}
	for _, r := range all {
		if !seen[r[atKey]] {
			seen[r[atKey]] = true
			kept = append(kept, r)
		}
	}
	return kept
}

// held reads the rows held: dimension and value by key.
func heldRows(ctx context.Context, held pinflow.Relation) (map[any][2]any, error) {
	all := map[any][2]any{}
	err := held.Scan(ctx, func(r []any) error {
		all[r[0]] = [2]any{r[1], r[2]}
		return nil
	})
	return all, err
}

// latestDeltas: each row stands in its own period, and what it replaces goes in that period.
func latestDeltas(ctx context.Context, changed rows, held pinflow.Relation, g int8) ([]pinflow.Addition, error) {
	stands, err := heldRows(ctx, held)
	if err != nil {
		return nil, err
	}
	t := tables{}
	for _, r := range changed {
		sign(t, r, r[atDim], r[atVal], 1)
		if old, ok := stands[r[atKey]]; ok {
			sign(t, r, old[0], old[1], -1)
		}
		stands[r[atKey]] = [2]any{r[atDim], r[atVal]}
	}
	return t.additions(plan(model.Topic, g)), nil
}

// sign adds to the signed tables, in the period and shard of a row.
func sign(t tables, r []any, dim, val any, sign int64) {
	t.add("latest_figures", r[atPeriod], r[atShard], dim, sign, sign*val.(int64))
	t.add("latest_vals", r[atPeriod], r[atShard], dim, val, sign)
}

func firstDeltas(ctx context.Context, changed rows, held pinflow.Relation, g int8) ([]pinflow.Addition, error) {
	stands, err := heldRows(ctx, held)
	if err != nil {
		return nil, err
	}
	t := tables{}
	for _, r := range changed {
		if _, ok := stands[r[atKey]]; !ok {
			t.add("first_figures", r[atPeriod], r[atShard], r[atDim], int64(1))
		}
	}
	return t.additions(plan(model.Topic, g)), nil
}
