package main

import (
	"context"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
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

// batchEngine makes an engine that computes periods of a plan from a reader's records.
func (c *core) batchEngine(ctx context.Context, p *pinflow.Plan, raw pinflow.RawReader) (*live.BatchEngine, error) {
	return live.NewBatchEngine(ctx, live.BatchOptions{Instance: c.instance, Plan: p, Raw: raw, Memory: int64(c.BatchMemory)})
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
