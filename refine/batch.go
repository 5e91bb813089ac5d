package refine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/pinflow/pinflow"
	"github.com/prometheus/client_golang/prometheus"
)

// RunnerOptions are what a Runner needs. Zero limits take the defaults.
type RunnerOptions struct {
	Plan         *pinflow.Plan
	PeriodLength pinflow.PeriodLength
	// Seal seals what can be sealed; waiting tells what keeps the next period that has ended from being sealed, "" if there
	// is none. Nil if sealing is somebody else's.
	Seal    func(ctx context.Context) (waiting string, err error)
	Raw     pinflow.RawReader
	Derived pinflow.Derived
	Engine  pinflow.BatchEngine
	Store   pinflow.BatchStore
	Parts   Parts
	Scratch string // a folder for what is being made; it is made if missing

	// Parallel is how many periods are refined at a time if the plan has no model with a key: 2. Each takes the engine's memory.
	Parallel int
	// Patience is how long the install of a period waits for a live half that is on its way to the period's end: 5 minutes,
	// negative for not at all.
	Patience time.Duration
	Clock    clockwork.Clock // the real one
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil for none
}

// Parts reads Parquet files that are on this machine.
type Parts interface {
	// Rows returns the rows of parts of a table (or, with the table's Keys alone, of a report) in the table's column order.
	Rows(parts []pinflow.Part, t *pinflow.Table) pinflow.Relation
	// StateOf returns, of the state that parts make in their order, the rows of some keys: rows of the table's key columns.
	StateOf(ctx context.Context, parts []pinflow.Part, t *pinflow.Table, keys pinflow.Relation) (pinflow.Relation, error)
}

func (o *RunnerOptions) setDefaults() {
	if o.PeriodLength == 0 {
		o.PeriodLength = pinflow.DefaultPeriodLength
	}
	if o.Parallel <= 0 {
		o.Parallel = 2
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Minute
	}
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

const (
	// standing is after how long without a move a live half is no longer waited for.
	standing = 10 * time.Second
	// looks is how often positions and seals that are waited for are looked at.
	looks = 500 * time.Millisecond
)

// Runner is the batch of one generation: it recomputes sealed periods from the lake and installs them into the store. Any number of
// them may work at the same time, in any number of processes: what one has installed the others leave alone.
type Runner struct {
	RunnerOptions
	keyed   bool // a model has a key: a period is computed from the state at the end of the one before
	metrics *batchMetrics
	busy    chan struct{} // holds a token while a run is under way, and guards replaced

	replaced []pinflow.Period // whose former files somebody may still read
}

// NewRunner makes a Runner and registers its metrics.
func NewRunner(o RunnerOptions) (*Runner, error) {
	o.setDefaults()
	if o.Plan == nil || o.Raw == nil || o.Derived == nil || o.Engine == nil || o.Store == nil || o.Parts == nil || o.Scratch == "" {
		return nil, &pinflow.Error{Op: "make a batch", Kind: pinflow.Invalid, Err: errors.New("it needs a plan, a lake, an engine, a store and a folder")}
	}
	r := &Runner{RunnerOptions: o, busy: make(chan struct{}, 1), metrics: newBatchMetrics()}
	for i := range o.Plan.Tables {
		r.keyed = r.keyed || o.Plan.Tables[i].Kind == pinflow.Entities
	}
	if o.Metrics != nil {
		if err := o.Metrics.Register(r.metrics); err != nil {
			return nil, &pinflow.Error{Op: "register the metrics of the batch", Err: err}
		}
	}
	return r, nil
}

// Request says which periods a run is for: all that are sealed and not installed, unless it names some.
type Request struct {
	Period   *pinflow.Period // this one
	From, To *pinflow.Period // these, both included
	Rerun    bool            // also those that are installed
	Wait     bool            // until the last one named can be sealed; without a name, the last one that has ended
	NoSeal   bool            // take only what is sealed already
}

// Run seals what can be sealed, then refines and installs the periods asked for, oldest first, and runs the reports over what
// is installed. One run at a time: another waits. If it fails, or is killed, what it has installed is whole and the next
// run goes on from there; the outcome tells how far it got, also beside an error. progress may be nil; its calls are in order.
//
// A period before which one is missing is an Invalid error, one that cannot be sealed yet an Unavailable one.
func (r *Runner) Run(ctx context.Context, q Request, progress func(Progress)) (*Outcome, error) {
	if err := r.begin(ctx); err != nil {
		return &Outcome{}, err
	}
	defer r.end()
	began := r.Clock.Now()
	b := &batch{Runner: r, outcome: &Outcome{}, meter: newMeter(r.Clock, progress)}
	err := b.run(ctx, q)
	b.outcome.Seconds = r.Clock.Since(began).Seconds()
	r.metrics.ran(b.outcome, err)
	return b.outcome, err
}

// begin waits until no run is under way.
func (r *Runner) begin(ctx context.Context) error {
	select {
	case r.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Runner) end() { <-r.busy }

// Sweep removes the files of periods that have been installed again since, but those that later periods are made of. Each
// Run begins with it, so that whoever reads has had time to end; call it when nobody reads any more.
func (r *Runner) Sweep(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.end()
	return r.sweep(ctx)
}

func (r *Runner) sweep(ctx context.Context) error {
	for len(r.replaced) > 0 {
		if err := r.mendPeriods(ctx, r.replaced[0]); err != nil { // what the store reads must stay
			return err
		}
		if err := r.Derived.Sweep(ctx, r.Plan.Generation, r.replaced[0]); err != nil {
			return err
		}
		r.replaced = r.replaced[1:]
	}
	return nil
}

// batch is one run.
type batch struct {
	*Runner
	outcome *Outcome
	meter   *meter
	scratch string
	live    liveHalf
	// replacing are the notes of periods that were installed before and are again.
	replacing []pinflow.Replacement
}

func (b *batch) run(ctx context.Context, q Request) error {
	if err := b.Store.Prepare(ctx, b.Plan); err != nil {
		return err
	}
	if err := b.sweep(ctx); err != nil {
		b.Log.Warn("batch: could not remove replaced files", "error", err)
	}
	sealing, err := b.seal(ctx, q)
	if err != nil {
		return err
	}
	jobs, err := b.choose(ctx, q, sealing == nil && !q.NoSeal && b.Seal != nil)
	if err != nil {
		return errors.Join(err, sealing)
	}
	folder, err := newScratch(b.Scratch)
	if err != nil {
		return err
	}
	defer folder.remove()
	b.scratch = folder.dir
	if err := b.installAll(ctx, jobs); err != nil {
		return err
	}
	if err := b.endReplacing(ctx); err != nil {
		return err
	}
	if err := b.reports(ctx); err != nil {
		return err
	}
	return sealing
}
