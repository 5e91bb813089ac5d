package drive

import (
	"context"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine/refinetest/model"
)

// installation is a batch's period as a store takes it.
func installation(w *model.World, b *model.Batch, again bool) pinflow.Installation {
	seal, g, d := &w.Seals[b.Period], b.Gen, b.Period
	in := pinflow.Installation{Generation: generation(g), Period: periodAt(w, d), Next: periodAt(w, d+1), Again: again}
	t := tables{}
	for p := range seal.Parts {
		r := pinflow.InstalledRange{TopicPartition: partition(p), Start: int64(seal.Start[p]), End: int64(seal.End[p])}
		for offset := seal.Start[p]; offset < seal.End[p]; offset++ {
			if w.Log[p].Records[offset].Kind != model.Gap {
				count(w, t, g, p, offset, d)
				r.Records++
			}
		}
		in.Ranges = append(in.Ranges, r)
	}
	shards(w, t, b)
	for k := range b.Out.Rows.Latest {
		for name, r := range map[string]model.Row{"latest": b.Out.Rows.Latest[k], "first": b.Out.Rows.First[k]} {
			if r.Has && r.Period == d {
				t[name] = append(t[name], row(w, g, r.Part, r.Off, r.Period))
			}
		}
	}
	in.Added = t.additions(plan(model.Topic, g))
	state := b.Out.Rows
	in.StateOf = func(ctx context.Context, table string, keys pinflow.Relation) (pinflow.Relation, error) {
		stands := map[any][]any{}
		for k := range state.Latest {
			r := state.Latest[k]
			if table == "first" {
				r = state.First[k]
			}
			if r.Has {
				stands[string(w.Key(int8(k)))] = row(w, g, r.Part, r.Off, r.Period)
			}
		}
		all := rows{}
		err := keys.Scan(ctx, func(key []any) error {
			if r, ok := stands[key[0]]; ok {
				all = append(all, r)
			}
			return nil
		})
		return all, err
	}
	return in
}

// shards adds the signed partials of a period.
func shards(w *model.World, t tables, b *model.Batch) {
	d := int64(periodAt(w, b.Period))
	for p := range b.Out.Shards {
		for dim, c := range b.Out.Shards[p].Cells {
			signed(t, d, int32(p), int64(dim), c)
		}
	}
}

// signed adds what entities give to a cell, as the tables have it.
func signed(t tables, period int64, shard int32, dim int64, c model.Cell) {
	if c.Rows != 0 || c.Sum != 0 {
		t.add("latest_figures", period, shard, dim, int64(c.Rows), int64(c.Sum))
	}
	for val, n := range c.Stand {
		if n != 0 {
			t.add("latest_vals", period, shard, dim, int64(val), int64(n))
		}
	}
	if c.Firsts != 0 {
		t.add("first_figures", period, shard, dim, int64(c.Firsts))
	}
}
