package lake

import (
	"context"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
)

// replacingFolder holds a note for each run that makes a period anew: gen=<generation>/_replacing/<period>/<run>.
const replacingFolder = "_replacing/"

// Replacing implements pinflow.Derived.
func (d *DerivedArea) Replacing(ctx context.Context, generation string, p pinflow.Period) (pinflow.Replacement, error) {
	run := newRun()
	name := generationFolder(generation) + replacingFolder + d.length.Name(p) + "/" + run
	if _, err := d.objects.PutIfAbsent(ctx, name, []byte("{}\n")); err != nil { // an earlier try may have stored it
		return pinflow.Replacement{}, err
	}
	return d.replacement(name, p, run), nil
}

// Replacements implements pinflow.Derived.
func (d *DerivedArea) Replacements(ctx context.Context, generation string) (all []pinflow.Replacement, err error) {
	prefix := generationFolder(generation) + replacingFolder
	for info, err := range d.objects.List(ctx, prefix, "") {
		if err != nil {
			return nil, err
		}
		period, run, _ := strings.Cut(strings.TrimPrefix(info.Name, prefix), "/")
		p, err := d.length.Parse(period)
		if err != nil {
			continue // some servers list files of their own while they store one
		}
		all = append(all, d.replacement(info.Name, p, run))
	}
	return all, nil
}

func (d *DerivedArea) replacement(name string, p pinflow.Period, run string) pinflow.Replacement {
	at, _, _ := strings.Cut(run, "-")
	began, _ := time.Parse(runTime, at) // long ago, if the name is not ours
	return pinflow.Replacement{Period: p, Began: began, End: func(ctx context.Context) error { return d.objects.Delete(ctx, name) }}
}
