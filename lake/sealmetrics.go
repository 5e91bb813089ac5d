package lake

import (
	"github.com/pinflow/pinflow"
	"github.com/prometheus/client_golang/prometheus"
)

// sealMetrics are what a Sealer tells Prometheus.
type sealMetrics struct {
	periods *prometheus.CounterVec
	errors  *prometheus.CounterVec
	last    prometheus.Gauge
}

func newSealMetrics(r prometheus.Registerer) (*sealMetrics, error) {
	m := &sealMetrics{
		periods: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pinflow_lake_sealed_periods_total", Help: "Log periods sealed by this process."}, []string{"topic"}),
		errors:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pinflow_lake_seal_errors_total", Help: "Errors of sealing, by kind. Sealing is tried again."}, []string{"kind"}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{Name: "pinflow_lake_sealed_period_start_timestamp_seconds",
			Help: "Start of the newest log period that is sealed for all topics; 0 if there is none."}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.periods, m.errors, m.last} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *sealMetrics) sealed(topic string, created bool) {
	if created {
		m.periods.WithLabelValues(topic).Inc()
	}
}

func (m *sealMetrics) told(st Sealing, err error) {
	if err != nil {
		m.errors.WithLabelValues(pinflow.KindOf(err).String()).Inc()
	}
	if st.Last != pinflow.NoPeriod {
		m.last.Set(float64(st.Last) / 1000)
	}
}
