package main

import (
	"context"
	"errors"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
	"github.com/pinflow/pinflow/refine"
	"github.com/pinflow/pinflow/web"
)

// BuildGeneration implements web.Operator.
func (o *operator) BuildGeneration(ctx context.Context, q web.BuildRequest, progress func(pinflow.Work)) (*web.GenerationInfo, error) {
	plan, err := o.compileAgain(ctx)
	if err != nil {
		return nil, err
	}
	end, err := o.begin(ctx, "generation", progress)
	if err != nil {
		return nil, err
	}
	defer end()
	if q.Switch {
		if err := o.unpin(); err != nil {
			return nil, err
		}
	}
	return o.build(ctx, plan, q.Switch, o.telling("generation", progress))
}

// change builds the generation of a definition that has changed since the last start, and lets it take over.
func (o *operator) change(ctx context.Context, p *pinflow.Plan) error {
	end, err := o.begin(ctx, "generation", func(pinflow.Work) {})
	if err != nil {
		return err
	}
	defer end()
	o.log.Info("the definition has changed: its generation is being built while the one before is served", "generation", p.Generation, "current", o.current().plan.Generation)
	told := time.Now()
	_, err = o.build(ctx, p, true, o.telling("generation", func(w pinflow.Work) {
		if time.Since(told) > buildNews {
			told = time.Now()
			o.log.Info("building the generation", "step", w.Step, "done", w.Done, "of", w.Total)
		}
	}))
	return err
}

// buildNews is how often the log tells how far a generation is.
const buildNews = 10 * time.Second

// SwitchGeneration implements web.Operator.
func (o *operator) SwitchGeneration(ctx context.Context, name string, progress func(pinflow.Work)) (*web.GenerationInfo, error) {
	if _, err := o.generation(ctx, name); err != nil {
		return nil, err
	}
	plan, err := o.store.PlanOf(ctx, name)
	if err != nil {
		return nil, err
	}
	end, err := o.begin(ctx, "generation", progress)
	if err != nil {
		return nil, err
	}
	defer end()
	info, err := o.build(ctx, plan, true, o.telling("generation", progress))
	if err != nil {
		return nil, err
	}
	return info, o.pin(ctx, name)
}

// compileAgain compiles the definition as its files are now. Its faults are one Invalid error.
func (o *operator) compileAgain(ctx context.Context) (*pinflow.Plan, error) {
	_, plan, faults, err := compile(ctx, o.Pipeline)
	if err != nil {
		return nil, err
	}
	var all []error
	for _, f := range faults {
		all = append(all, errors.New(f.String()))
	}
	if len(all) > 0 {
		return nil, &pinflow.Error{Op: "compile definition", On: o.Pipeline, Kind: pinflow.Invalid, Err: errors.Join(all...),
			Hint: "Nothing has changed: the current generation goes on."}
	}
	if current := o.current().plan; plan.Pipeline != current.Pipeline {
		return nil, anotherPipeline(current, plan)
	}
	return plan, nil
}

// build brings a generation up to the journal's end, and lets readers see it if they are to. The caller has the turn.
func (o *operator) build(ctx context.Context, p *pinflow.Plan, takeOver bool, tell func(pinflow.Work)) (*web.GenerationInfo, error) {
	if o.current().plan.Generation == p.Generation {
		return o.generation(ctx, p.Generation)
	}
	if err := o.admit(ctx, p); err != nil {
		return nil, err
	}
	if o.live == nil {
		tell(pinflow.Work{Step: "bringing the lake up to the journal"})
		if err := o.drain(ctx); err != nil {
			return nil, err
		}
	}
	batch, err := openBatch(ctx, o.core, p)
	if err != nil {
		return nil, err
	}
	var live *liveHalf
	start := func(context.Context) (func(), error) {
		if live, err = startLive(o.life, o.core, p, o.workers); err != nil {
			return nil, err
		}
		return func() { _ = live.stop() }, nil // what it held is read again by the next
	}
	err = refine.Build(ctx, refine.BuildOptions{Runner: batch.runner, Store: o.store, Live: start, OnlyBuild: !takeOver, Log: o.log}, tell)
	if err != nil || !takeOver {
		err = errors.Join(err, batch.close())
		if err != nil {
			return nil, err
		}
		return o.generation(ctx, p.Generation)
	}
	if err := o.replace(live, batch); err != nil {
		return nil, err
	}
	return o.generation(ctx, p.Generation)
}

// admit makes the topics, the tables and the lake ready for a plan.
func (o *operator) admit(ctx context.Context, p *pinflow.Plan) error {
	if err := o.store.Prepare(ctx, p); err != nil {
		return err
	}
	if _, err := openTopics(ctx, o.journal, o.objects, p, o.period); err != nil {
		return err
	}
	return bindTopics(ctx, o.journal, o.store, p)
}

// replace makes a generation's halves the current ones, and ends those before.
func (o *operator) replace(live *liveHalf, batch *batchHalf) error {
	o.mu.Lock()
	before, oldBatch := o.live, o.batch
	atRest := before == nil
	o.batch = batch
	if !atRest {
		o.live = live
	}
	o.mu.Unlock()
	o.shown(batch.plan)
	if atRest && live != nil {
		before = live // nobody is to go on with data at rest
	}
	var err error
	if before != nil {
		err = before.stop()
	}
	return errors.Join(err, oldBatch.close())
}

// generationInfo is a generation with how far it is behind the current one.
func generationInfo(g pinflow.Generation, current map[pinflow.TopicPartition]pinflow.Progress) web.GenerationInfo {
	info := web.GenerationInfo{Generation: g, Positions: web.Positions(g.Positions)}
	for _, n := range protocol.Behind(g.Positions, current) {
		info.Behind += n
	}
	return info
}
