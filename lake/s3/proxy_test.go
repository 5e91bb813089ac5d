package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// proxy stands between a client and the real server, and decides what becomes of each request.
type proxy struct {
	*httptest.Server
	to       *url.URL
	mu       sync.Mutex
	decide   func(*http.Request) fate
	requests map[string]int // by operation
	busy     int            // requests that are being answered, or are to reach the server later
	idle     *sync.Cond     // none is
}

// fate is what becomes of a request.
type fate func(p *proxy, w http.ResponseWriter, r *http.Request)

// newProxy makes one of which decide says what becomes of a request; nil lets it pass.
func newProxy(t testing.TB, to string, decide func(*http.Request) fate) *proxy {
	t.Helper()
	u, err := url.Parse(to)
	must(t, err)
	p := &proxy{to: u, decide: decide, requests: map[string]int{}}
	p.idle = sync.NewCond(&p.mu)
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.settle()
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests[operationOf(r)]++
	p.busy++
	f := fate(pass)
	if p.decide != nil {
		if f = p.decide(r); f == nil {
			f = pass
		}
	}
	p.mu.Unlock()
	defer p.done()
	f(p, w, r)
}

func (p *proxy) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy--; p.busy == 0 {
		p.idle.Broadcast()
	}
}

// settle waits until all that has come has been answered or given up, and has reached the server if it was to.
func (p *proxy) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.busy > 0 {
		p.idle.Wait()
	}
}

// change lets something else become of requests from now on.
func (p *proxy) change(decide func(*http.Request) fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide = decide
}

func (p *proxy) count(operation string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[operation]
}

// operationOf names a request as S3 does, as far as tests need it.
func operationOf(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPut && q.Has("partNumber"):
		return "UploadPart"
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "CreateMultipartUpload"
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return "CompleteMultipartUpload"
	case r.Method == http.MethodGet && q.Has("list-type"):
		return "ListObjectsV2"
	case r.Method == http.MethodPut:
		return "PutObject"
	case r.Method == http.MethodGet:
		return "GetObject"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "AbortMultipartUpload"
	}
	return r.Method
}

// answer is what the real server said.
type answer struct {
	*http.Response
	body []byte
}

// forward asks the real server with a request that has come whole.
func (p *proxy) forward(ctx context.Context, r *http.Request, body []byte) (answer, error) {
	out := r.Clone(ctx)
	out.URL.Scheme, out.URL.Host, out.RequestURI = p.to.Scheme, p.to.Host, "" // the host that was signed stays
	out.Header.Del("Expect")
	out.Body, out.ContentLength = http.NoBody, int64(len(body))
	if len(body) > 0 {
		out.Body = io.NopCloser(bytes.NewReader(body))
	}
	got, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	content, err := io.ReadAll(got.Body)
	return answer{got, content}, err
}

// exchange forwards a request; false if that could not be done, whatever the reason.
func (p *proxy) exchange(r *http.Request) (answer, bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return answer{}, false
	}
	a, err := p.forward(r.Context(), r, body)
	return a, err == nil
}

func (a answer) head(w http.ResponseWriter) {
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", a.Header.Get("Content-Length"))
	w.WriteHeader(a.StatusCode)
}

func pass(p *proxy, w http.ResponseWriter, r *http.Request) {
	a, ok := p.exchange(r)
	if !ok {
		hangUp(w)
		return
	}
	a.head(w)
	_, _ = w.Write(a.body) // if the client has gone, so be it
}

// hangUp resets the client's connection.
func hangUp(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// refuse answers with an error, and asks nobody.
func refuse(status int, code string) fate {
	return func(_ *proxy, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>of the test's making</Message></Error>", code)
	}
}

// lose forwards a request, and resets the connection instead of answering.
func lose(p *proxy, w http.ResponseWriter, r *http.Request) {
	p.exchange(r)
	hangUp(w)
}

// hang forwards a request and says nothing, until the client gives up.
func hang(p *proxy, w http.ResponseWriter, r *http.Request) {
	p.exchange(r)
	<-r.Context().Done()
}

// breakOff resets the connection when half of the request has come.
func breakOff(_ *proxy, w http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
	hangUp(w)
}

// cut resets the connection when a part of the answer has gone.
func cut(part float64) fate {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		a, ok := p.exchange(r)
		if ok && len(a.body) > 0 {
			a.head(w)
			_, _ = w.Write(a.body[:int(part*float64(len(a.body)))])
			_ = http.NewResponseController(w).Flush()
		}
		hangUp(w)
	}
}

// land hangs up at once, and lets the request reach the server some time later.
func land(later time.Duration) fate {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		hangUp(w)
		if err != nil {
			return
		}
		late := r.Clone(context.Background())
		p.mu.Lock()
		p.busy++
		p.mu.Unlock()
		go func() {
			defer p.done()
			<-time.After(later)
			_, _ = p.forward(context.Background(), late, body) // if the server says no, so be it
		}()
	}
}

// byChance lets a share of requests go wrong, in the ways that they can.
func byChance(seed uint64, share float64) func(*http.Request) fate {
	random := rand.New(rand.NewPCG(seed, 5))
	return func(r *http.Request) fate {
		if random.Float64() >= share {
			return nil
		}
		switch n := random.IntN(20); {
		case n < 4:
			return refuse(http.StatusServiceUnavailable, "SlowDown")
		case n < 6:
			return refuse(http.StatusInternalServerError, "InternalError")
		case n < 8:
			return refuse(http.StatusBadGateway, "")
		case n < 10:
			return breakOff
		case n < 11:
			return hang
		case n < 14 && r.Header.Get("If-None-Match") != "":
			return land(time.Duration(random.IntN(500)) * time.Millisecond)
		case n < 17 && r.Method == http.MethodGet:
			return cut(random.Float64())
		}
		return lose
	}
}

// ignoreCondition is a server that does not know If-None-Match.
func ignoreCondition(p *proxy, w http.ResponseWriter, r *http.Request) {
	for _, name := range []string{"If-None-Match", "Authorization", "Expect"} {
		r.Header.Del(name)
	}
	keys := aws.Credentials{AccessKeyID: stackKey, SecretAccessKey: stackSecret}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err == nil {
		r.URL.Host = r.Host
		err = v4.NewSigner().SignHTTP(r.Context(), keys, r, r.Header.Get("X-Amz-Content-Sha256"), "s3", "us-east-1", at, func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	}
	if err != nil {
		refuse(http.StatusInternalServerError, err.Error())(p, w, r)
		return
	}
	pass(p, w, r)
}
