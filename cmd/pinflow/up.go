package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/apidocs"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/internal/datalock"
	"github.com/pinflow/pinflow/lake"
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
	if err := checkWorkers(c.StreamWorkers); err != nil {
		return err
	}
	limitMemory()
	log, metrics := newLog(c.Logging, t), newMetrics()
	guard, err := openGuard(c.HTTP, &c.Settings, log, metrics)
	if err != nil {
		return err
	}
	core, err := openCore(ctx, &c.Settings, log, metrics, t, duty{builds: true})
	u := &up{core: core, cmd: c, term: t, guard: guard}
	defer func() { err = errors.Join(err, core.closers.close()) }()
	if err != nil {
		return unlessStopped(ctx, err)
	}
	if u.operator, err = newOperator(ctx, core, c.StreamWorkers); err != nil {
		return unlessStopped(ctx, err)
	}
	core.add(u.operator.close)
	return u.run(ctx)
}

// up is a process that runs every stage.
type up struct {
	*core
	cmd      *upCmd
	term     terminal
	guard    *guard
	operator *operator
	writer   atomic.Pointer[lake.Writer] // the one that runs
}

// run starts the stages, sinks first, and stops them, sources first.
func (u *up) run(ctx context.Context) error {
	l, err := u.guard.listen(ctx)
	if err != nil {
		return err
	}
	site, err := u.routes()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	// What follows the sources is stopped by us, after them, not by the signal.
	followers, stopFollowers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFollowers()
	if err := u.follow(followers, ctx, site); err != nil {
		stopFollowers()
		u.parts.join()
		return errors.Join(err, l.Close())
	}
	server := u.guard.serve(l, site.Close)
	err = u.guard.tell(u.lock, datalock.Info{HTTP: server.url(), Kafka: u.journal.local})
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

// follow starts what follows the journal: live half and lake until followers ends; schedule and the building of a changed definition's generation until the signal, as
// what they have begun can be begun again.
func (u *up) follow(followers, signal context.Context, site *web.Web) error {
	o := u.operator
	o.life, o.shown = followers, site.SetPlan
	live, err := startLive(followers, u.core, u.plans.current, u.cmd.StreamWorkers)
	if err != nil {
		return err
	}
	o.live = live
	u.parts.start(followers, "lake", u.lake)
	if u.journal.broker != nil {
		u.parts.start(followers, "retention", retention{u.journal.broker.Trim, u.lakeEnds, u.store.Positions, u.log}.run)
	}
	if next := u.plans.next; next != nil {
		u.parts.start(signal, "generation", u.once(func(ctx context.Context) error { return o.change(ctx, next) }))
	}
	u.parts.start(signal, "schedule", o.schedule)
	u.parts.start(signal, "current", o.followCurrent)
	return nil
}

// once is a part that ends when it has done its work.
func (u *up) once(run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := run(ctx); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
}

// wait runs the emulator, if asked to, and returns when the process is to end.
func (u *up) wait(ctx context.Context, s *server) error {
	if u.cmd.Emulate {
		u.parts.start(ctx, "emulate", func(ctx context.Context) error { return u.emulate(ctx, s.url()) })
	}
	return s.wait(ctx)
}

// stopped tells why partitions are not counted any further.
func (u *up) stopped() map[pinflow.TopicPartition]error {
	if live := u.operator.currentLive(); live != nil {
		return live.stopped()
	}
	return nil
}

// lake is the writer of the lake.
func (u *up) lake(ctx context.Context) error {
	metrics := &registration{Registerer: u.metrics}
	defer metrics.drop()
	w, err := newWriter(u.Settings, u.journal, u.objects, u.plans.newest(), u.period, u.log, metrics)
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

// routes puts every route of the process behind its guard.
func (u *up) routes() (*web.Web, error) {
	api := apidocs.New(u.guard, "Pinflow: "+u.plans.current.Pipeline, version)
	if err := takePosts(u.guard, api, u.Settings, u.journal, u.plans.newest(), u.log, u.metrics); err != nil {
		return nil, err
	}
	site, err := newSite(u.core, u.operator, u.stopped, u.lakeStatus)
	if err != nil {
		return nil, err
	}
	site.Register(u.guard, api)
	return site, nil
}

// announce says where everything is.
func (u *up) announce(url string) {
	fmt.Fprintf(u.term.out, `Pinflow is up: the %s pipeline.
  page    %s/
  API     %s/docs
`, u.plans.current.Pipeline, url, url)
	for _, s := range u.plans.newest().Sources {
		fmt.Fprintf(u.term.out, "  post    %s%s  to %s\n", url, s.Route, s.Topic)
	}
	fmt.Fprintf(u.term.out, `  Kafka   %s
  lake    %s
  store   %s
Ctrl-C ends it and loses nothing.
`, u.journal.addr, u.LakeURL(), u.StoreURL())
}
