package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/internal/datalock"
	"github.com/pinflow/pinflow/problem"
	"github.com/pinflow/pinflow/web"
	"github.com/pinflow/pinflow/web/client"
	"github.com/prometheus/client_golang/prometheus"
)

// reader is where a command that reads finds a Pinflow to ask: the one that is named, else the one that
// holds the data, else the data themselves.
type reader struct {
	config.Places
	DuckDBMemory config.Bytes `name:"duckdb-memory" help:"Memory that DuckDB may use before it spills to disk, when the data are at rest." default:"96MiB" env:"PINFLOW_DUCKDB_MEMORY" placeholder:"SIZE" group:"Limits"`
	credentials
	At     string `name:"http" help:"Ask the Pinflow at this address. By default the running one that holds --data, or else the data at rest." placeholder:"URL"`
	Output string `help:"table, json (an array of row objects) or csv." enum:"table,json,csv" default:"table" short:"o" placeholder:"FORMAT"`
}

// reach returns a client for it. What was opened is closed by the closers.
func (r *reader) reach(ctx context.Context, t terminal, c *closers) (client.Client, error) {
	if r.At != "" {
		return r.credentials.client(r.At)
	}
	holder, err := datalock.Holder(r.Data)
	if err != nil {
		return client.Client{}, err
	}
	if holder != nil && holder.HTTP != "" {
		return clientOfHolder(holder)
	}
	return r.atRest(ctx, t, c)
}

// atRest opens the data and answers in process what a running Pinflow would answer over HTTP.
func (r *reader) atRest(ctx context.Context, t terminal, c *closers) (client.Client, error) {
	if err := mustExist(r.Places); err != nil {
		return client.Client{}, err
	}
	dir, _, err := takeFolder(r.Places, c)
	if err != nil {
		return client.Client{}, err
	}
	settings := &config.Settings{Places: r.Places, Limits: config.Limits{DuckDBMemory: r.DuckDBMemory}}
	parts := &readParts{settings: settings, cache: filepath.Join(dir, "scratch", "cache"), closers: c}
	objects, err := parts.folder(ctx)
	if err != nil {
		return client.Client{}, err
	}
	_, store, err := openStore(ctx, settings, duckDBOf(settings, dir), objects, parts.stage, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), c)
	if err != nil {
		return client.Client{}, err
	}
	plan, err := servedPlan(ctx, store, r.Pipeline, t)
	if err != nil {
		return client.Client{}, err
	}
	return inProcessClient(web.Options{Store: store, Plan: plan}, c)
}

// servedPlan is the plan of what the store serves, whatever the definition says by now.
func servedPlan(ctx context.Context, store store, dir string, t terminal) (*pinflow.Plan, error) {
	current, err := store.Current(ctx)
	if err != nil {
		return nil, err
	}
	if current != "" {
		return store.PlanOf(ctx, current)
	}
	plan, err := mustCompile(ctx, dir, t.err) // nothing has been counted yet
	if err != nil {
		return nil, err
	}
	return plan, store.Prepare(ctx, plan)
}

// inProcessClient asks a web of this process.
func inProcessClient(o web.Options, c *closers) (client.Client, error) {
	site, err := web.New(o)
	if err != nil {
		return client.Client{}, err
	}
	c.add(func() error { site.Close(); return nil })
	mux := http.NewServeMux()
	site.Register(mux, nil)
	mux.Handle("/", problem.NotFound(mux))
	return client.Client{Base: "http://data-at-rest", HTTP: &http.Client{Transport: inProcess{mux}}}, nil
}

// ask runs f with a client and closes what was opened for it.
func (r *reader) ask(ctx context.Context, t terminal, f func(client.Client) error) error {
	var c closers
	api, err := r.reach(ctx, t, &c)
	if err == nil {
		err = f(api)
	}
	return errors.Join(err, c.close())
}
