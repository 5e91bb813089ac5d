package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pinflow/pinflow/problem"
)

// monitored is what a process without an HTTP API takes.
type monitored struct {
	Monitor string `help:"Where /healthz, /readyz and /metrics are answered: a loopback address. By default nowhere." env:"PINFLOW_MONITOR" placeholder:"ADDR" group:"Addresses"`
}

// newMetrics makes the registry of a process.
func newMetrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// monitor answers how a process is that has no page of its own. ready is nil for one that is ready once it runs.
func monitor(mux *http.ServeMux, metrics *prometheus.Registry, ready func(context.Context) error) {
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) } // the client has gone
	mux.HandleFunc("GET /healthz", ok)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if ready != nil {
			if err := ready(r.Context()); err != nil {
				problem.Write(w, problem.Of(err))
				return
			}
		}
		ok(w, r)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
}

// run runs a process without an HTTP API until ctx ends, and is asked how it is meanwhile.
func (m monitored) run(ctx context.Context, log *slog.Logger, metrics *prometheus.Registry, work func(context.Context) error) error {
	if m.Monitor == "" {
		return work(ctx)
	}
	l, err := listen(ctx, m.Monitor)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	monitor(mux, metrics, nil)
	mux.Handle("/", problem.NotFound(mux))
	s := serve(l, guard(mux), log, func() {})
	return errors.Join(work(ctx), s.stop())
}
