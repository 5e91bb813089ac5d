package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine"
	"github.com/pinflow/pinflow/web"
)

// operator does what takes long or changes something, one at a time: batches, audits, generations. It implements web.Operator.
type operator struct {
	*core
	life    context.Context     // that of the workers which it starts
	workers int                 // of a live half
	shown   func(*pinflow.Plan) // told of the plan that readers see after a switch

	turn chan struct{} // holds a token while something runs

	mu        sync.Mutex
	running   *web.Running
	audited   *pinflow.AuditReport
	live      *liveHalf  // of the current generation; nil while none runs: the data are at rest
	batch     *batchHalf // of the current generation
	scheduler *refine.Scheduler
}

var _ web.Operator = (*operator)(nil)

// newOperator makes the operator of the places that are open.
func newOperator(ctx context.Context, c *core, workers int) (*operator, error) {
	b, err := openBatch(ctx, c, c.plans.current)
	if err != nil {
		return nil, err
	}
	return &operator{core: c, life: context.WithoutCancel(ctx), workers: workers, shown: func(*pinflow.Plan) {}, turn: make(chan struct{}, 1), batch: b}, nil
}

// close ends the live half, if one runs, and frees the batch.
func (o *operator) close() error {
	o.mu.Lock()
	live, batch := o.live, o.batch
	o.live = nil
	o.mu.Unlock()
	var err error
	if live != nil {
		err = live.stop()
	}
	return errors.Join(err, batch.close())
}

// begin takes the turn for something that is called what. While something else runs it waits, and says what for.
func (o *operator) begin(ctx context.Context, what string, tell func(pinflow.Work)) (end func(), err error) {
	pace := time.NewTicker(waitNews)
	defer pace.Stop()
	for {
		select {
		case o.turn <- struct{}{}:
			o.note(&web.Running{What: what})
			return func() {
				o.note(nil)
				<-o.turn
			}, nil
		case <-ctx.Done():
			return nil, &pinflow.Error{Op: "wait for a turn", On: what, Kind: pinflow.Unavailable, Err: ctx.Err()}
		case <-pace.C:
			if r := o.isRunning(); r != nil {
				tell(pinflow.Work{Step: "waiting for a " + r.What + " that runs (" + r.Work.Step + ")"})
			}
		}
	}
}

// waitNews is how often somebody who waits is told what for.
const waitNews = 500 * time.Millisecond

func (o *operator) note(r *web.Running) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running = r
}

func (o *operator) isRunning() *web.Running {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.running
}

// telling is progress that is told to those who look, too.
func (o *operator) telling(what string, progress func(pinflow.Work)) func(pinflow.Work) {
	return func(w pinflow.Work) {
		o.note(&web.Running{What: what, Work: w})
		progress(w)
	}
}

// current is the batch of the generation that readers see.
func (o *operator) current() *batchHalf {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.batch
}

// currentLive is the live half of the generation that readers see, nil while none runs.
func (o *operator) currentLive() *liveHalf {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.live
}

// Comparisons implements web.Operator.
func (o *operator) Comparisons(ctx context.Context) ([]pinflow.PeriodComparison, error) {
	all, err := o.store.Comparisons(ctx, o.current().plan.Generation)
	return pinflow.NameComparisons(o.period, all), err
}

// Acknowledge implements web.Operator.
func (o *operator) Acknowledge(ctx context.Context, period string) error {
	p, err := o.period.Parse(period)
	if err != nil {
		return err
	}
	return o.store.Acknowledge(ctx, o.current().plan.Generation, p)
}

// ReportAsOf implements web.Operator.
func (o *operator) ReportAsOf(ctx context.Context, report, period string) (*pinflow.Result, error) {
	p, err := o.period.Parse(period)
	if err != nil {
		return nil, err
	}
	return o.current().runner.Report(ctx, report, p, o.SQLRows)
}

// Batch implements web.Operator.
func (o *operator) Batch(ctx context.Context, q web.BatchRequest, progress func(pinflow.Work)) (*web.BatchResult, error) {
	request, err := o.request(q)
	if err != nil {
		return nil, err
	}
	end, err := o.begin(ctx, "batch", progress)
	if err != nil {
		return nil, err
	}
	defer end()
	outcome, err := o.runBatch(ctx, request, progress)
	if outcome == nil {
		return nil, err
	}
	result := batchResult(outcome)
	if next, unknown := o.sealer.Status(ctx); unknown == nil && next.Next != pinflow.NoPeriod && next.Waiting != "" && result.Waits == "" {
		result.Waits = o.period.Name(next.Next) + ": " + next.Waiting
	}
	return result, err
}

// runBatch runs the batch of the current generation. The caller has the turn.
func (o *operator) runBatch(ctx context.Context, q refine.Request, progress func(pinflow.Work)) (*refine.Outcome, error) {
	tell := o.telling("batch", progress)
	if o.live == nil { // nobody else writes the lake of data at rest
		tell(pinflow.Work{Step: "bringing the lake up to the journal"})
		if err := o.drain(ctx); err != nil {
			return nil, err
		}
	}
	return o.current().runner.Run(ctx, q, func(p refine.Progress) { tell(p.Work()) })
}

// scheduled is the batch as the schedule runs it: it waits for its turn.
func (o *operator) scheduled(ctx context.Context) (*refine.Outcome, error) {
	end, err := o.begin(ctx, "batch", func(pinflow.Work) {})
	if err != nil {
		return nil, err
	}
	defer end()
	return o.runBatch(ctx, refine.Request{}, func(pinflow.Work) {})
}

// request reads the names of periods.
func (o *operator) request(q web.BatchRequest) (refine.Request, error) {
	r := refine.Request{Rerun: q.Rerun, Wait: q.Wait}
	for _, f := range []struct {
		name string
		to   **pinflow.Period
	}{{q.Period, &r.Period}, {q.From, &r.From}, {q.To, &r.To}} {
		if f.name == "" {
			continue
		}
		p, err := o.period.Parse(f.name)
		if err != nil {
			return r, err
		}
		*f.to = &p
	}
	if r.Period != nil && (r.From != nil || r.To != nil) {
		return r, &pinflow.Error{Op: "run batch", Kind: pinflow.Invalid, Err: errors.New("it is asked for one period and for a range"), Hint: "Give the one or the other."}
	}
	return r, nil
}

func batchResult(out *refine.Outcome) *web.BatchResult {
	r := &web.BatchResult{Periods: []web.BatchPeriod{}, Waits: out.Waiting}
	for _, p := range out.Periods {
		r.Periods = append(r.Periods, web.BatchPeriod{Period: p.Name, Unchanged: p.Unchanged, Records: p.Records, Seconds: p.Seconds, Comparison: p.Comparison})
	}
	return r
}

// shownPeriods is how many of the installed periods a status lists.
const shownPeriods = 30

// BatchStatus implements web.Operator.
func (o *operator) BatchStatus(ctx context.Context) (*web.BatchStatus, error) {
	generation := o.current().plan.Generation
	installed, err := o.store.Installed(ctx, generation)
	if err != nil {
		return nil, err
	}
	compared, err := o.Comparisons(ctx)
	if err != nil {
		return nil, err
	}
	last := map[string]pinflow.PeriodComparison{}
	standing := map[string]bool{}
	for _, c := range compared {
		last[c.Name] = c
		standing[c.Name] = standing[c.Name] || c.Standing
	}
	status := &web.BatchStatus{Installed: len(installed), Periods: []web.PeriodStatus{}, Running: o.isRunning()}
	for i := len(installed) - 1; i >= 0 && len(status.Periods) < shownPeriods; i-- {
		in := installed[i]
		p := web.PeriodStatus{Period: o.period.Name(in.Period), InstalledAt: in.At.UTC().Format(time.RFC3339)}
		for _, r := range in.Ranges {
			p.Records += r.Records
		}
		if c, ok := last[p.Period]; ok {
			p.NotCompared, p.Rows, p.Differing, p.Acknowledged = c.Why, c.Rows, c.Differing, c.Acknowledged
		}
		p.Standing = standing[p.Period]
		status.Periods = append(status.Periods, p)
	}
	return status, o.statusOfNext(ctx, status)
}

// statusOfNext adds what comes next, and how the schedule stands.
func (o *operator) statusOfNext(ctx context.Context, status *web.BatchStatus) error {
	next, err := o.sealer.Status(ctx)
	if err != nil {
		return err
	}
	if next.Next != pinflow.NoPeriod {
		status.Next, status.Waits = o.period.Name(next.Next), next.Waiting
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.scheduler != nil {
		if s := o.scheduler.Status(); s.Last != nil && s.Last.Err != nil {
			status.Failed = s.Last.Err.Error()
		}
	}
	return nil
}

// Generations implements web.Operator.
func (o *operator) Generations(ctx context.Context) ([]web.GenerationInfo, error) {
	all, err := o.store.Generations(ctx)
	if err != nil {
		return nil, err
	}
	var current map[pinflow.TopicPartition]pinflow.Progress
	for _, g := range all {
		if g.Current {
			current = g.Positions
		}
	}
	infos := make([]web.GenerationInfo, len(all))
	for i, g := range all {
		infos[i] = generationInfo(g, current)
	}
	if r := o.isRunning(); r != nil && r.What == "generation" {
		for i := range infos {
			if strings.HasPrefix(r.Work.Step, infos[i].Name) {
				infos[i].Building = &r.Work
			}
		}
	}
	return infos, nil
}

// generation returns what is known of one.
func (o *operator) generation(ctx context.Context, name string) (*web.GenerationInfo, error) {
	all, err := o.Generations(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range all {
		if all[i].Name == name {
			return &all[i], nil
		}
		names = append(names, all[i].Name)
	}
	return nil, &pinflow.Error{Op: "find generation", On: name, Kind: pinflow.NotFound, Err: errors.New("the store has none of that name"), Hint: "There are " + strings.Join(names, ", ") + "."}
}

// DropGeneration implements web.Operator.
func (o *operator) DropGeneration(ctx context.Context, name string) error {
	end, err := o.begin(ctx, "generation", func(pinflow.Work) {})
	if err != nil {
		return err
	}
	defer end()
	if _, err := o.generation(ctx, name); err != nil {
		return err
	}
	if err := o.store.DropGeneration(ctx, name); err != nil {
		return err
	}
	return o.derived.Drop(ctx, name)
}
