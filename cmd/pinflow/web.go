package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/apidocs"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/web"
)

// webCmd serves what the store holds, and nothing else.
type webCmd struct {
	config.Settings
}

// Help is shown by --help.
func (webCmd) Help() string {
	return `Serves metrics, SQL, reports, audits and the page from the store and the lake, to which other processes write. Any number of these can stand side by side.

Example:

  pinflow web --http 127.0.0.1:8080 --journal kafka://127.0.0.1:9092 --lake 's3://bucket/lake?region=eu-west-1' --store postgres://pinflow@127.0.0.1/pinflow`
}

// Run serves until ctx ends.
func (c *webCmd) Run(ctx context.Context, t terminal) (err error) {
	log, metrics := newLog(c.Logging, t), newMetrics()
	guard, err := openGuard(c.HTTP, &c.Settings, log, metrics)
	if err != nil {
		return err
	}
	limitMemory()
	core, err := openCore(ctx, &c.Settings, log, metrics, t, duty{})
	defer func() { err = errors.Join(err, core.closers.close()) }()
	if err != nil {
		return unlessStopped(ctx, err)
	}
	o, err := newOperator(ctx, core, 1)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	core.add(o.close)
	api := apidocs.New(guard, "Pinflow: "+core.plans.current.Pipeline, version)
	site, err := newSite(core, o, nil, core.lakeAtRest)
	if err != nil {
		return err
	}
	o.shown = site.SetPlan
	site.Register(guard, api)
	l, err := guard.listen(ctx)
	if err != nil {
		site.Close()
		return err
	}
	s := guard.serve(l, site.Close)
	core.parts.start(ctx, "current", o.followCurrent)
	fmt.Fprintf(t.out, "The %s pipeline's page is at %s/, its API at %s/docs. Ctrl-C ends it.\n", core.plans.current.Pipeline, s.url(), s.url())
	err = errors.Join(s.wait(ctx), s.stop())
	core.parts.join()
	return err
}

// newSite makes what serves reads and operations.
func newSite(c *core, o *operator, stopped func() map[pinflow.TopicPartition]error, status func(context.Context) (any, error)) (*web.Web, error) {
	return web.New(web.Options{Store: c.store, Plan: c.plans.current, Operate: o, Journal: c.journal, Lake: status, Stopped: stopped, Metrics: c.metrics, Log: c.log,
		Limits: web.Limits{SQLRows: c.SQLRows, SQLTime: c.SQLTime}})
}

// lakeAtRest tells where the lake ends, whoever writes it.
func (c *core) lakeAtRest(ctx context.Context) (any, error) {
	status := c.emptyLakeStatus()
	for _, topic := range topicsOf(c.plans.newest()) {
		kept, err := lake.OpenTopic(ctx, c.objects, topic)
		if err != nil {
			return nil, err
		}
		ends, err := kept.Ends(ctx)
		if err != nil {
			return nil, err
		}
		status.add(topic, ends)
	}
	return status, nil
}
