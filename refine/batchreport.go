package refine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
)

// reports runs the plan's reports over the state at the end of the last installed period, if the run has changed it or an earlier one has not
// come to that. A report that fails does not keep the others from being run.
func (b *batch) reports(ctx context.Context) error {
	if len(b.Plan.Reports) == 0 {
		return nil
	}
	installed, err := b.Store.Installed(ctx, b.Plan.Generation)
	if err != nil || len(installed) == 0 {
		return err
	}
	asOf := installed[len(installed)-1].Period
	changed := slices.ContainsFunc(b.outcome.Periods, func(p PeriodOutcome) bool { return !p.Unchanged })
	if !changed && b.reported(ctx, asOf) {
		return nil
	}
	state, release, err := b.state(ctx, installed)
	if err != nil {
		return err
	}
	defer release()
	var failures []error
	made := map[string][]pinflow.Part{}
	for i := range b.Plan.Reports {
		name := b.Plan.Reports[i].Name
		b.meter.step("report", asOf, name)
		parts, err := b.report(ctx, &b.Plan.Reports[i], asOf, state)
		switch {
		case err == nil:
			made[name] = parts
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			failures = append(failures, &pinflow.Error{Op: "run report", On: name, Kind: pinflow.KindOf(err), Err: err})
		}
	}
	if err := b.keep(ctx, asOf, made); err != nil {
		return err
	}
	b.outcome.Reports = slices.Sorted(maps.Keys(made))
	return errors.Join(failures...)
}

// reported tells whether the lake has all reports as of a period: they get there last.
func (b *batch) reported(ctx context.Context, asOf pinflow.Period) bool {
	m, err := b.Derived.Manifest(ctx, b.Plan.Generation, asOf)
	if err != nil {
		return false
	}
	for i := range b.Plan.Reports {
		if !slices.Contains(m.Folders, pinflow.Folder{Kind: pinflow.ReportPart, Of: b.Plan.Reports[i].Name}) {
			return false
		}
	}
	return true
}

// report runs a report and puts its rows into the store.
func (b *batch) report(ctx context.Context, p *pinflow.PlannedReport, asOf pinflow.Period, state pinflow.State) ([]pinflow.Part, error) {
	dir := filepath.Join(b.scratch, "report-"+p.Name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, scratchError(dir, err)
	}
	parts, err := b.Engine.Report(ctx, p.Name, state, dir)
	if err != nil {
		return nil, err
	}
	return parts, b.Store.PutReport(ctx, b.Plan.Generation, p.Name, asOf, b.Parts.Rows(parts, reportTable(p)))
}

// keep adds reports to what the lake has of a period.
func (b *batch) keep(ctx context.Context, asOf pinflow.Period, made map[string][]pinflow.Part) error {
	m, err := b.Derived.Manifest(ctx, b.Plan.Generation, asOf)
	if err != nil {
		return err
	}
	m.Parts = slices.DeleteFunc(m.Parts, func(p pinflow.Part) bool { _, anew := made[p.Of]; return p.Kind == pinflow.ReportPart && anew })
	for _, name := range slices.Sorted(maps.Keys(made)) {
		m.Parts = append(m.Parts, made[name]...)
		if f := (pinflow.Folder{Kind: pinflow.ReportPart, Of: name}); !slices.Contains(m.Folders, f) {
			m.Folders = append(m.Folders, f)
		}
	}
	_, err = b.Derived.Put(ctx, m)
	return err
}

// reportTable is a table of the report's columns and nothing else.
func reportTable(p *pinflow.PlannedReport) *pinflow.Table {
	return &pinflow.Table{Name: p.Name, Keys: p.Columns}
}

// state is all that was derived up to the end of the last of some installed periods, the lake's first ones without a gap.
func (r *Runner) state(ctx context.Context, installed []pinflow.Installed) (s pinflow.State, release func(), err error) {
	s = pinflow.State{Clean: map[string][]pinflow.Part{}, Metrics: map[string][]pinflow.Part{}, Latest: map[string][]pinflow.Part{}}
	var all []func()
	release = func() {
		for _, f := range all {
			f()
		}
	}
	for _, in := range installed {
		parts, done, err := r.stage(ctx, in.Parts)
		if err != nil {
			release()
			return s, nil, &pinflow.Error{Op: "read what was made of", On: r.PeriodLength.Name(in.Period), Kind: pinflow.KindOf(err), Err: err,
				Hint: "Run the batch for " + r.PeriodLength.Name(in.Period) + " with --rerun."}
		}
		all = append(all, done)
		addTo(&s, parts)
	}
	return s, release, nil
}

// addTo adds a period's parts to the state before. A snapshot stands for all changes up to it.
func addTo(s *pinflow.State, parts []pinflow.Part) {
	fresh := map[string]bool{}
	for _, p := range parts {
		switch p.Kind {
		case pinflow.CleanPart:
			s.Clean[p.Of] = append(s.Clean[p.Of], p)
		case pinflow.MetricPart:
			s.Metrics[p.Of] = append(s.Metrics[p.Of], p)
		case pinflow.RejectPart:
			s.Rejects = append(s.Rejects, p)
		case pinflow.LatestPart:
			if !hasSnapshot(parts, p.Of) {
				s.Latest[p.Of] = append(s.Latest[p.Of], p)
			}
		case pinflow.SnapshotPart:
			if !fresh[p.Of] {
				s.Latest[p.Of], fresh[p.Of] = nil, true
			}
			s.Latest[p.Of] = append(s.Latest[p.Of], p)
		}
	}
}

// Report runs a report over the state at the end of an installed period. More rows than maxRows are a TooLarge error; 0 for no bound.
// NotFound if there is no such report, or the period is not installed.
func (r *Runner) Report(ctx context.Context, name string, asOf pinflow.Period, maxRows int) (*pinflow.Result, error) {
	i := slices.IndexFunc(r.Plan.Reports, func(p pinflow.PlannedReport) bool { return p.Name == name })
	if i < 0 {
		return nil, &pinflow.Error{Op: "run report", On: name, Kind: pinflow.NotFound, Hint: "The pipeline's folder reports/ has those that there are."}
	}
	installed, err := r.Store.Installed(ctx, r.Plan.Generation)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(installed, func(in pinflow.Installed) bool { return in.Period == asOf })
	if at < 0 {
		return nil, r.notInstalled(name, asOf, installed)
	}
	state, release, err := r.state(ctx, installed[:at+1])
	if err != nil {
		return nil, err
	}
	defer release()
	folder, err := newScratch(r.Scratch)
	if err != nil {
		return nil, err
	}
	defer folder.remove()
	dir := filepath.Join(folder.dir, "report")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, scratchError(dir, err)
	}
	parts, err := r.Engine.Report(ctx, name, state, dir)
	if err != nil {
		return nil, err
	}
	result := &pinflow.Result{Columns: r.Plan.Reports[i].Columns, Positions: map[pinflow.TopicPartition]pinflow.Progress{}}
	for _, in := range installed[at].Ranges {
		result.Positions[in.TopicPartition] = pinflow.Progress{NextOffset: in.End, Period: asOf}
	}
	err = r.Parts.Rows(parts, reportTable(&r.Plan.Reports[i])).Scan(ctx, func(row []any) error {
		if maxRows > 0 && len(result.Rows) == maxRows {
			return &pinflow.Error{Op: "run report", On: name, Kind: pinflow.TooLarge, Err: fmt.Errorf("it has more than %d rows", maxRows), Hint: "Limit the report's rows."}
		}
		result.Rows = append(result.Rows, encodable(row, result.Columns))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

func (r *Runner) notInstalled(report string, asOf pinflow.Period, installed []pinflow.Installed) error {
	e := &pinflow.Error{Op: "run report " + report + " as of", On: r.PeriodLength.Name(asOf), Kind: pinflow.NotFound, Err: errors.New("the period is not installed"),
		Hint: "No period is installed yet: run the batch."}
	if n := len(installed); n > 0 {
		e.Hint = fmt.Sprintf("Installed are %s to %s.", r.PeriodLength.Name(installed[0].Period), r.PeriodLength.Name(installed[n-1].Period))
	}
	return e
}

// encodable copies a relation's row with its numbers as json.Number.
func encodable(row []any, columns []pinflow.Column) []any {
	row = slices.Clone(row)
	for i, v := range row {
		switch v := v.(type) {
		case *big.Int:
			row[i] = json.Number(v.String())
		case string:
			if strings.HasPrefix(columns[i].Type, "DECIMAL") {
				row[i] = json.Number(v)
			}
		}
	}
	return row
}
