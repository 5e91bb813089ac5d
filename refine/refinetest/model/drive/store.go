package drive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine/refinetest/model"
)

// Store is what a store must implement.
type Store interface {
	pinflow.LiveStore
	pinflow.BatchStore
	pinflow.GenerationStore
	pinflow.StoreReader
}

// driver lets a store go the way of a world.
type driver struct {
	*model.World
	Store Store
	Ctx   context.Context
}

// Follow prepares an empty store for a new world and lets it follow.
func Follow(ctx context.Context, w *model.World, s Store) error {
	d := &driver{World: w, Store: s, Ctx: ctx}
	w.Follow = d.follow
	return s.Prepare(ctx, plan(model.Topic, 0))
}

// follow lets the store do what the world has done. An error tells in what they are not the same.
func (d *driver) follow(a model.Action, before *model.State, told model.Told, done bool) error {
	asked, err := d.ask(d.Ctx, a, before, done, outcome{
		Unchanged: d.Told.Compared == told.Compared && d.Told.NotCompared == told.NotCompared,
		Compared:  d.Told.Compared > told.Compared, Differs: d.Told.Differences > told.Differences})
	if err != nil || !asked {
		return err
	}
	return d.compare(d.Ctx)
}

// outcome is what becomes of an install.
type outcome struct{ Unchanged, Compared, Differs bool }

// ask asks the store for what the world has done, or has refused to do.
func (d *driver) ask(ctx context.Context, a model.Action, before *model.State, done bool, o outcome) (asked bool, err error) {
	if a.Part >= d.Parts {
		return false, nil
	}
	switch a.Verb {
	case model.Claim:
		return done, d.when(done, func() error { return d.claim(ctx, a) })
	case model.Commit, model.Skip:
		return d.commit(ctx, a, &before.Lives[a.Who][a.Gen][a.Part], done)
	case model.Install:
		return d.install(ctx, a, &before.Batches[a.Who], done, o)
	case model.Create:
		return done, d.when(done, func() error { return d.Store.Prepare(ctx, plan(model.Topic, 1)) })
	case model.Hold:
		return done, d.when(done, func() error { return d.Store.Hold(ctx, generation(1-d.Current), time.Now().Add(time.Hour)) })
	case model.Unhold:
		return done, d.when(done, func() error { return d.Store.Hold(ctx, generation(1-d.Current), time.Unix(0, 0)) })
	case model.Switch:
		if !before.Gens[1].Exists {
			return false, nil
		}
		return true, refused("the switch", d.Store.Switch(ctx, generation(1-before.Current)), done, pinflow.Unavailable)
	}
	return false, nil
}

func (d *driver) when(done bool, f func() error) error {
	if !done {
		return nil
	}
	return f()
}

// refused is nil if something was done, or was refused with an error of the kind, as it should be.
func refused(what string, err error, done bool, kind pinflow.Kind) error {
	switch {
	case done && err != nil:
		return fmt.Errorf("%s is refused: %w", what, err)
	case !done && err == nil:
		return fmt.Errorf("%s should be refused", what)
	case !done && pinflow.KindOf(err) != kind:
		return fmt.Errorf("%s is refused for another reason: %w", what, err)
	}
	return nil
}

func (d *driver) claim(ctx context.Context, a model.Action) error {
	tp := partition(a.Part)
	got, err := d.Store.Claim(ctx, generation(a.Gen), map[pinflow.TopicPartition]int64{tp: 0})
	if err != nil {
		return err
	}
	x := d.Lives[a.Who][a.Gen][a.Part]
	if want := (pinflow.Progress{NextOffset: int64(x.Pos), Period: periodAt(d.World, x.Floor)}); got[tp] != want {
		return fmt.Errorf("it is at %+v, not %+v", got[tp], want)
	}
	return nil
}

// commit commits what a worker has in hand: the store takes it, holds it back, or drops it, as the world does.
func (d *driver) commit(ctx context.Context, a model.Action, x *model.Live, done bool) (bool, error) {
	if x.N == 0 {
		return false, nil
	}
	if a.Verb == model.Skip {
		return done, d.when(done, func() error { return d.Store.Commit(ctx, skipped(d.World, x, a.Gen, a.Part)) })
	}
	err := d.Store.Commit(ctx, delta(d.World, x, a.Gen, a.Part))
	if !done {
		return true, refused("the commit", err, false, pinflow.Unavailable)
	}
	return true, refused("the commit", err, d.Lives[a.Who][a.Gen][a.Part].Open, pinflow.Fenced)
}

func (d *driver) install(ctx context.Context, a model.Action, b *model.Batch, done bool, want outcome) (bool, error) {
	if b.Step != model.BatchPut {
		return false, nil
	}
	c, err := d.Store.Install(ctx, installation(d.World, b, a.Again))
	if err := refused("the install", err, done, pinflow.Fenced); err != nil || !done {
		return true, err
	}
	if got := (outcome{c.Unchanged, !c.Unchanged && c.Why == "", c.Differing > 0}); got != want {
		return true, fmt.Errorf("generation %d: %+v, should be %+v: %+v", b.Gen, got, want, c)
	}
	return true, nil
}

// compare holds positions and, of the current generation, everything against the world's.
func (d *driver) compare(ctx context.Context) error {
	for g := range int8(model.Gens) {
		if !d.Gens[g].Exists {
			continue
		}
		at, err := d.Store.Progress(ctx, generation(g))
		if err != nil {
			return err
		}
		for p := range d.Parts {
			got, known := at[partition(p)]
			if !known {
				got.Period = pinflow.NoPeriod
			}
			x := d.Gens[g].At[p]
			if want := (pinflow.Progress{NextOffset: int64(x.Next), Period: periodAt(d.World, x.Floor)}); got != want {
				return fmt.Errorf("generation %d is at %+v in partition %d, not %+v", g, got, p, want)
			}
		}
	}
	r, err := d.Store.Query(ctx, pinflow.Query{View: everything.Name})
	if err != nil {
		return err
	}
	var got []string
	plain := d.Bugs == 0 && !d.Config.Beyond
	for _, row := range r.Rows {
		if line := fmt.Sprint(row[0]); plain || !strings.HasPrefix(line, "plain ") {
			got = append(got, line)
		}
	}
	slices.Sort(got)
	if want := expect(d.World, d.Current, plain); !slices.Equal(got, want) {
		return errors.New(difference(d.Current, got, want))
	}
	return nil
}

// difference tells which lines only one side has.
func difference(g int8, got, want []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "generation %d holds something else:", g)
	for _, line := range got {
		if !slices.Contains(want, line) {
			fmt.Fprintf(&b, "\n  too much %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			fmt.Fprintf(&b, "\n  missing  %s", line)
		}
	}
	return b.String()
}
