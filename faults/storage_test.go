package faults

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// moody stands before the S3 server and lets a share of the requests go wrong: some are refused, some are carried out and the answer gets lost, at once or after a
// long silence.
type moody struct {
	mu     sync.Mutex
	random *rand.Rand
	share  float64
	counts map[string]int
	proxy  *httputil.ReverseProxy
}

func newMoody(t *testing.T, seed uint64, share float64) (m *moody, addr string) {
	m = &moody{random: rand.New(rand.NewPCG(seed, 3)), share: share, counts: map[string]int{}}
	m.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: own.s3()})
			r.Out.Host = r.In.Host // it is signed
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	s := httptest.NewServer(m)
	s.Config.ErrorLog = m.proxy.ErrorLog
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return m, strings.TrimPrefix(s.URL, "http://")
}

// mood is what becomes of the next request.
func (m *moody) mood(r *http.Request) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	mood := "well"
	if m.random.Float64() < m.share {
		moods := []string{"SlowDown", "InternalError", "lost", "silent"}
		mood = moods[m.random.IntN(len(moods))]
	}
	m.counts[r.Method+" "+mood]++
	return mood
}

// ServeHTTP implements http.Handler.
func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch mood := m.mood(r); mood {
	case "well":
		m.proxy.ServeHTTP(w, r)
	case "SlowDown", "InternalError":
		_, _ = io.Copy(io.Discard, r.Body) // else the client would see its own write fail
		status := map[string]int{"SlowDown": http.StatusServiceUnavailable, "InternalError": http.StatusInternalServerError}[mood]
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>of the test's making</Message></Error>`, mood)
	default:
		m.proxy.ServeHTTP(httptest.NewRecorder(), r) // it is carried out
		if mood == "silent" {
			rest(r.Context(), 2*time.Second)
		}
		hangUp(w)
	}
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
	_ = c.Close()
}

// TestMoodyS3 lets a quarter of all that S3 is asked go wrong. Two writers of the lake share its work and meet in what they write.
func TestMoodyS3(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--log-period", "5s")
	m, addr := newMoody(t, 1, 0)
	w.s3 = addr
	w.startAll("ingest-1", "lake-1", "lake-2", "stream-1", "schedule-1", "web-1")
	p := w.post(3, 150, 1)
	m.setShare(0.25)
	moods := []string{"PUT SlowDown", "PUT InternalError", "PUT lost", "PUT silent", "GET lost"}
	began := time.Now()
	for round := 0; round < 5 || !m.had(moods) && time.Since(began) < patience; round++ {
		w.moves("lake", w.lakeEnds)
		rest(t.Context(), time.Second)
	}
	m.setShare(0)
	p.end(t)
	w.check(p)
	t.Logf("requests: %v", m.counts)
	for _, mood := range moods {
		if m.counts[mood] == 0 {
			t.Errorf("no %s happened", mood)
		}
	}
}

// had tells whether each of some moods has happened.
func (m *moody) had(moods []string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !slices.ContainsFunc(moods, func(mood string) bool { return m.counts[mood] == 0 })
}

func (m *moody) setShare(share float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.share = share
}
