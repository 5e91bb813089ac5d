package drive_test

import (
	"context"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/refine/refinetest/model"
	"github.com/pinflow/pinflow/refine/refinetest/model/drive"
	"github.com/pinflow/pinflow/store/duckdb"
)

// seeds calls f with each seed: as many as PINFLOW_SEEDS says, or only PINFLOW_SEED.
func seeds(t *testing.T, usual uint64, f func(seed uint64) *model.Failure) {
	from, to := uint64(0), usual
	for name, set := range map[string]func(n uint64){"PINFLOW_SEEDS": func(n uint64) { to = n }, "PINFLOW_SEED": func(n uint64) { from, to = n, n+1 }} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			set(n)
		}
	}
	for seed := from; seed < to; seed++ {
		if failure := f(seed); failure != nil {
			t.Fatalf("%v\nonce more: PINFLOW_SEED=%d go test ./refine/refinetest/model/drive -run '^%s$'", failure, seed, t.Name())
		}
	}
}

func openDuckDB(t *testing.T) drive.Store {
	t.Helper()
	instance, err := duck.Open(t.Context(), duck.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := duckdb.Open(t.Context(), duckdb.Options{Instance: instance})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := instance.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// follow runs a seed with a store that follows.
func follow(t *testing.T, c *model.Campaign, seed uint64, cfg model.Config, open func() drive.Store) *model.Failure {
	rules := model.Protocol()
	return c.TryIn(func() *model.World {
		w := model.NewWorld(cfg, &rules)
		if err := drive.Follow(t.Context(), w, open()); err != nil {
			t.Fatal(err)
		}
		return w
	}, seed, model.Random(seed, cfg, model.Counting(), 600))
}

// The store holds what the model says after each step of a schedule.
func TestDuckDB(t *testing.T) {
	for name, worlds := range map[string][]model.Config{"worlds": model.Worlds(), "beyond the grace": model.BeyondWorlds()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c model.Campaign
			seeds(t, 10, func(seed uint64) *model.Failure {
				return follow(t, &c, seed, worlds[seed%uint64(len(worlds))], func() drive.Store { return openDuckDB(t) })
			})
			t.Logf("%+v", c)
		})
	}
}

// wrong is a store that does something else than it is asked to.
type wrong struct {
	drive.Store
	commit  func(d *pinflow.Delta)
	install func(in *pinflow.Installation)
}

func (w wrong) Commit(ctx context.Context, d pinflow.Delta) error {
	if w.commit != nil {
		w.commit(&d)
	}
	return w.Store.Commit(ctx, d)
}

func (w wrong) Install(ctx context.Context, in pinflow.Installation) (*pinflow.Comparison, error) {
	if w.install != nil {
		w.install(&in)
	}
	return w.Store.Install(ctx, in)
}

// A store that does something else is found out.
func TestFindsWrongStores(t *testing.T) {
	without := func(all []pinflow.Addition, table string) []pinflow.Addition {
		return slices.DeleteFunc(slices.Clone(all), func(a pinflow.Addition) bool { return a.Table == table })
	}
	for name, w := range map[string]wrong{
		"no changes":       {commit: func(d *pinflow.Delta) { d.Changes = nil }},
		"no rejects":       {commit: func(d *pinflow.Delta) { d.Added = without(d.Added, "rejects") }},
		"position too far": {commit: func(d *pinflow.Delta) { d.Advances[0].End++ }},
		"period too late":  {commit: func(d *pinflow.Delta) { d.Advances[0].Period++ }},
		"always again":     {install: func(in *pinflow.Installation) { in.Again = true }},
		"never again":      {install: func(in *pinflow.Installation) { in.Again = false }},
		"floor":            {install: func(in *pinflow.Installation) { in.Next = in.Period }},
		"no entities":      {install: func(in *pinflow.Installation) { in.Added = without(in.Added, "latest") }},
		"order": {install: func(in *pinflow.Installation) {
			for i := range in.Ranges {
				in.Ranges[i].Start = 0
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(20) {
				cfg := model.Usual()
				rules := model.Protocol()
				world := model.NewWorld(cfg, &rules)
				w.Store = openDuckDB(t)
				if err := drive.Follow(t.Context(), world, w); err != nil {
					t.Fatal(err)
				}
				if _, v := world.Run(model.Random(seed, cfg, model.Counting(), 600), true); v != nil {
					t.Logf("seed %d: %.300s", seed, v)
					return
				}
			}
			t.Error("nobody notices")
		})
	}
}
