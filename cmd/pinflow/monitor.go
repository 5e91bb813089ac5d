package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/problem"
)

// monitored is what a process without an HTTP API takes.
type monitored struct {
	Monitor string `help:"Where /healthz, /readyz and /metrics are answered; /metrics takes keys as --http does. By default nowhere." env:"PINFLOW_MONITOR" placeholder:"ADDR" group:"Addresses"`
}

// newMetrics makes the registry of a process.
func newMetrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// monitor answers how a process is that has no page of its own. ready is nil for one that is ready once it runs.
func monitor(mux access.Routes, metrics *prometheus.Registry, ready func(context.Context) error) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }) // the client has gone
	mux.Handle("GET /healthz", access.Open(ok))
	mux.Handle("GET /readyz", access.Open(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ready != nil {
			if err := ready(r.Context()); err != nil {
				if !access.Has(r.Context(), access.Read) { // everybody may ask, but not for what this process is connected to
					err = &pinflow.Error{Op: "be ready", Kind: pinflow.Unavailable}
				}
				problem.Write(w, problem.Of(err))
				return
			}
		}
		ok(w, r)
	})))
	mux.Handle("GET /metrics", access.NeedScope(access.Read, promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})))
}

// watched is where a process without an HTTP API is asked how it is.
type watched struct {
	guard   *guard // nil for nowhere
	metrics *prometheus.Registry
	log     *slog.Logger
}

// open guards the address, or says why it must not be listened on, before the process opens anything else.
func (m monitored) open(s *config.Settings, log *slog.Logger, metrics *prometheus.Registry) (w watched, err error) {
	w = watched{metrics: metrics, log: log}
	if m.Monitor != "" {
		w.guard, err = openGuard(m.Monitor, s, log, metrics)
	}
	return w, err
}

// run works until ctx ends, and answers meanwhile.
func (w watched) run(ctx context.Context, work func(context.Context) error) error {
	if w.guard == nil {
		return work(ctx)
	}
	l, err := w.guard.listen(ctx)
	if err != nil {
		return err
	}
	monitor(w.guard, w.metrics, nil)
	server := w.guard.serve(l, func() {})
	w.log.Info("this process tells how it is", "at", server.url()+"/readyz")
	return errors.Join(work(ctx), server.stop())
}
