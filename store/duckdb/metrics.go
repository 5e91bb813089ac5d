package duckdb

import (
	"os"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what Prometheus sees of the store.
type metrics struct {
	commits, queries               *prometheus.CounterVec
	commitSeconds, querySeconds    prometheus.Histogram
	foldSeconds, checkpointSeconds prometheus.Histogram
	fileBytes, logBytes            prometheus.Gauge
	maintenanceFailures            prometheus.Counter
	installs                       *prometheus.CounterVec
	installSeconds, installLock    prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	buckets := prometheus.ExponentialBuckets(0.001, 2, 15)
	histogram := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	m := &metrics{
		commits: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pinflow_store_commits_total", Help: "Commits, by how they ended."}, []string{"result"}),
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pinflow_store_queries_total", Help: "Queries, by how they ended."}, []string{"result"}),

		commitSeconds:     histogram("pinflow_store_commit_seconds", "Time of a commit, waiting for its turn included."),
		querySeconds:      histogram("pinflow_store_query_seconds", "Time of a query, waiting for its turn included."),
		foldSeconds:       histogram("pinflow_store_merge_seconds", "Time to merge a table's recent rows."),
		checkpointSeconds: histogram("pinflow_store_checkpoint_seconds", "Time to fold the write-ahead log into the file."),
		installs:          prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pinflow_store_installs_total", Help: "Installs of periods, by how they ended."}, []string{"result"}),
		installSeconds:    histogram("pinflow_store_install_seconds", "Time of an install, comparison included."),
		installLock:       histogram("pinflow_store_install_lock_seconds", "Time of an install in which commits wait."),

		fileBytes:           prometheus.NewGauge(prometheus.GaugeOpts{Name: "pinflow_store_file_bytes", Help: "Size of the store's file."}),
		logBytes:            prometheus.NewGauge(prometheus.GaugeOpts{Name: "pinflow_store_log_bytes", Help: "Size of the store's write-ahead log."}),
		maintenanceFailures: prometheus.NewCounter(prometheus.CounterOpts{Name: "pinflow_store_maintenance_failures_total", Help: "Merges and checkpoints that failed and will be tried again."}),
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
	return []prometheus.Collector{m.commits, m.queries, m.commitSeconds, m.querySeconds, m.foldSeconds, m.checkpointSeconds, m.fileBytes, m.logBytes, m.maintenanceFailures,
		m.installs, m.installSeconds, m.installLock}
}

func (m *metrics) unregister(r prometheus.Registerer) {
	if r == nil {
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
func (m *metrics) folded(took time.Duration)        { m.foldSeconds.Observe(took.Seconds()) }
func (m *metrics) checkpointed(took time.Duration)  { m.checkpointSeconds.Observe(took.Seconds()) }
func (m *metrics) trouble()                         { m.maintenanceFailures.Inc() }

func (m *metrics) sizes(file string, wal int64) {
	m.logBytes.Set(float64(wal))
	if info, err := os.Stat(file); err == nil {
		m.fileBytes.Set(float64(info.Size()))
	}
}

func resultOf(err error) string {
	if err == nil {
		return "ok"
	}
	return pinflow.KindOf(err).String()
}
