package kafka

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// meters count what goes through the clients of a Journal. Journals that share a registerer share them.
type meters struct {
	appendedRecords, appendedBytes *prometheus.CounterVec
	fetchedRecords, fetchedBytes   *prometheus.CounterVec
	waiting                        prometheus.Gauge
}

var (
	_ kgo.HookProduceRecordBuffered   = (*meters)(nil)
	_ kgo.HookProduceRecordUnbuffered = (*meters)(nil)
	_ kgo.HookProduceBatchWritten     = (*meters)(nil)
	_ kgo.HookFetchBatchRead          = (*meters)(nil)
)

func newMeters(r prometheus.Registerer) *meters {
	counter := func(name, help string) *prometheus.CounterVec {
		return registered(r, prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "pinflow", Subsystem: "journal", Name: name, Help: help}, []string{"topic"}))
	}
	return &meters{
		appendedRecords: counter("appended_records_total", "Records sent to the journal."),
		appendedBytes:   counter("appended_bytes_total", "Bytes of records sent to the journal, before compression."),
		fetchedRecords:  counter("fetched_records_total", "Records fetched from the journal by subscriptions."),
		fetchedBytes:    counter("fetched_bytes_total", "Bytes of records fetched from the journal, decompressed."),
		waiting: registered(r, prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "pinflow", Subsystem: "journal", Name: "append_waiting_records",
			Help: "Records that wait to be acknowledged by the journal."})),
	}
}

// registered registers c, or returns the collector that is registered in its place.
func registered[C prometheus.Collector](r prometheus.Registerer, c C) C {
	if r == nil {
		return c
	}
	var there prometheus.AlreadyRegisteredError
	if err := r.Register(c); errors.As(err, &there) {
		if old, ok := there.ExistingCollector.(C); ok {
			return old
		}
	}
	return c
}

// OnProduceRecordBuffered counts a record that begins to wait.
func (m *meters) OnProduceRecordBuffered(*kgo.Record) { m.waiting.Inc() }

// OnProduceRecordUnbuffered counts a record that has been answered.
func (m *meters) OnProduceRecordUnbuffered(*kgo.Record, error) { m.waiting.Dec() }

// OnProduceBatchWritten counts a batch on its way.
func (m *meters) OnProduceBatchWritten(_ kgo.BrokerMetadata, topic string, _ int32, b kgo.ProduceBatchMetrics) {
	m.appendedRecords.WithLabelValues(topic).Add(float64(b.NumRecords))
	m.appendedBytes.WithLabelValues(topic).Add(float64(b.UncompressedBytes))
}

// OnFetchBatchRead counts a batch that has come.
func (m *meters) OnFetchBatchRead(_ kgo.BrokerMetadata, topic string, _ int32, b kgo.FetchBatchMetrics) {
	m.fetchedRecords.WithLabelValues(topic).Add(float64(b.NumRecords))
	m.fetchedBytes.WithLabelValues(topic).Add(float64(b.UncompressedBytes))
}
