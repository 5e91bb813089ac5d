package refine

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/pinflow/pinflow"
)

// install installs a refined period.
func (b *batch) install(ctx context.Context, m *made) error {
	if !m.installed {
		if err := b.awaitLive(ctx, m); err != nil {
			return err
		}
	}
	b.meter.step("install", m.period, b.PeriodLength.Name(m.period))
	began := b.Clock.Now()
	c, err := b.installOne(ctx, m)
	if err != nil {
		return b.failed("install", &m.job, err)
	}
	took := b.Clock.Since(began)
	b.metrics.took("install", took)
	b.live.note(ctx, b)
	b.done(ctx, m, c, m.took+took)
	if m.installed {
		b.replacing = append(b.replacing, m.replaces)
	}
	switch {
	case c.Unchanged: // what was put into the lake is not what was installed
		return b.mendPeriods(ctx, m.period)
	case m.installed:
		b.replaced = append(b.replaced, m.period)
	}
	return nil
}

// done tells of a period that is installed.
func (b *batch) done(ctx context.Context, m *made, c *pinflow.Comparison, took time.Duration) {
	o := PeriodOutcome{Period: m.period, Name: b.PeriodLength.Name(m.period), Records: m.records(), Seconds: took.Seconds(), Reused: m.reused, Unchanged: c.Unchanged}
	for _, p := range m.manifest.Parts {
		o.Rows += p.Rows
	}
	if c.Unchanged {
		o.Comparison = b.recorded(ctx, m.period)
	} else {
		o.Comparison = c
		b.metrics.installed(m.period, o.Records, c)
	}
	b.outcome.add(o)
	b.meter.note(func(p *Progress) { p.PeriodsDone, p.RecordsDone = p.PeriodsDone+1, p.RecordsDone+o.Records })
	switch {
	case c.Differing > 0:
		b.Log.Error("batch: live and batch rows differ; the batch's count now", "period", o.Name, "differing", c.Differing, "rows", c.Rows)
	case c.Unchanged:
		b.Log.Info("batch: somebody else has installed the period", "period", o.Name)
	default:
		b.Log.Info("batch: period installed", "period", o.Name, "records", o.Records, "compared", c.Rows, "not_compared", c.Why, "seconds", o.Seconds)
	}
}

// recorded returns what was recorded when a period was installed, by somebody else or by a call that only seemed to fail; nil
// if the store does not tell.
func (b *batch) recorded(ctx context.Context, p pinflow.Period) (last *pinflow.Comparison) {
	s, ok := b.Store.(interface {
		Comparisons(ctx context.Context, generation string) ([]pinflow.Comparison, error)
	})
	if !ok {
		return nil
	}
	all, err := s.Comparisons(ctx, b.Plan.Generation)
	if err != nil {
		b.Log.Warn("batch: could not read what was recorded", "error", err)
	}
	for i := range all {
		if all[i].Period == p {
			last = &all[i]
		}
	}
	return last
}

// installOne installs a period, again if the store is not available for a moment.
func (b *batch) installOne(ctx context.Context, m *made) (*pinflow.Comparison, error) {
	parts, release, err := b.stage(ctx, m.manifest.Parts)
	if err != nil {
		return nil, err
	}
	defer release()
	in := pinflow.Installation{Generation: b.Plan.Generation, Period: m.period, Next: b.PeriodLength.Next(m.period), Ranges: m.ranges(),
		Added: b.additions(parts), Parts: parts, Again: m.installed}
	states := map[string][]pinflow.Part{}
	for i := range b.Plan.Tables {
		if t := &b.Plan.Tables[i]; t.Kind == pinflow.Entities {
			staged, release, err := b.stage(ctx, m.manifest.StateOf(t.Name))
			if err != nil {
				return nil, err
			}
			defer release()
			states[t.Name] = staged
		}
	}
	in.StateOf = func(ctx context.Context, table string, keys pinflow.Relation) (pinflow.Relation, error) {
		return b.Parts.StateOf(ctx, states[table], b.Plan.Table(table), keys)
	}
	for delay := firstDelay; ; delay *= 2 {
		c, err := b.Store.Install(ctx, in)
		if err == nil || ctx.Err() != nil || !unavailable(err) || delay > longDelay {
			return c, err
		}
		b.Log.Warn("batch: could not install, trying again", "period", b.PeriodLength.Name(m.period), "error", err, "hint", pinflow.HintOf(err))
		if err := pauseFor(ctx, b.Clock, delay); err != nil {
			return nil, err
		}
	}
}

// additions are the rows of a period by table. Rejects of all models go into one. Clean rows are those of a model whose rows the store keeps, or
// kept until now: then they are there to be compared.
func (b *batch) additions(parts []pinflow.Part) (all []pinflow.Addition) {
	byTable := map[string][]pinflow.Part{}
	for _, p := range parts {
		switch p.Kind {
		case pinflow.MetricPart, pinflow.LatestPart:
			byTable[p.Of] = append(byTable[p.Of], p)
		case pinflow.RejectPart:
			byTable[pinflow.RejectsTable().Name] = append(byTable[pinflow.RejectsTable().Name], p)
		case pinflow.CleanPart:
			if table := b.rowsTable(p.Of); table != "" {
				byTable[table] = append(byTable[table], p)
			}
		}
	}
	for i := range b.Plan.Tables {
		if t := &b.Plan.Tables[i]; len(byTable[t.Name]) > 0 {
			all = append(all, pinflow.Addition{Table: t.Name, Rows: b.Parts.Rows(byTable[t.Name], t)})
		}
	}
	return all
}

// rowsTable is the table that keeps rows of a model, "" if none does.
func (b *batch) rowsTable(model string) string {
	for i := range b.Plan.Tables {
		if t := &b.Plan.Tables[i]; t.Kind == pinflow.Rows && t.Model == model {
			return t.Name
		}
	}
	return ""
}

// stage makes parts readable on this machine until release is called.
func (r *Runner) stage(ctx context.Context, parts []pinflow.Part) (staged []pinflow.Part, release func(), err error) {
	var all []func()
	release = func() {
		for _, f := range all {
			f()
		}
	}
	for _, p := range parts {
		s, done, err := r.Derived.Stage(ctx, p)
		if err != nil {
			release()
			return nil, nil, err
		}
		staged, all = append(staged, s), append(all, done)
	}
	return staged, release, nil
}

// stageState stages the state of all tables.
func (b *batch) stageState(ctx context.Context, state map[string][]pinflow.Part) (staged map[string][]pinflow.Part, release func(), err error) {
	staged = map[string][]pinflow.Part{}
	var all []func()
	release = func() {
		for _, f := range all {
			f()
		}
	}
	for table, parts := range state {
		s, done, err := b.stage(ctx, parts)
		if err != nil {
			release()
			return nil, nil, err
		}
		staged[table], all = s, append(all, done)
	}
	return staged, release, nil
}

// liveHalf is what a run has seen of the live half's positions.
type liveHalf struct {
	at    map[pinflow.TopicPartition]pinflow.Progress
	moved time.Time // when it last moved by itself
}

// look takes note of positions; they count as moved if they are not where they were last seen. What is first seen may be
// moving, unless there is nothing.
func (l *liveHalf) look(now time.Time, at map[pinflow.TopicPartition]pinflow.Progress) {
	if l.at == nil && len(at) > 0 || l.at != nil && !maps.Equal(l.at, at) {
		l.moved = now
	}
	if l.at = at; at == nil {
		l.at = map[pinflow.TopicPartition]pinflow.Progress{}
	}
}

// note takes note of positions that an install has moved.
func (l *liveHalf) note(ctx context.Context, b *batch) {
	if at, err := b.Store.Progress(ctx, b.Plan.Generation); err == nil && l.at != nil {
		l.at = at
	}
}

// awaitLive waits until the live half has counted the period, so that there is something to compare: as long as it moves, and Patience at the most.
func (b *batch) awaitLive(ctx context.Context, m *made) error {
	if b.Patience < 0 {
		return nil
	}
	began := b.Clock.Now()
	for {
		at, err := b.Store.Progress(ctx, b.Plan.Generation)
		if err != nil {
			return err
		}
		behind := lacking(at, m.ranges())
		now := b.Clock.Now()
		b.live.look(now, at)
		if behind == 0 || now.Sub(b.live.moved) >= standing || now.Sub(began) >= b.Patience {
			return nil
		}
		b.meter.note(func(p *Progress) {
			p.Step, p.Period, p.Name, p.Waiting = "wait", m.period, b.PeriodLength.Name(m.period), fmt.Sprintf("the live half, which is %d records before the period's end", behind)
		})
		if err := pauseFor(ctx, b.Clock, looks); err != nil {
			return err
		}
	}
}

// lacking is how many offsets positions are before the ends of ranges.
func lacking(at map[pinflow.TopicPartition]pinflow.Progress, ranges []pinflow.InstalledRange) (n int64) {
	for _, r := range ranges {
		n += max(r.End-at[r.TopicPartition].NextOffset, 0)
	}
	return n
}
