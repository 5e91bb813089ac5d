package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/internal/datalock"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/lake"
)

// core is what a process works with that owns its places: the data folder, the store, the lake and the journal.
type core struct {
	closers
	duty
	*config.Settings
	log      *slog.Logger
	dir      string // what is this process's own lies there
	metrics  *prometheus.Registry
	parts    *supervisor
	lock     *datalock.Lock
	instance *duck.Instance
	store    store
	objects  pinflow.Objects
	raw      *lake.Raw
	derived  *lake.DerivedArea
	sealer   *lake.Sealer
	journal  *journal
	period   pinflow.PeriodLength
	plans    plans
	bench    *duck.Instance // where the batch computes
}

// duty is what a process does, as far as it decides how places are opened.
type duty struct {
	builds  bool // it is pinflow up, which runs every stage
	workers int  // it is pinflow stream, which has so many; else 0
}

// openCore opens every place, sinks first, and decides which definition is served. What was opened is the caller's to close, also after an error.
// A process that does not build works for the generation that readers see whatever its own definition says: while several are exchanged
// one after the other, some have the old definition and some the new one, and none is to undo what another did.
func openCore(ctx context.Context, s *config.Settings, log *slog.Logger, metrics *prometheus.Registry, t terminal, d duty) (c *core, err error) {
	c = &core{Settings: s, log: log, metrics: metrics, duty: d}
	if c.parts, err = newSupervisor(log, metrics); err != nil {
		return c, err
	}
	given, refused := mustCompile(ctx, s.Pipeline, t.err)
	if refused != nil && !mayServe(s) {
		return c, refused
	}
	if c.dir, c.lock, err = takeFolder(s.Places, &c.closers); err != nil {
		return c, err
	}
	if c.objects, err = openLake(ctx, s, log, metrics, &c.closers); err != nil {
		return c, err
	}
	if c.instance, c.store, err = openStore(ctx, s, c.duckDB(), c.objects, c.stage, log, metrics, &c.closers); err != nil {
		return c, err
	}
	if c.plans, err = choosePlans(ctx, c.store, given, refused, t.err); err != nil {
		return c, err
	}
	if !c.builds && c.plans.next != nil {
		log.Warn("the definition is another than the one that is served", "definition", c.plans.next.Generation, "served", c.plans.current.Generation,
			"hint", "pinflow generation build --switch makes it the one that is served")
		c.plans.next = nil
	}
	if c.isPinned(c.plans) {
		log.Warn("the definition's generation is not built: another was chosen by hand", "current", c.plans.current.Generation, "definition", c.plans.next.Generation)
		c.plans.next = nil
	}
	if c.journal, err = openJournal(ctx, s, c.fetchBytes(), log, metrics, &c.closers); err != nil {
		return c, err
	}
	c.period = pinflow.PeriodLength(s.LogPeriod)
	for _, p := range c.plans.all() {
		if err := c.store.Prepare(ctx, p); err != nil {
			return c, err
		}
		if c.period, err = openTopics(ctx, c.journal, c.objects, p, c.period); err != nil {
			return c, err
		}
		if err := bindTopics(ctx, c.journal, c.store, p); err != nil {
			return c, err
		}
	}
	if err := c.openHistory(); err != nil {
		return c, err
	}
	return c, c.openBench(ctx)
}

// openHistory opens the lake for those who read it.
func (c *core) openHistory() (err error) {
	c.raw = lake.NewRaw(c.objects)
	if c.derived, err = lake.NewDerived(lake.DerivedOptions{Objects: c.objects, PeriodLength: c.period, CacheDir: filepath.Join(c.instance.Dir(), "cache"), CacheBytes: cacheBytes}); err != nil {
		return err
	}
	c.sealer, err = lake.NewSealer(lake.SealerOptions{Objects: c.objects, Journal: c.journal, Topics: topicsOf(c.plans.newest()), Grace: c.SealGrace, Log: c.log, Metrics: c.metrics})
	return err
}

// cacheBytes is how much Parquet of a lake elsewhere is kept on this machine's disk.
const cacheBytes = 1 << 30

// stage finds a part of the lake a file; the store asks once queries come, and then the lake is open.
func (c *core) stage(ctx context.Context, p pinflow.Part) (pinflow.Part, func(), error) {
	return c.derived.Stage(ctx, p)
}

func (c *core) periodText() string { return time.Duration(c.period).String() }
