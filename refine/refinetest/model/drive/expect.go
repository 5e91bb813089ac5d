package drive

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pinflow/pinflow/refine/refinetest/model"
)

// expect is what the view everything must show of a generation. Of the rows of the plain model the world keeps no account: they
// are left out unless each record's period follows from the log.
func expect(w *model.World, g int8, plain bool) []string {
	G := &w.Gens[g]
	t := tables{}
	for d := range G.Partials {
		for p := range w.Parts {
			partials(t, int64(periodAt(w, int8(d))), int32(p), &G.Partials[d][p])
		}
	}
	for k := range G.Rows.Latest {
		for name, r := range map[string]model.Row{"latest": G.Rows.Latest[k], "first": G.Rows.First[k]} {
			if r.Has {
				t[name] = append(t[name], row(w, g, r.Part, r.Off, r.Period))
			}
		}
	}
	for m, name := range [model.Models]string{"plain", "latest"} {
		for p := range G.Rejects[m] {
			for offset, d := range G.Rejects[m][p] {
				if d > 0 {
					t.add("rejects", name, int64(periodAt(w, d-1)), model.Topic, p, offset)
				}
			}
		}
	}
	if plain {
		for p := range w.Parts {
			periods := w.Periods(p)
			for offset := range G.At[p].Next {
				if w.Log[p].Records[offset].Kind == model.Good {
					t["plain"] = append(t["plain"], row(w, g, p, offset, periods[offset]))
				}
			}
		}
	}
	return lines(t)
}

func partials(t tables, period int64, shard int32, s *model.Shard) {
	for m, name := range [model.Models]string{"plain__accepted", "latest__accepted"} {
		if s.Accepted[m] > 0 {
			t.add(name, period, shard, s.Accepted[m])
		}
	}
	for dim, c := range s.Cells {
		if c.Count > 0 {
			t.add("figures", period, shard, dim, c.Count, c.Least-1)
		}
		for val := range c.Stand {
			if c.Set>>val&1 == 1 {
				t.add("vals", period, shard, dim, val)
			}
		}
		signed(t, period, shard, int64(dim), c)
	}
}

func lines(t tables) (all []string) {
	for name, rows := range t {
		for _, r := range rows {
			all = append(all, name+" "+strings.TrimSuffix(fmt.Sprintln(r...), "\n"))
		}
	}
	slices.Sort(all)
	return all
}
