package refine

import (
	"context"
	"slices"
	"time"

	"github.com/pinflow/pinflow"
)

const (
	// mended is how many of the newest installed periods are looked at before a run.
	mended = 8
	// givenUp is after how long a run that makes a period anew is not waited for any more.
	givenUp = 24 * time.Hour
)

// mend lets manifests name the files from which their periods were installed, which the store knows: those of the newest periods, and of those that a run
// has begun to make anew. They may name others of the same rows: those of a run that worked on the period at the same time, was killed before
// it installed what it had put, or was given up and put its manifest late.
func (r *Runner) mend(ctx context.Context, installed []pinflow.Installed) error {
	begun, err := r.Derived.Replacements(ctx, r.Plan.Generation)
	if err != nil {
		return err
	}
	periods := periodsOf(begun)
	for _, in := range installed[max(0, len(installed)-mended):] {
		periods = append(periods, in.Period)
	}
	if err := r.mendAmong(ctx, installed, periods); err != nil {
		return err
	}
	// A run that began a short while ago may live, and put its manifest yet.
	old := slices.DeleteFunc(begun, func(n pinflow.Replacement) bool { return r.Clock.Since(n.Began) < givenUp })
	return endAll(ctx, old)
}

// endReplacing ends the notes of what the run has made anew and installed. Another run may have put other files into the lake meanwhile, or mended what this
// one had put and not installed yet.
func (b *batch) endReplacing(ctx context.Context) error {
	if len(b.replacing) == 0 {
		return nil
	}
	if err := b.mendPeriods(ctx, periodsOf(b.replacing)...); err != nil {
		return err
	}
	return endAll(ctx, b.replacing)
}

func periodsOf(notes []pinflow.Replacement) (periods []pinflow.Period) {
	for _, n := range notes {
		periods = append(periods, n.Period)
	}
	return periods
}

func endAll(ctx context.Context, notes []pinflow.Replacement) error {
	for _, n := range notes {
		if err := n.End(ctx); err != nil {
			return err
		}
	}
	return nil
}

// mendPeriods does so for some periods.
func (r *Runner) mendPeriods(ctx context.Context, periods ...pinflow.Period) error {
	installed, err := r.Store.Installed(ctx, r.Plan.Generation)
	if err != nil {
		return err
	}
	return r.mendAmong(ctx, installed, periods)
}

// mendAmong does so for those installed that are among some periods.
func (r *Runner) mendAmong(ctx context.Context, installed []pinflow.Installed, periods []pinflow.Period) error {
	wanted := make(map[pinflow.Period]bool, len(periods))
	for _, p := range periods {
		wanted[p] = true
	}
	for _, in := range installed {
		if !wanted[in.Period] {
			continue
		}
		if err := r.mendOne(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) mendOne(ctx context.Context, in pinflow.Installed) error {
	m, err := r.Derived.Manifest(ctx, r.Plan.Generation, in.Period)
	if err != nil {
		if pinflow.KindOf(err) == pinflow.NotFound {
			return nil // who needs it says what to do
		}
		return err
	}
	parts := slices.Clone(in.Parts)
	for i := range parts {
		parts[i].File = ""
	}
	for _, p := range m.Parts {
		if p.Kind == pinflow.ReportPart { // they come later
			parts = append(parts, p)
		}
	}
	if sameParts(parts, m.Parts) {
		return nil
	}
	m.Parts = parts
	if m.Before, err = r.before(ctx, &m, in.Ranges); err != nil {
		return err
	}
	r.Log.Info("batch: a manifest named other files than those from which the period was installed", "period", r.PeriodLength.Name(in.Period))
	_, err = r.Derived.Put(ctx, m)
	return err
}

func sameParts(a, b []pinflow.Part) bool {
	names := func(parts []pinflow.Part) []string {
		all := make([]string, len(parts))
		for i, p := range parts {
			all[i] = p.Name
		}
		slices.Sort(all)
		return all
	}
	return slices.Equal(names(a), names(b))
}

// before is the state before a manifest's period of the tables that it has no snapshot of.
func (r *Runner) before(ctx context.Context, m *pinflow.Manifest, ranges []pinflow.InstalledRange) (map[string][]pinflow.Part, error) {
	if !r.keyed || !slices.ContainsFunc(ranges, func(i pinflow.InstalledRange) bool { return i.Start > 0 }) {
		return nil, nil
	}
	last, err := r.Derived.Manifest(ctx, r.Plan.Generation, m.Period-r.PeriodLength.Next(0))
	if err != nil {
		return nil, err
	}
	state := map[string][]pinflow.Part{}
	for i := range r.Plan.Tables {
		if t := &r.Plan.Tables[i]; t.Kind == pinflow.Entities && !hasSnapshot(m.Parts, t.Name) {
			state[t.Name] = last.StateOf(t.Name)
		}
	}
	return state, nil
}

// hasSnapshot tells whether parts have the whole state of a table.
func hasSnapshot(parts []pinflow.Part, table string) bool {
	return slices.ContainsFunc(parts, func(p pinflow.Part) bool { return p.Kind == pinflow.SnapshotPart && p.Of == table })
}
