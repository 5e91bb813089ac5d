package postgres

import (
	"time"

	"github.com/pinflow/pinflow"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what Prometheus sees of the store.
type metrics struct {
	commits, queries, installs  *prometheus.CounterVec
	commitSeconds, querySeconds prometheus.Histogram
	mergeSeconds                prometheus.Histogram
	installSeconds, installLock prometheus.Histogram
	retries, failures           prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	buckets := prometheus.ExponentialBuckets(0.001, 2, 15)
	histogram := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	counters := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"result"})
	}
	m := &metrics{
		commits:        counters("pinflow_store_commits_total", "Commits, by how they ended."),
		queries:        counters("pinflow_store_queries_total", "Queries, by how they ended."),
		installs:       counters("pinflow_store_installs_total", "Installs of periods, by how they ended."),
		commitSeconds:  histogram("pinflow_store_commit_seconds", "Time of a commit, waiting for its turn included."),
		querySeconds:   histogram("pinflow_store_query_seconds", "Time of a query, waiting for its turn included."),
		mergeSeconds:   histogram("pinflow_store_merge_seconds", "Time to merge a table's recent rows."),
		installSeconds: histogram("pinflow_store_install_seconds", "Time of an install, comparison included."),
		installLock:    histogram("pinflow_store_install_lock_seconds", "Time of an install in which commits wait."),
		retries:        prometheus.NewCounter(prometheus.CounterOpts{Name: "pinflow_store_retries_total", Help: "Transactions that were tried again, after a deadlock or a connection lost."}),
		failures:       prometheus.NewCounter(prometheus.CounterOpts{Name: "pinflow_store_maintenance_failures_total", Help: "Merges that failed and will be tried again."}),
	}
	if r == nil {
		return m, nil
	}
	for i, c := range m.all() {
		if err := r.Register(c); err != nil {
			for _, done := range m.all()[:i] {
				r.Unregister(done)
			}
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.commits, m.queries, m.installs, m.commitSeconds, m.querySeconds, m.mergeSeconds, m.installSeconds, m.installLock, m.retries, m.failures}
}

func (m *metrics) unregister(r prometheus.Registerer) {
	if m == nil || r == nil {
		return
	}
	for _, c := range m.all() {
		r.Unregister(c)
	}
}

func (m *metrics) committed(err error, took time.Duration) {
	m.commits.WithLabelValues(resultOf(err)).Inc()
	m.commitSeconds.Observe(took.Seconds())
}

func (m *metrics) queried(err error, took time.Duration) {
	m.queries.WithLabelValues(resultOf(err)).Inc()
	m.querySeconds.Observe(took.Seconds())
}

func (m *metrics) installed(err error, took time.Duration) {
	m.installs.WithLabelValues(resultOf(err)).Inc()
	m.installSeconds.Observe(took.Seconds())
}

func (m *metrics) installLocked(took time.Duration) { m.installLock.Observe(took.Seconds()) }
func (m *metrics) merged(took time.Duration)        { m.mergeSeconds.Observe(took.Seconds()) }
func (m *metrics) retried()                         { m.retries.Inc() }
func (m *metrics) trouble()                         { m.failures.Inc() }

func resultOf(err error) string {
	if err == nil {
		return "ok"
	}
	return pinflow.KindOf(err).String()
}
