package ingest

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what ingest tells Prometheus.
type metrics struct {
	records  *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	acks     *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics() metrics {
	return metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pinflow_ingest_posts_total",
			Help: "Records posted, by the HTTP status that each was answered with; a post refused as a whole counts once."}, []string{"source", "status"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pinflow_ingest_bytes_total",
			Help: "Bytes of the bodies read, decompressed."}, []string{"source"}),
		acks: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pinflow_ingest_ack_seconds",
			Help:    "Time from handing records to the journal to having all their receipts.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}, []string{"source"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "pinflow_ingest_in_flight", Help: "Posts being worked on."}),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{m.records, m.bytes, m.acks, m.inFlight} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// answers are the statuses that a record or a post can be answered with.
var answers = [...]int{http.StatusOK, http.StatusServiceUnavailable, http.StatusUnprocessableEntity, http.StatusBadRequest, http.StatusRequestEntityTooLarge,
	http.StatusUnsupportedMediaType, http.StatusMethodNotAllowed, http.StatusRequestTimeout, http.StatusInternalServerError}

// sourceMetrics are the metrics of one source, looked up once.
type sourceMetrics struct {
	records [len(answers)]prometheus.Counter
	bytes   prometheus.Counter
	acks    prometheus.Observer
}

func (m *metrics) of(source string) *sourceMetrics {
	s := &sourceMetrics{bytes: m.bytes.WithLabelValues(source), acks: m.acks.WithLabelValues(source)}
	for i, status := range answers {
		s.records[i] = m.records.WithLabelValues(source, strconv.Itoa(status))
	}
	return s
}

// posts counts n records answered with status; one that has no counter of its own is an internal error.
func (s *sourceMetrics) posts(status, n int) {
	i := 0
	for i < len(answers)-1 && answers[i] != status {
		i++
	}
	s.records[i].Add(float64(n))
}
