package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/apidocs"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/ingest"
	"github.com/pinflow/pinflow/internal/datalock"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/problem"
	"github.com/pinflow/pinflow/refine"
	live "github.com/pinflow/pinflow/refine/duckdb"
	"github.com/pinflow/pinflow/store/duckdb"
	"github.com/pinflow/pinflow/web"
)

// upCmd runs every stage in one process.
type upCmd struct {
	config.Settings
	StreamWorkers int     `help:"How many workers share the partitions in the live half." default:"1" env:"PINFLOW_STREAM_WORKERS" placeholder:"N" group:"Limits"`
	Emulate       bool    `help:"Let made-up posts arrive, as pinflow emulate posts them."`
	Rate          float64 `help:"With --emulate: posts per second; 0 is the original's pace." default:"20" placeholder:"N"`
	Seed          uint64  `help:"With --emulate: the seed of the posts." default:"1" placeholder:"N"`
}

// Help is shown by --help.
func (upCmd) Help() string {
	return `Runs HTTP API, journal, lake, live metrics, store and page in one process. Ctrl-C ends it: first nothing is taken any more, then everything that was taken is written.

Examples:

  pinflow up --emulate
  pinflow up --pipeline mine --data /var/lib/pinflow --http 127.0.0.1:8080`
}

// Run runs everything until ctx ends.
func (c *upCmd) Run(ctx context.Context, t terminal) (err error) {
	if c.StreamWorkers < 1 || c.StreamWorkers > 64 {
		return usageError{errors.New("--stream-workers is a number from 1 to 64")}
	}
	plan, err := mustCompile(ctx, c.Pipeline, t.err)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	limitMemory()
	u := &up{upCmd: c, term: t, plan: plan, log: newLog(c.Logging, t), metrics: prometheus.NewRegistry()}
	defer func() { err = errors.Join(err, u.closers.close()) }()
	if err := u.open(ctx); err != nil {
		return unlessStopped(ctx, err)
	}
	return u.run(ctx)
}

// up is a process that runs every stage.
type up struct {
	*upCmd
	closers
	term    terminal
	log     *slog.Logger
	metrics *prometheus.Registry
	plan    *pinflow.Plan
	lock    *datalock.Lock
	journal *journal
	objects pinflow.Objects
	period  pinflow.PeriodLength
	store   *duckdb.Store
	engine  *live.Engine
	writer  atomic.Pointer[lake.Writer]     // the one that runs
	workers []atomic.Pointer[refine.Stream] // those that run
	parts   *supervisor
}

// open opens every place, sinks first.
func (u *up) open(ctx context.Context) (err error) {
	u.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if u.parts, err = newSupervisor(u.log, u.metrics); err != nil {
		return err
	}
	if u.lock, err = datalock.Acquire(u.Data, datalock.Info{}); err != nil {
		return err
	}
	u.add(u.lock.Release)
	instance, store, err := openStore(ctx, &u.Settings, u.log, u.metrics, &u.closers)
	if err != nil {
		return err
	}
	u.store = store
	if err := store.CheckCurrent(ctx, u.plan.Generation); err != nil {
		return err
	}
	if err := store.Prepare(ctx, u.plan); err != nil {
		return err
	}
	if u.engine, err = live.NewEngine(ctx, live.Options{Instance: instance, Plan: u.plan}); err != nil {
		return err
	}
	u.add(u.engine.Close)
	if u.objects, err = openLake(&u.Settings, &u.closers); err != nil {
		return err
	}
	if u.journal, err = openJournal(ctx, &u.Settings, u.log, u.metrics, &u.closers); err != nil {
		return err
	}
	if u.period, err = openTopics(ctx, u.journal, u.objects, u.plan, pinflow.PeriodLength(u.LogPeriod)); err != nil {
		return err
	}
	return bindTopics(ctx, u.journal, u.store, u.plan)
}

// run starts the stages, sinks first, and stops them, sources first.
func (u *up) run(ctx context.Context) error {
	l, err := listen(ctx, u.HTTP)
	if err != nil {
		return err
	}
	u.workers = make([]atomic.Pointer[refine.Stream], u.StreamWorkers)
	handler, site, err := u.handler()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	// What follows the sources is stopped by us, after them, not by the signal.
	followers, stopFollowers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFollowers()
	for n := range u.workers {
		u.parts.start(followers, "stream-"+strconv.Itoa(n+1), func(ctx context.Context) error { return u.stream(ctx, n) })
	}
	u.parts.start(followers, "lake", u.lake)
	if u.journal.broker != nil {
		u.parts.start(followers, "retention", retention{u.journal.broker.Trim, u.lakeEnds, u.store.Positions, u.log}.run)
	}
	server := serve(l, handler, u.log, site.Close)
	err = u.lock.Update(datalock.Info{HTTP: server.url(), Kafka: u.journal.addr})
	if err == nil {
		u.announce(server.url())
		err = u.wait(ctx, server)
	}
	fmt.Fprintln(u.term.err, "Stopping: no more posts are taken; what was taken is being written.")
	err = errors.Join(err, server.stop())
	stopFollowers()
	for part, failed := range u.parts.join() {
		err = errors.Join(err, &pinflow.Error{Op: "stop", On: part, Kind: pinflow.KindOf(failed), Err: failed})
	}
	return err
}

// wait runs the emulator, if asked to, and returns when the process is to end.
func (u *up) wait(ctx context.Context, s *server) error {
	if u.Emulate {
		u.parts.start(ctx, "emulate", func(ctx context.Context) error { return u.emulate(ctx, s.url()) })
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.done:
		s.done <- err
		return err
	}
}

// stream is the n-th worker of the live half.
func (u *up) stream(ctx context.Context, n int) error {
	metrics := &registration{Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"worker": strconv.Itoa(n + 1)}, u.metrics)}
	defer metrics.drop()
	s, err := refine.NewStream(refine.Options{
		Journal: u.journal, Engine: u.engine, Store: u.store, Plan: u.plan, Period: u.period,
		Group: groupOf("stream", u.plan.Generation+" "+u.StoreURL()), Log: u.log, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	u.workers[n].Store(s)
	return s.Run(ctx)
}

// stopped tells why partitions are not counted any further.
func (u *up) stopped() map[pinflow.TopicPartition]error {
	stopped := map[pinflow.TopicPartition]error{}
	for n := range u.workers {
		if s := u.workers[n].Load(); s != nil {
			for _, p := range s.Partitions() {
				if p.Err != nil {
					stopped[p.TopicPartition] = p.Err
				}
			}
		}
	}
	return stopped
}

// lake is the writer of the lake.
func (u *up) lake(ctx context.Context) error {
	metrics := &registration{Registerer: u.metrics}
	defer metrics.drop()
	w, err := newWriter(&u.Settings, u.journal, u.objects, u.plan, u.period, u.log, metrics)
	if err != nil {
		return err
	}
	u.writer.Store(w)
	return w.Run(ctx)
}

func (u *up) lakeEnds() map[pinflow.TopicPartition]int64 {
	if w := u.writer.Load(); w != nil {
		return w.Ends()
	}
	return nil
}

// handler puts every route of the process on one mux.
func (u *up) handler() (http.Handler, *web.Web, error) {
	mux := http.NewServeMux()
	api := apidocs.New(mux, "Pinflow: "+u.plan.Pipeline, version)
	var sources []pinflow.Source
	for _, s := range u.plan.Sources {
		sources = append(sources, s.Source)
	}
	in, err := ingest.New(ingest.Options{Sources: sources, Journal: u.journal, Log: u.log, Metrics: u.metrics,
		MaxRecord: int(u.MaxRecord), MaxBulk: int64(u.MaxBulk), Memory: int64(u.IngestMemory)})
	if err != nil {
		return nil, nil, err
	}
	in.Register(mux, api)
	site, err := web.New(web.Options{Store: u.store, Plan: u.plan, Journal: u.journal, Lake: u.lakeStatus, Stopped: u.stopped, Metrics: u.metrics, Log: u.log,
		Limits: web.Limits{SQLRows: u.SQLRows, SQLTime: u.SQLTime}})
	if err != nil {
		return nil, nil, err
	}
	site.Register(mux, api)
	mux.Handle("/", problem.NotFound(mux))
	return guard(mux), site, nil
}

// announce says where everything is.
func (u *up) announce(url string) {
	fmt.Fprintf(u.term.out, `Pinflow is up: the %s pipeline.
  page    %s/
  API     %s/docs
`, u.plan.Pipeline, url, url)
	for _, s := range u.plan.Sources {
		fmt.Fprintf(u.term.out, "  post    %s%s  to %s\n", url, s.Route, s.Topic)
	}
	fmt.Fprintf(u.term.out, `  Kafka   %s
  lake    %s
  store   %s
Ctrl-C ends it and loses nothing.
`, u.journal.addr, u.LakeURL(), u.StoreURL())
}
