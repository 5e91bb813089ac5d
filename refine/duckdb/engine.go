package duckdb

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/value"
)

// Options are what an engine works with.
type Options struct {
	Instance *duck.Instance // the DuckDB to run on; a store on the same one takes the deltas by name. Not closed by the engine
	Plan     *pinflow.Plan
	// Batches is how many deltas may be in hand at once, being computed or not yet closed; Refine waits while
	// there are as many. 0 for 4: two workers with two each.
	Batches int
	// Threads is how many threads read a batch, at most; 0 for as many as DuckDB has.
	Threads int
}

// Engine is a pinflow.LiveEngine. It is safe for concurrent use.
type Engine struct {
	instance *duck.Instance
	plan     *pinflow.Plan
	schemas  []*value.Schema // by source
	places   chan struct{}   // one token per bench in use
	threads  int
	texts    sync.Pool // blocks of text heaps

	mu     sync.Mutex
	idle   []*bench
	closed bool
}

// NewEngine returns an engine for a plan. It makes one bench at once, so that a plan whose SQL the engine does
// not take is an error here and not with the first record.
func NewEngine(ctx context.Context, o Options) (*Engine, error) {
	if o.Batches <= 0 {
		o.Batches = 4
	}
	if o.Threads <= 0 {
		o.Threads = math.MaxInt
	}
	e := &Engine{instance: o.Instance, plan: o.Plan, places: make(chan struct{}, o.Batches), threads: o.Threads}
	for i := range o.Plan.Sources {
		s := &o.Plan.Sources[i]
		schema, faults := value.CompileSchema(s.SchemaFile, s.Schema)
		if len(faults) > 0 {
			return nil, &pinflow.Error{Op: "start live engine", On: s.Name, Kind: pinflow.Invalid, Err: fmt.Errorf("%s", faults[0])}
		}
		e.schemas = append(e.schemas, schema)
	}
	b, err := e.newBench(ctx)
	if err != nil {
		return nil, err
	}
	e.idle = append(e.idle, b)
	return e, nil
}

// Refine implements pinflow.LiveEngine.
func (e *Engine) Refine(ctx context.Context, in pinflow.Batch) (pinflow.Delta, error) {
	b, err := e.take(ctx)
	if err != nil {
		return pinflow.Delta{}, err
	}
	delta, err := b.refine(ctx, in)
	if err != nil {
		b.finish()
		return pinflow.Delta{}, err
	}
	delta.Close = sync.OnceFunc(b.finish)
	return delta, nil
}

// Close frees what the engine holds. Deltas still open are freed when they are closed.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	var first error
	for _, b := range e.idle {
		if err := b.close(); err != nil && first == nil {
			first = err
		}
	}
	e.idle = nil
	return first
}

// take returns a bench that nobody uses, waiting for one if all are in use.
func (e *Engine) take(ctx context.Context) (*bench, error) {
	select {
	case e.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e.mu.Lock()
	closed, n := e.closed, len(e.idle)
	var b *bench
	if n > 0 {
		b, e.idle = e.idle[n-1], e.idle[:n-1]
	}
	e.mu.Unlock()
	var err error
	switch {
	case closed:
		err = &pinflow.Error{Op: "refine", Kind: pinflow.Unavailable, Err: fmt.Errorf("the live engine is closed")}
	case b == nil:
		b, err = e.newBench(ctx)
	}
	if err != nil {
		<-e.places
		return nil, err
	}
	return b, nil
}

// give takes a bench back, nil if it has gone.
func (e *Engine) give(b *bench) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case b == nil:
	case e.closed:
		_ = b.close() // in memory, and the last use of it
	default:
		e.idle = append(e.idle, b)
	}
	<-e.places
}
