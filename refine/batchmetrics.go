package refine

import (
	"time"

	"github.com/pinflow/pinflow"
	"github.com/prometheus/client_golang/prometheus"
)

// batchMetrics are what a Runner tells Prometheus.
type batchMetrics struct {
	runs      *prometheus.CounterVec
	periods   prometheus.Counter
	records   prometheus.Counter
	steps     *prometheus.HistogramVec
	differing prometheus.Gauge
	compared  prometheus.Gauge
	newest    prometheus.Gauge
	lastDone  prometheus.Gauge
}

func newBatchMetrics() *batchMetrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "pinflow_batch_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "pinflow_batch_" + name, Help: help})
	}
	return &batchMetrics{
		runs:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pinflow_batch_runs_total", Help: "Runs of the batch, by outcome: done, difference, failed."}, []string{"outcome"}),
		periods: counter("periods_total", "Periods installed."),
		records: counter("records_total", "Records of the periods installed."),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pinflow_batch_step_seconds", Help: "How long a step took for a period: refine, install.",
			Buckets: prometheus.ExponentialBuckets(0.01, 3, 12)}, []string{"step"}), // 10 ms to half an hour
		differing: gauge("differing_rows", "Rows on which live and batch differed in the last period compared."),
		compared:  gauge("compared_rows", "Rows compared in the last period compared."),
		newest:    gauge("newest_period_timestamp_seconds", "Start of the newest period that this process has installed; 0 if none."),
		lastDone:  gauge("last_success_timestamp_seconds", "When a run last ended without an error; 0 if none has."),
	}
}

func (m *batchMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.runs, m.periods, m.records, m.steps, m.differing, m.compared, m.newest, m.lastDone}
}

// Describe implements prometheus.Collector.
func (m *batchMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (m *batchMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(ch)
	}
}

func (m *batchMetrics) took(step string, d time.Duration) {
	m.steps.WithLabelValues(step).Observe(d.Seconds())
}

// installed tells of a period that the run has installed.
func (m *batchMetrics) installed(p pinflow.Period, records int64, c *pinflow.Comparison) {
	m.periods.Inc()
	m.records.Add(float64(records))
	m.newest.Set(float64(p) / 1000)
	if c.Why == "" {
		m.differing.Set(float64(c.Differing))
		m.compared.Set(float64(c.Rows))
	}
}

// ran tells of a run that has ended.
func (m *batchMetrics) ran(o *Outcome, err error) {
	switch {
	case err != nil:
		m.runs.WithLabelValues("failed").Inc()
		return
	case o.Differences:
		m.runs.WithLabelValues("difference").Inc()
	default:
		m.runs.WithLabelValues("done").Inc()
	}
	m.lastDone.SetToCurrentTime()
}
