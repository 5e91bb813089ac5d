package s3

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

const (
	attempts   = 5                      // of one request
	firstDelay = 100 * time.Millisecond // before the second, doubling
	longDelay  = 5 * time.Second
	maxIdle    = 64 // connections that are kept for the next request
)

// backoff tells how long to wait before trying again: anything up to a limit that doubles, so that those who failed together do not come back together.
type backoff struct{ first, longest time.Duration }

// BackoffDelay implements retry.BackoffDelayer.
func (b backoff) BackoffDelay(attempt int, _ error) (time.Duration, error) {
	limit := min(b.longest, b.first<<min(max(attempt-1, 0), 20))
	return limit/4 + rand.N(limit+1)*3/4, nil
}

// wait waits before another attempt. It returns false if ctx ends.
func (b backoff) wait(ctx context.Context, attempt int) bool {
	d, _ := b.BackoffDelay(attempt, nil) // it has no error
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// newRetryer decides which requests are worth another try.
func newRetryer(b backoff) *retry.Standard {
	return retry.NewStandard(func(s *retry.StandardOptions) {
		s.MaxAttempts, s.Backoff = attempts, b
		s.RateLimiter = ratelimit.None // who calls waits longer and longer, too
		s.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(passing)}, s.Retryables...)
	})
}

// once asks one time only.
func once(o *s3.Options) { o.RetryMaxAttempts = 1 }

// loadConfig reads what the standard chain has for a place: environment, shared configuration and credentials, the machine's role.
func loadConfig(ctx context.Context, p *place, o *Options) (aws.Config, error) {
	transport := func(t *http.Transport) {
		t.DialContext = dialer(o.Timeout)
		t.ResponseHeaderTimeout = 0 // the connection sees to it
		t.MaxIdleConns, t.MaxIdleConnsPerHost, t.IdleConnTimeout = 2*maxIdle, maxIdle, o.Timeout/2
		t.ReadBufferSize, t.WriteBufferSize = writeSize, writeSize
		t.DisableCompression = true // objects come as they were put
		t.ForceAttemptHTTP2, t.TLSNextProto = false, map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(transport)),
		config.WithLogger(logging.Nop{}),
		config.WithRetryer(func() aws.Retryer { return newRetryer(o.backoff) }),
	}
	if p.region != "" {
		options = append(options, config.WithRegion(p.region))
	}
	if p.profile != "" {
		options = append(options, config.WithSharedConfigProfile(p.profile))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return c, err
	}
	if c.Region == "" && p.endpoint != nil {
		c.Region = "us-east-1" // what servers other than AWS call theirs, if they have one
	}
	if c.Region == "" {
		return c, fmt.Errorf("no region is given")
	}
	return c, nil
}

// newClient makes the client, and returns what closes its connections.
func newClient(c aws.Config, p *place, m *meters) (*s3.Client, func()) {
	h := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if b, ok := c.HTTPClient.(*awshttp.BuildableClient); ok {
		h.Transport = b.GetTransport() // with the certificates of the environment
	}
	client := s3.NewFromConfig(c, func(o *s3.Options) {
		o.HTTPClient = metered{h, m}
		o.UsePathStyle = p.pathStyle
		o.RequestChecksumCalculation, o.ResponseChecksumValidation = aws.RequestChecksumCalculationWhenRequired, aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
		o.ContinueHeaderThresholdBytes = 1 << 20 // a server that is to say no says it before the bytes are sent
		if p.endpoint != nil {
			o.BaseEndpoint = aws.String(p.endpoint.String())
		}
	})
	return client, h.CloseIdleConnections
}
