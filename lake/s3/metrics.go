package s3

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/prometheus/client_golang/prometheus"
)

// meters count the requests to the server, each try of each. Buckets that share a registerer share them.
type meters struct {
	requests       *prometheus.CounterVec
	seconds        *prometheus.HistogramVec
	sent, received prometheus.Counter
	resumed        prometheus.Counter
}

func newMeters(r prometheus.Registerer) *meters {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "pinflow", Subsystem: "lake_s3", Name: name, Help: help}
	}
	return &meters{
		requests: registered(r, prometheus.NewCounterVec(opts("requests_total", "Requests to the S3 server, by operation and outcome: the HTTP status, or \"failed\" if no answer came."), []string{"operation", "outcome"})),
		seconds: registered(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "pinflow", Subsystem: "lake_s3", Name: "request_seconds",
			Help: "Time until the S3 server's answer began, by operation.", Buckets: prometheus.ExponentialBuckets(0.002, 3, 10)}, []string{"operation"})),
		sent:     registered(r, prometheus.NewCounter(opts("sent_bytes_total", "Bytes of objects sent in requests that were answered."))),
		received: registered(r, prometheus.NewCounter(opts("received_bytes_total", "Bytes of answers received."))),
		resumed:  registered(r, prometheus.NewCounter(opts("reads_resumed_total", "Reads of objects that broke off and went on where they were."))),
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

// metered is an HTTP client whose requests are counted.
type metered struct {
	aws.HTTPClient
	*meters
}

// Do implements aws.HTTPClient.
func (m metered) Do(r *http.Request) (*http.Response, error) {
	operation, began := middleware.GetOperationName(r.Context()), time.Now()
	answer, err := m.HTTPClient.Do(r)
	if err != nil {
		m.requests.WithLabelValues(operation, "failed").Inc()
		return answer, err
	}
	m.requests.WithLabelValues(operation, strconv.Itoa(answer.StatusCode)).Inc()
	m.seconds.WithLabelValues(operation).Observe(time.Since(began).Seconds())
	m.sent.Add(float64(max(0, r.ContentLength)))
	answer.Body = countedBody{answer.Body, m.received}
	return answer, nil
}

// countedBody is the body of an answer whose bytes are counted.
type countedBody struct {
	io.ReadCloser
	bytes prometheus.Counter
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(float64(n))
	return n, err
}
