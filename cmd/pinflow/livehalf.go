package main

import (
	"context"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine"
	live "github.com/pinflow/pinflow/refine/duckdb"
)

// liveHalf is the live workers of one generation.
type liveHalf struct {
	*core
	plan    *pinflow.Plan
	engine  *live.Engine
	workers []atomic.Pointer[refine.Stream] // those that run
	ended   []<-chan struct{}
	cancel  context.CancelFunc
}

// startLive starts the workers of a generation.
func startLive(ctx context.Context, c *core, p *pinflow.Plan, workers int) (*liveHalf, error) {
	engine, err := live.NewEngine(ctx, live.Options{Instance: c.instance, Plan: p, Batches: 2 * workers})
	if err != nil {
		return nil, err
	}
	h := &liveHalf{core: c, plan: p, engine: engine, workers: make([]atomic.Pointer[refine.Stream], workers)}
	ctx, h.cancel = context.WithCancel(ctx)
	for n := range h.workers {
		name := "stream-" + strconv.Itoa(n+1) + " of " + p.Generation
		h.ended = append(h.ended, c.parts.start(ctx, name, func(ctx context.Context) error { return h.stream(ctx, n) }))
	}
	return h, nil
}

// stream is the n-th worker.
func (h *liveHalf) stream(ctx context.Context, n int) error {
	labels := prometheus.Labels{"generation": h.plan.Generation, "worker": strconv.Itoa(n + 1)}
	metrics := &registration{Registerer: prometheus.WrapRegistererWith(labels, h.metrics)}
	defer metrics.drop()
	s, err := refine.NewStream(refine.Options{
		Journal: h.journal, History: h.raw, Engine: h.engine, Store: h.store, Plan: h.plan, Period: h.period,
		Group: groupOf("stream", h.plan.Generation+" "+h.StoreURL()), Memory: h.workerMemory(len(h.workers)), Log: h.log, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	h.workers[n].Store(s)
	return s.Run(ctx)
}

// stop ends the workers: what is being committed is, what is not is read again by who comes next.
func (h *liveHalf) stop() error {
	h.cancel()
	for _, ended := range h.ended {
		<-ended
	}
	return h.engine.Close()
}

// stopped tells why partitions are not counted any further.
func (h *liveHalf) stopped() map[pinflow.TopicPartition]error {
	stopped := map[pinflow.TopicPartition]error{}
	for n := range h.workers {
		if s := h.workers[n].Load(); s != nil {
			for _, p := range s.Partitions() {
				if p.Err != nil {
					stopped[p.TopicPartition] = p.Err
				}
			}
		}
	}
	return stopped
}
