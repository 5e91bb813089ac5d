package main

import (
	"context"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/refine"
	live "github.com/pinflow/pinflow/refine/duckdb"
)

// batchHalf is the batch of one generation.
type batchHalf struct {
	plan    *pinflow.Plan
	engine  *live.BatchEngine
	runner  *refine.Runner
	metrics *registration
}

// openBatch makes the batch of a plan.
func openBatch(ctx context.Context, c *core, p *pinflow.Plan) (*batchHalf, error) {
	if !c.builds {
		roomFor(c.batchMemory())
	}
	engine, err := c.batchEngine(ctx, p, c.raw)
	if err != nil {
		return nil, err
	}
	b := &batchHalf{plan: p, engine: engine, metrics: &registration{Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"generation": p.Generation}, c.metrics)}}
	b.runner, err = refine.NewRunner(refine.RunnerOptions{
		Plan: p, PeriodLength: c.period, Seal: c.seal, Raw: c.raw, Derived: c.derived, Engine: engine, Store: c.store, Parts: c.partFiles(),
		Scratch: filepath.Join(c.instance.Dir(), "batch"), Patience: max(c.Patience, 1), Log: c.log, Metrics: b.metrics,
	})
	if err != nil {
		_ = engine.Close() // of what has not been used: the error is err
		return nil, err
	}
	return b, nil
}

// openBench opens the DuckDB in which the batch computes: that of the store beside a live half, so that all of the process keeps to one limit; else one
// of its own, whose statements each run on the thread that asks. It has many of them to run at once, and DuckDB's own threads would only wait for work.
func (c *core) openBench(ctx context.Context) (err error) {
	if c.builds {
		c.bench = c.instance
		return nil
	}
	o := duck.Options{Dir: filepath.Join(c.dir, "scratch", "bench"), Memory: 2 * c.batchMemory(), Threads: 1, Readable: []string{c.instance.Dir()}}
	if local, ok := c.objects.(pinflow.LocalObjects); ok {
		o.Readable = append(o.Readable, local.Path(""))
	}
	if c.bench, err = duck.Open(ctx, o); err == nil {
		c.add(c.bench.Close)
	}
	return err
}

// batchEngine makes an engine that computes periods of a plan from a reader's records.
func (c *core) batchEngine(ctx context.Context, p *pinflow.Plan, raw pinflow.RawReader) (*live.BatchEngine, error) {
	return live.NewBatchEngine(ctx, live.BatchOptions{Instance: c.bench, Reports: c.instance, Plan: p, Raw: raw, Memory: c.batchMemory()})
}

// partFiles reads Parquet files that are on this machine.
func (c *core) partFiles() live.Parts { return live.Parts{Instance: c.instance} }

// close frees what the batch holds.
func (b *batchHalf) close() error {
	b.metrics.drop()
	return b.engine.Close()
}

// seal seals what can be sealed, and tells what the next period that has ended waits for.
func (c *core) seal(ctx context.Context) (waiting string, err error) {
	s, err := c.sealer.Seal(ctx)
	if err != nil || s.Next == pinflow.NoPeriod || s.Partition == nil {
		return "", err // the end of a period that runs, or its grace, is waited for by the schedule
	}
	return c.period.Name(s.Next) + ": " + s.Waiting, nil
}
