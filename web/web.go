package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
	"github.com/prometheus/client_golang/prometheus"
)

// Options is what web shows and how much of it at once.
type Options struct {
	Store   pinflow.StoreReader
	Plan    *pinflow.Plan                           // at the start; SetPlan changes it
	Journal TopicReader                             // tells how far the store lags; nil: not shown
	Ready   func() error                            // nil when posts are taken and reads answered; nil: always ready
	Stopped func() map[pinflow.TopicPartition]error // why partitions are not counted any further; nil: not known
	Lake    func(ctx context.Context) (any, error)  // what GET /api/lake shows as JSON; nil: no such route
	Operate Operator                                // audits, batches and generations; nil: no such routes
	Metrics *prometheus.Registry                    // shown at /metrics, and web's own are added to it; nil: a new one
	Log     *slog.Logger                            // nil: nothing is logged
	Limits  Limits
}

// TopicReader is what web needs of a pinflow.JournalReader.
type TopicReader interface {
	Topic(ctx context.Context, topic string) (pinflow.Topic, error)
}

// Limits bound what clients can ask for. A zero field has its default.
type Limits struct {
	MetricRows int           // rows of one metric's answer; more are a TooLarge error (1,000,000)
	ModelRows  int           // the largest limit of models and rejects (10,000)
	SQLRows    int           // rows of an answer to POST /api/sql (10,000)
	SQLTime    time.Duration // time of a query by POST /api/sql (30 s)
	EventRows  int           // rows of a metric that is watched (1,000)
	Clients    int           // event streams at once (256)
	Queries    int           // queries in the store at once; others wait their turn, and half as many of POST /api/sql (4)
	Wait       time.Duration // the longest wait for ?after= (60 s)
}

func (l Limits) orDefaults() Limits {
	orInt := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	orTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	orInt(&l.MetricRows, 1_000_000)
	orInt(&l.ModelRows, 10_000)
	orInt(&l.SQLRows, 10_000)
	orTime(&l.SQLTime, 30*time.Second)
	orInt(&l.EventRows, 1_000)
	orInt(&l.Clients, 256)
	orInt(&l.Queries, 4)
	orTime(&l.Wait, time.Minute)
	return l
}

// Web answers reads. Make it with New.
type Web struct {
	Options
	hub      *hub
	turns    chan struct{} // one per query that may be in the store
	sqlTurns chan struct{} // and one per query of POST /api/sql, which may be slow: half as many
	served   atomic.Pointer[pinflow.Plan]
	progress *progress
	meter    meter
	rejected rejected
	origin   *http.CrossOriginProtection
	queries  *prometheus.HistogramVec

	api       huma.API // that describes the routes; nil: none
	described bool
}

// New checks the options, adds web's own metrics to the registry and begins to measure speed; Close ends
// that. The error is Invalid if Store or Plan is missing, Exists if the registry has a web already.
func New(o Options) (*Web, error) {
	if o.Store == nil || o.Plan == nil {
		return nil, &pinflow.Error{Op: "web: start", Kind: pinflow.Invalid, Err: fmt.Errorf("it needs a store and a plan")}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	o.Limits = o.Limits.orDefaults()
	s := &Web{Options: o, progress: newProgress(), origin: http.NewCrossOriginProtection(), hub: newHub(o.Limits.Clients)}
	s.served.Store(o.Plan)
	s.turns = make(chan struct{}, o.Limits.Queries)
	s.sqlTurns = make(chan struct{}, max(1, o.Limits.Queries/2))
	if err := s.measure(); err != nil {
		return nil, err
	}
	status := s.statusWatch()
	s.hub.join(status.key, status.question, make(chan struct{}, 1)) // nobody parts with it: it ends with the hub
	return s, nil
}

// measure registers web's own metrics.
func (s *Web) measure() error {
	s.queries = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pinflow_web_query_seconds",
		Help: "Time of a query in the store, by what asked.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}, []string{"by"})
	clients := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pinflow_web_event_clients",
		Help: "Event streams that are open."}, func() float64 { c, _ := s.hub.size(); return float64(c) })
	feeds := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pinflow_web_event_feeds",
		Help: "Different queries that event streams watch."}, func() float64 { _, f := s.hub.size(); return float64(f) })
	all := []prometheus.Collector{s.queries, clients, feeds}
	if s.Operate != nil {
		all = append(all, newDifferences(s.Operate))
	}
	for _, c := range all {
		if err := s.Metrics.Register(c); err != nil {
			return &pinflow.Error{Op: "web: register metrics", Kind: pinflow.Exists, Err: err, Hint: "Give every web a registry of its own."}
		}
	}
	return nil
}

// Register adds web's routes to mux, and describes them in api's OpenAPI document unless api is nil.
func (s *Web) Register(mux access.Routes, api huma.API) {
	for _, op := range s.operations() {
		mux.Handle(op.method+" "+op.path, op.takes(s.serve(op.handle)))
	}
	s.api = api
	s.describe()
	s.registerPage(mux)
}

// Close ends all event streams and what feeds them, and refuses new ones; who waits for a record to be
// counted is told so at once. Tell the HTTP server (RegisterOnShutdown), which otherwise waits for them.
func (s *Web) Close() { s.hub.close() }
