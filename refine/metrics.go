package refine

import (
	"context"
	"strconv"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what a Stream tells Prometheus. What can be looked up is looked up when asked for.
type metrics struct {
	s         *Stream
	records   *prometheus.CounterVec
	rejects   *prometheus.CounterVec
	batches   prometheus.Histogram
	steps     *prometheus.HistogramVec
	freshness prometheus.Histogram
	fences    prometheus.Counter
	past      prometheus.Counter
	errors    *prometheus.CounterVec
	lastFail  prometheus.Gauge

	lag      *prometheus.Desc
	position *prometheus.Desc
	stopped  *prometheus.Desc
}

func newMetrics(s *Stream, r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pinflow_live_" + name, Help: help}, []string{label})
	}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("pinflow_live_"+name, help, []string{"topic", "partition"}, nil)
	}
	seconds := prometheus.ExponentialBuckets(0.001, 2, 15) // 1 ms to 16 s
	m := &metrics{
		s:       s,
		records: counter("records_total", "Records counted, accepted or rejected.", "topic"),
		rejects: counter("rejects_total", "Records rejected.", "model"),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "pinflow_live_batch_records",
			Help: "Records of a committed batch.", Buckets: prometheus.ExponentialBuckets(1, 4, 9)}),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pinflow_live_step_seconds",
			Help: "How long a step took for a batch: gather, refine, commit.", Buckets: seconds}, []string{"step"}),
		freshness: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "pinflow_live_freshness_seconds",
			Help: "From the append of a batch's oldest record to its commit.", Buckets: seconds}),
		fences: prometheus.NewCounter(prometheus.CounterOpts{Name: "pinflow_live_fenced_total",
			Help: "Batches dropped because another worker had moved on."}),
		past: prometheus.NewCounter(prometheus.CounterOpts{Name: "pinflow_live_history_records_total",
			Help: "Records read from the lake because the journal had deleted them."}),
		errors: counter("errors_total", "Errors, by kind. Most are tried again; see stopped.", "kind"),
		lastFail: prometheus.NewGauge(prometheus.GaugeOpts{Name: "pinflow_live_last_error_timestamp_seconds",
			Help: "When the last error happened; 0 if none has."}),
		lag:      desc("lag_records", "Offsets between what is counted and the end of the journal, as last heard."),
		position: desc("next_offset", "One after the last record that is counted."),
		stopped:  desc("partition_stopped", "1 if the partition has stopped because of an error, which the log tells; else 0."),
	}
	if r == nil {
		return m, nil
	}
	return m, r.Register(m)
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.kept() {
		c.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{m.lag, m.position, m.stopped} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.kept() {
		c.Collect(ch)
	}
	for _, p := range m.s.Partitions() {
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, p.Topic, strconv.Itoa(int(p.Partition)))
		}
		stopped := 0.0
		if p.Err != nil {
			stopped = 1
		}
		gauge(m.stopped, stopped)
		gauge(m.position, float64(p.Next))
		gauge(m.lag, float64(p.End-p.Next))
	}
}

func (m *metrics) kept() []prometheus.Collector {
	return []prometheus.Collector{m.records, m.rejects, m.batches, m.steps, m.freshness, m.fences, m.past, m.errors, m.lastFail}
}

func (m *metrics) took(step string, d time.Duration) {
	m.steps.WithLabelValues(step).Observe(d.Seconds())
}

// counted tells of a committed batch.
func (m *metrics) counted(ctx context.Context, h *hand, delta pinflow.Delta) {
	for topic, n := range h.held {
		m.records.WithLabelValues(topic).Add(float64(n))
	}
	m.batches.Observe(float64(h.records))
	m.freshness.Observe(time.Since(time.UnixMilli(h.oldest)).Seconds())
	for _, a := range delta.Added {
		if a.Table != pinflow.RejectsTable().Name {
			continue
		}
		// The commit has read them already; what cannot be read now is only not counted here.
		_ = a.Rows.Scan(ctx, func(row []any) error {
			if model, ok := row[0].(string); ok {
				m.rejects.WithLabelValues(model).Inc()
			}
			return nil
		})
	}
}

func (m *metrics) fenced() { m.fences.Inc() }

func (m *metrics) failed(err error) {
	m.errors.WithLabelValues(pinflow.KindOf(err).String()).Inc()
	m.lastFail.SetToCurrentTime()
}
