package duckdb

import (
	"context"
	"os"
	"sync"
	"sync/atomic"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// BatchOptions are what a BatchEngine works with.
type BatchOptions struct {
	// Instance is the DuckDB to run on, which the engine does not close. SQL must be able to reach the files that go in and out.
	Instance *duck.Instance
	// Reports is the DuckDB on which reports run, each alone; nil for Instance.
	Reports  *duck.Instance
	Plan     *pinflow.Plan
	Raw      pinflow.RawReader
	Memory   int64 // bytes of records that a period has in hand; 0 for 192 MiB
	Parallel int   // how many periods and reports are worked on at once, others wait; 0 for 1
	Step     int   // records that are cleaned at a time, at most; 0 for 100,000
	// Chain is how many files may make up an entity's state before all of it is written anew; 0 for 32.
	Chain int
}

// BatchEngine is a pinflow.BatchEngine. It is safe for concurrent use.
type BatchEngine struct {
	BatchOptions
	engine   *Engine // whose benches do the steps
	places   chan struct{}
	entities map[string][]pinflow.Column // by model with a key: the columns that its metrics read, the key's first
}

// NewBatchEngine returns an engine for a plan. A plan whose SQL it does not take is an error.
func NewBatchEngine(ctx context.Context, o BatchOptions) (*BatchEngine, error) {
	if o.Memory <= 0 {
		o.Memory = 192 << 20
	}
	if o.Reports == nil {
		o.Reports = o.Instance
	}
	if o.Parallel <= 0 {
		o.Parallel = 1
	}
	if o.Step <= 0 {
		o.Step = duck.RowGroup
	}
	if o.Chain <= 0 {
		o.Chain = 32
	}
	engine, err := NewEngine(ctx, Options{Instance: o.Instance, Plan: o.Plan, Batches: o.Parallel * o.steps(), Threads: 1})
	if err != nil {
		return nil, err
	}
	e := &BatchEngine{BatchOptions: o, engine: engine, places: make(chan struct{}, o.Parallel), entities: map[string][]pinflow.Column{}}
	for _, m := range engine.idle[0].models {
		if m.entity != nil {
			e.entities[m.Name] = m.entity.columns
		}
	}
	return e, nil
}

// Close frees what the engine holds.
func (e *BatchEngine) Close() error { return e.engine.Close() }

// Refine implements pinflow.BatchEngine. An object that cannot be read, or does not hold what its seal says, is an Invalid error; a
// full disk or too little memory an Unavailable one. After an error no file is left.
func (e *BatchEngine) Refine(ctx context.Context, in pinflow.Closed) (*pinflow.Refined, error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.leave()
	p, err := e.begin(ctx, in)
	if err != nil {
		return nil, err
	}
	out, err := p.refine(ctx)
	if err != nil {
		p.forget()
		out = nil
		if ctx.Err() != nil { // which made the statements fail
			err = ctx.Err()
		}
	}
	if ended := p.end(); err == nil {
		err = ended
	}
	return out, err
}

func (e *BatchEngine) enter(ctx context.Context) error {
	select {
	case e.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *BatchEngine) leave() { <-e.places }

// period is a period that is being refined.
type period struct {
	*BatchEngine
	*workshop
	in       pinflow.Closed
	counts   *counts
	merged   map[string]*merged // by table
	rejected rejected
	sharing  sync.Mutex   // of the workshop, merged and rejected, while several steps are worked on
	files    atomic.Int64 // how many have a name
	done     func(objects, rows int64)

	mu    sync.Mutex
	parts []pinflow.Part
}

// took adds a part that is written.
func (p *period) took(part pinflow.Part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parts = append(p.parts, part)
}

// number is one that no other file of the period has.
func (p *period) number() int { return int(p.files.Add(1) - 1) }

func (e *BatchEngine) begin(ctx context.Context, in pinflow.Closed) (*period, error) {
	w, err := newWorkshop(ctx, e.Instance)
	if err != nil {
		return nil, err
	}
	p := &period{BatchEngine: e, workshop: w, in: in, counts: newCounts(e.Plan, in.Seals), merged: map[string]*merged{}, done: in.Progress}
	if p.done == nil {
		p.done = func(int64, int64) {}
	}
	for i := range e.Plan.Tables {
		if t := &e.Plan.Tables[i]; t.Kind == pinflow.Partials {
			p.merged[t.Name] = &merged{Table: t, name: w.table("merged " + t.Name)}
		}
	}
	return p, nil
}

// refine does the steps, and then what needs all of them.
func (p *period) refine(ctx context.Context) (*pinflow.Refined, error) {
	if err := p.steps(ctx); err != nil {
		return nil, err
	}
	if err := p.counts.check(); err != nil {
		return nil, err
	}
	if err := p.writeRejects(ctx); err != nil {
		return nil, err
	}
	for i := range p.Plan.Models {
		if m := &p.Plan.Models[i]; len(m.Key) > 0 {
			if err := p.entity(ctx, m); err != nil {
				return nil, err
			}
		}
	}
	for i := range p.Plan.Tables {
		if m := p.merged[p.Plan.Tables[i].Name]; m != nil {
			if err := p.writeMerged(ctx, m); err != nil {
				return nil, err
			}
		}
	}
	return &pinflow.Refined{Parts: p.parts, Counts: p.counts.list()}, nil
}

// of returns the parts written of a kind and name.
func (p *period) of(kind pinflow.PartKind, name string) (parts []pinflow.Part) {
	for _, part := range p.parts {
		if part.Kind == kind && part.Of == name {
			parts = append(parts, part)
		}
	}
	return parts
}

// forget removes the files written.
func (p *period) forget() {
	for _, part := range p.parts {
		_ = os.Remove(part.File) // the folder is thrown away anyway
	}
}
