package lake

import (
	"strconv"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what a Writer tells Prometheus. Counters are kept, the rest is looked up when asked for.
type metrics struct {
	w        *Writer
	objects  *prometheus.CounterVec
	records  *prometheus.CounterVec
	stored   *prometheus.CounterVec
	lines    *prometheus.CounterVec
	existed  *prometheus.CounterVec
	errors   *prometheus.CounterVec
	lastFail prometheus.Gauge

	lag     *prometheus.Desc
	end     *prometheus.Desc
	age     *prometheus.Desc
	stopped *prometheus.Desc
	held    *prometheus.Desc
}

func newMetrics(w *Writer, r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pinflow_lake_" + name, Help: help}, labels)
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("pinflow_lake_"+name, help, labels, nil)
	}
	m := &metrics{
		w:       w,
		objects: counter("objects_total", "Objects written.", "topic"),
		records: counter("records_total", "Records in the objects written.", "topic"),
		stored:  counter("stored_bytes_total", "Bytes of the objects written, as stored.", "topic"),
		lines:   counter("line_bytes_total", "Bytes of the lines in the objects written, uncompressed.", "topic"),
		existed: counter("objects_existed_total", "Objects not written because one of that name was there.", "topic"),
		errors:  counter("errors_total", "Errors, by kind. Most are tried again; see stopped.", "kind"),
		lastFail: prometheus.NewGauge(prometheus.GaugeOpts{Name: "pinflow_lake_last_error_timestamp_seconds",
			Help: "When the last error happened; 0 if none has."}),
		lag:     desc("lag_records", "Offsets between the end of the lake and that of the journal, as last heard.", "topic", "partition"),
		end:     desc("end_offset", "One after the last record that is in the lake.", "topic", "partition"),
		age:     desc("unflushed_age_seconds", "Age of the oldest record held that is not in the lake; 0 if none is held.", "topic", "partition"),
		stopped: desc("partition_stopped", "1 if the partition has stopped because of an error, which the log tells; else 0.", "topic", "partition"),
		held:    desc("held_bytes", "Memory of the records held that are not in the lake."),
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
	for _, d := range []*prometheus.Desc{m.lag, m.end, m.age, m.stopped, m.held} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.kept() {
		c.Collect(ch)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	gauge(m.held, float64(m.w.held))
	for tp, p := range m.w.parts {
		partition := strconv.Itoa(int(tp.Partition))
		if p.err != nil {
			gauge(m.stopped, 1, tp.Topic, partition)
			continue
		}
		gauge(m.stopped, 0, tp.Topic, partition)
		gauge(m.end, float64(p.lakeEnd), tp.Topic, partition)
		gauge(m.lag, float64(max(0, p.logEnd-p.lakeEnd)), tp.Topic, partition)
		gauge(m.age, p.age(time.Now()).Seconds(), tp.Topic, partition)
	}
}

// age is that of the oldest record held.
func (p *partition) age(now time.Time) time.Duration {
	switch {
	case p.putting != nil:
		return now.Sub(p.putting.since)
	case p.open != nil:
		return now.Sub(p.open.since)
	}
	return 0
}

func (m *metrics) kept() []prometheus.Collector {
	return []prometheus.Collector{m.objects, m.records, m.stored, m.lines, m.existed, m.errors, m.lastFail}
}

func (m *metrics) wrote(b *buffer) {
	m.objects.WithLabelValues(b.Topic).Inc()
	m.records.WithLabelValues(b.Topic).Add(float64(b.count))
	m.stored.WithLabelValues(b.Topic).Add(float64(len(b.packed)))
	m.lines.WithLabelValues(b.Topic).Add(float64(b.bytes()))
}

func (m *metrics) lost(b *buffer) { m.existed.WithLabelValues(b.Topic).Inc() }

func (m *metrics) failed(err error) {
	m.errors.WithLabelValues(pinflow.KindOf(err).String()).Inc()
	m.lastFail.SetToCurrentTime()
}
