package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
	"github.com/pinflow/pinflow/apidocs"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/ingest"
)

// ingestCmd takes posts, and nothing else.
type ingestCmd struct {
	config.Settings
}

// Help is shown by --help.
func (ingestCmd) Help() string {
	return `Takes posts over HTTP and answers each when the journal has it. Any number of these can stand side by side; Ctrl-C ends it when the posts under way are answered.

Example:

  pinflow ingest --journal kafka://127.0.0.1:9092 --http 127.0.0.1:8000`
}

// Run takes posts until ctx ends.
func (c *ingestCmd) Run(ctx context.Context, t terminal) (err error) {
	limitMemory()
	plan, err := mustCompile(ctx, c.Pipeline, t.err)
	if err != nil {
		return err
	}
	var opened closers
	defer func() { err = errors.Join(err, opened.close()) }()
	log, metrics := newLog(c.Logging, t), newMetrics()
	guard, err := openGuard(c.HTTP, &c.Settings, log, metrics)
	if err != nil {
		return err
	}
	j, err := joinJournal(ctx, &c.Settings, log, metrics, &opened)
	if err == nil {
		err = openSources(ctx, j, plan)
	}
	if err != nil {
		return unlessStopped(ctx, err)
	}
	api := apidocs.New(guard, "Pinflow: posts to "+plan.Pipeline, version)
	if err := takePosts(guard, api, &c.Settings, j, plan, log, metrics); err != nil {
		return err
	}
	monitor(guard, metrics, func(ctx context.Context) error { _, err := j.Topic(ctx, plan.Sources[0].Topic); return err })
	l, err := guard.listen(ctx)
	if err != nil {
		return err
	}
	s := guard.serve(l, func() {})
	for _, source := range plan.Sources {
		fmt.Fprintf(t.out, "Posts are taken at %s%s for %s on Kafka at %s.\n", s.url(), source.Route, source.Topic, j.addr)
	}
	fmt.Fprintln(t.out, "Ctrl-C ends it.")
	return errors.Join(s.wait(ctx), s.stop())
}

// takePosts puts the routes of a plan's sources on a mux.
func takePosts(mux access.Routes, api *apidocs.Docs, s *config.Settings, j *journal, p *pinflow.Plan, log *slog.Logger, metrics prometheus.Registerer) error {
	var sources []pinflow.Source
	for _, source := range p.Sources {
		sources = append(sources, source.Source)
	}
	in, err := ingest.New(ingest.Options{Sources: sources, Journal: j, Log: log, Metrics: metrics,
		MaxRecord: int(s.MaxRecord), MaxBulk: int64(s.MaxBulk), Memory: int64(s.IngestMemory)})
	if err != nil {
		return err
	}
	in.Register(mux, api)
	return nil
}
