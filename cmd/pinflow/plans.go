package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
)

// plans are the definition that readers see, and the one that is to take its place.
type plans struct {
	current *pinflow.Plan
	next    *pinflow.Plan // nil unless the definition has changed
}

// all returns the plans there are, the current one first.
func (p plans) all() []*pinflow.Plan {
	if p.next == nil {
		return []*pinflow.Plan{p.current}
	}
	return []*pinflow.Plan{p.current, p.next}
}

// newest is the plan that says which posts are taken.
func (p plans) newest() *pinflow.Plan {
	if p.next != nil {
		return p.next
	}
	return p.current
}

// choosePlans holds the definition, or why it was refused, to what the store serves. A store that serves one already goes on with that when the
// definition has faults.
func choosePlans(ctx context.Context, store store, given *pinflow.Plan, refused error, stderr io.Writer) (plans, error) {
	current, err := store.Current(ctx)
	switch {
	case err != nil:
		return plans{}, err
	case refused != nil && (current == "" || !errors.Is(refused, errFaults)):
		return plans{}, refused
	case refused != nil:
		p, err := store.PlanOf(ctx, current)
		if err == nil {
			fmt.Fprintf(stderr, "The definition is refused; generation %s goes on.\n", current)
		}
		return plans{current: p}, err
	case current == "" || current == given.Generation:
		return plans{current: given}, nil
	}
	served, err := store.PlanOf(ctx, current)
	if err == nil && served.Pipeline != given.Pipeline {
		err = anotherPipeline(served, given)
	}
	return plans{current: served, next: given}, err
}

// mayServe tells whether there can be a store that serves a definition already. Where there is no file yet, nothing need be opened, or made, to know.
func mayServe(s *config.Settings) bool {
	file, _, err := config.ParseStore(s.StoreURL())
	if err != nil || file == "" {
		return true
	}
	_, err = os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

func anotherPipeline(served, given *pinflow.Plan) error {
	return &pinflow.Error{Op: "open store", On: served.Pipeline, Kind: pinflow.Invalid, Err: fmt.Errorf("the store holds the pipeline %q, the definition is of %q", served.Pipeline, given.Pipeline),
		Hint: "Give each pipeline a --data, or a --store and a --lake, of its own."}
}
