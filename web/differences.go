package web

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const scrapeTimeout = 5 * time.Second // a scrape that cannot be answered by then lacks these

// differences tells Prometheus what comparisons of live and batch rows have found.
type differences struct {
	operator                      Operator
	differing, difference, newest *prometheus.Desc
	periods                       *prometheus.Desc
}

func newDifferences(o Operator) *differences {
	desc := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	return &differences{o,
		desc("pinflow_audit_differing_rows", "Rows on which live and batch differed, of differences that are neither acknowledged nor settled."),
		desc("pinflow_audit_difference", "1 if such a difference stands, 0 if not."),
		desc("pinflow_audit_last_compared_period_seconds", "Start of the newest log period whose live and batch rows were compared, in Unix seconds."),
		desc("pinflow_audit_comparisons", "Periods' live and batch rows compared so far.")}
}

// Describe implements prometheus.Collector.
func (d *differences) Describe(out chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{d.differing, d.difference, d.newest, d.periods} {
		out <- one
	}
}

// Collect implements prometheus.Collector.
func (d *differences) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	all, err := d.operator.Comparisons(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(d.differing, err)
		return
	}
	rows, compared, newest := standing(all), 0, int64(-1)
	for _, c := range all {
		if c.Why == "" {
			compared++
			newest = max(newest, int64(c.Period))
		}
	}
	stands := 0.0
	if rows > 0 {
		stands = 1
	}
	gauge := func(of *prometheus.Desc, v float64) {
		out <- prometheus.MustNewConstMetric(of, prometheus.GaugeValue, v)
	}
	gauge(d.differing, float64(rows))
	gauge(d.difference, stands)
	gauge(d.periods, float64(compared))
	if newest >= 0 {
		gauge(d.newest, float64(newest)/1000)
	}
}
