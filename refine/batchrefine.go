package refine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/pinflow/pinflow"
	"golang.org/x/sync/errgroup"
)

// made is a period that is refined and in the lake.
type made struct {
	job
	manifest pinflow.Manifest
	reused   bool
	took     time.Duration
	replaces pinflow.Replacement // the note that it is made anew, if it was installed before
}

// installAll refines periods and installs them in their order. While one is installed, those behind it are refined: of
// a plan with keys one, which needs the state that the one before has left; else Parallel. There are never more waiting than being refined.
func (b *batch) installAll(ctx context.Context, jobs []job) error {
	parallel := b.Parallel
	if b.keyed {
		parallel = 1
	}
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan chan *made, parallel)
	g.Go(func() error {
		defer close(queue)
		return b.refineAll(ctx, g, jobs, parallel, queue)
	})
	g.Go(func() error {
		for next := range queue {
			m, ok := <-next
			if !ok {
				return nil // the group tells why
			}
			if err := b.install(ctx, m); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// refineAll refines periods, some at a time, and gives them to queue in their order. A channel that is closed without a
// period is that of one that failed.
func (b *batch) refineAll(ctx context.Context, g *errgroup.Group, jobs []job, parallel int, queue chan<- chan *made) error {
	slots := make(chan struct{}, parallel)
	var before *pinflow.Manifest // of the period before
	for i := range jobs {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		done := make(chan *made, 1)
		one := func() error {
			defer func() { <-slots }()
			defer close(done)
			m, err := b.refined(ctx, jobs[i], before)
			if err != nil {
				return err
			}
			if b.keyed {
				before = &m.manifest
			}
			done <- m
			return nil
		}
		select {
		case queue <- done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !b.keyed {
			g.Go(one)
		} else if err := one(); err != nil {
			return err
		}
	}
	return nil
}

// refined refines a period and puts what comes of it into the lake, or takes what an earlier run has put there.
func (b *batch) refined(ctx context.Context, j job, last *pinflow.Manifest) (*made, error) {
	began := b.Clock.Now()
	b.meter.step("refine", j.period, b.PeriodLength.Name(j.period))
	before, err := b.stateBefore(ctx, &j, last)
	if err != nil {
		return nil, err
	}
	m := &made{job: j}
	if j.installed {
		m.replaces, err = b.Derived.Replacing(ctx, b.Plan.Generation, j.period)
	} else {
		m.reused, err = b.reuse(ctx, m, before)
	}
	if err == nil && !m.reused {
		m.manifest, err = b.refineOne(ctx, &j, before)
	}
	if err != nil {
		return nil, b.failed("refine", &j, err)
	}
	m.took = b.Clock.Since(began)
	b.metrics.took("refine", m.took)
	return m, nil
}

// stateBefore returns the files of the state at the end of the period before, by table. Without a period before there is no state.
func (b *batch) stateBefore(ctx context.Context, j *job, last *pinflow.Manifest) (map[string][]pinflow.Part, error) {
	if !b.keyed || b.first(j) {
		return nil, nil
	}
	prior := j.period - b.PeriodLength.Next(0)
	if last == nil || last.Period != prior {
		m, err := b.Derived.Manifest(ctx, b.Plan.Generation, prior)
		if err != nil {
			return nil, b.failed("refine", j, &pinflow.Error{Op: "read the state before", On: b.PeriodLength.Name(prior), Kind: pinflow.KindOf(err), Err: err,
				Hint: "What the batch made of " + b.PeriodLength.Name(prior) + " is gone from the lake: run the batch for it with --rerun."})
		}
		last = &m
	}
	state := map[string][]pinflow.Part{}
	for i := range b.Plan.Tables {
		if t := &b.Plan.Tables[i]; t.Kind == pinflow.Entities {
			state[t.Name] = last.StateOf(t.Name)
		}
	}
	return state, nil
}

// first tells whether no period of the lake comes before: all ranges begin at 0.
func (b *batch) first(j *job) bool {
	return !slices.ContainsFunc(j.ranges(), func(r pinflow.InstalledRange) bool { return r.Start > 0 })
}

// refineOne refines a period in a folder of its own and puts the files into the lake.
func (b *batch) refineOne(ctx context.Context, j *job, before map[string][]pinflow.Part) (m pinflow.Manifest, err error) {
	dir := filepath.Join(b.scratch, strconv.FormatInt(int64(j.period), 10))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return m, scratchError(dir, err)
	}
	defer os.RemoveAll(dir)
	staged, release, err := b.stageState(ctx, before)
	if err != nil {
		return m, err
	}
	defer release()
	refined, err := b.Engine.Refine(ctx, pinflow.Closed{Period: j.period, Seals: j.seals, Before: staged, Dir: dir, Progress: func(objects, rows int64) {
		b.meter.note(func(p *Progress) { p.ObjectsDone, p.Rows = p.ObjectsDone+objects, p.Rows+rows })
	}})
	if err != nil {
		return m, err
	}
	return b.Derived.Put(ctx, b.manifest(j, refined, before))
}

// manifest is what is to be put into the lake of a period refined.
func (b *batch) manifest(j *job, refined *pinflow.Refined, before map[string][]pinflow.Part) pinflow.Manifest {
	m := pinflow.Manifest{Generation: b.Plan.Generation, Period: j.period, Seals: withoutObjects(j.seals), Parts: refined.Parts, Counts: refined.Counts, Folders: b.folders()}
	for table, parts := range before {
		if !hasSnapshot(refined.Parts, table) {
			if m.Before == nil {
				m.Before = map[string][]pinflow.Part{}
			}
			m.Before[table] = parts
		}
	}
	return m
}

// folders are those that every period of the generation has.
func (b *batch) folders() (all []pinflow.Folder) {
	for i := range b.Plan.Models {
		all = append(all, pinflow.Folder{Kind: pinflow.CleanPart, Of: b.Plan.Models[i].Name}, pinflow.Folder{Kind: pinflow.RejectPart, Of: b.Plan.Models[i].Name})
	}
	for i := range b.Plan.Tables {
		switch t := &b.Plan.Tables[i]; t.Kind {
		case pinflow.Partials:
			all = append(all, pinflow.Folder{Kind: pinflow.MetricPart, Of: t.Name})
		case pinflow.Entities:
			all = append(all, pinflow.Folder{Kind: pinflow.LatestPart, Of: t.Name})
		}
	}
	return all
}

func withoutObjects(seals []pinflow.Seal) []pinflow.Seal {
	bare := make([]pinflow.Seal, len(seals))
	for i, s := range seals {
		bare[i] = s
		bare[i].Partitions = slices.Clone(s.Partitions)
		for k := range bare[i].Partitions {
			bare[i].Partitions[k].Objects = nil
		}
	}
	return bare
}

// failed says with which period something failed.
func (b *batch) failed(what string, j *job, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &pinflow.Error{Op: what, On: b.PeriodLength.Name(j.period), Kind: pinflow.KindOf(err), Err: err, Hint: hintOf(err)}
}

// hintOf is the hint of an error that has one, else what helps after any failure.
func hintOf(err error) string {
	if hint := pinflow.HintOf(err); hint != "" {
		return ""
	}
	return "What is installed is whole: when the cause is gone, run the batch again, and it goes on from here."
}
