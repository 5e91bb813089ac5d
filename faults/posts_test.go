package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/value"
)

// rows are pins without end: new ones, and again and again those that were posted before, as they were or in another category.
type rows struct {
	random  *rand.Rand
	fresh   [][]byte
	n       int
	before  [][]byte
	stopped <-chan struct{}
}

// known is how many pins are remembered to be posted again.
const known = 2000

func newRows(seed uint64, stopped <-chan struct{}) *rows {
	return &rows{random: rand.New(rand.NewPCG(seed, 7)), fresh: emulate.Pins(seed, 3000), stopped: stopped}
}

// Next implements emulate.Rows.
func (r *rows) Next() (emulate.Row, error) {
	select {
	case <-r.stopped:
		return emulate.Row{}, io.EOF
	default:
	}
	var row []byte
	switch n := r.random.IntN(10); {
	case n < 2 && len(r.before) > 0:
		row = r.before[r.random.IntN(len(r.before))]
	case n < 4 && len(r.before) > 0:
		row = inCategory(r.before[r.random.IntN(len(r.before))], []string{"art", "travel", "tattoos", "finance"}[r.random.IntN(4)])
	default:
		row = r.newPin()
	}
	if len(r.before) < known {
		r.before = append(r.before, row)
	} else {
		r.before[r.random.IntN(known)] = row
	}
	return emulate.Row{JSON: row}, nil
}

// newPin is a pin with an id that nobody has posted yet.
func (r *rows) newPin() []byte {
	row := r.fresh[r.n%len(r.fresh)]
	r.n++
	const field = `"unique_id":"`
	at := bytes.Index(row, []byte(field)) + len(field)
	id := value.AppendString(nil, time.Duration(r.n).String()+"-"+string(row[at:at+20]))
	end := at + bytes.IndexByte(row[at:], '"')
	return bytes.Join([][]byte{row[:at-1], id, row[end+1:]}, nil)
}

// inCategory is a pin moved to a category. The field is the last of a pin.
func inCategory(row []byte, category string) []byte {
	const field = `"category":`
	at := bytes.LastIndex(row, []byte(field)) + len(field)
	return append(value.AppendString(bytes.Clone(row[:at]), category), '}')
}

// Close implements emulate.Rows.
func (r *rows) Close() error { return nil }

// posts are posts that go on, to several ingests, until they are stopped.
type posts struct {
	stop    func()
	running sync.WaitGroup

	mu       sync.Mutex
	receipts map[pinflow.Position]uint64 // the hash of what was acknowledged there
	rejected int
	reports  map[string]emulate.Report
}

var seed = maphash.MakeSeed()

// post begins to post, from so many posters, which share the rate. A request goes to an ingest that runs, one after the other.
func (w *world) post(seed uint64, rate float64, posters int) *posts {
	stopped, once := make(chan struct{}), sync.Once{}
	p := &posts{stop: func() { once.Do(func() { close(stopped) }) }, receipts: map[pinflow.Position]uint64{}, reports: map[string]emulate.Report{}}
	// Who is stopped posts to the end what is under way; but not for ever, where nobody answers any more.
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	w.t.Cleanup(func() {
		p.stop()
		cancel()
		p.running.Wait()
	})
	client := &http.Client{Timeout: 15 * time.Second, Transport: &toIngest{w: w, next: &http.Transport{MaxConnsPerHost: 64, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Second}}}
	for n := range posters {
		name := fmt.Sprintf("poster %d", n+1)
		p.running.Go(func() {
			report, err := emulate.Run(ctx, emulate.Options{To: "http://ingest/pin/", Rows: newRows(seed+uint64(n)<<32, stopped), Rate: rate / float64(posters), Connections: 32,
				Client: client, OnOutcome: p.take})
			if err != nil && ctx.Err() == nil {
				w.t.Errorf("%s: %v", name, err)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.reports[name] = report
		})
	}
	return p
}

// toIngest sends requests to where ingests answer: they have another port each time they are started.
type toIngest struct {
	w    *world
	turn atomic.Int64
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c *toIngest) RoundTrip(r *http.Request) (*http.Response, error) {
	var up []string
	for _, role := range []string{"ingest", "up"} {
		for _, p := range c.w.of(role) {
			if at := p.at(); at != "" && !p.hasEnded() {
				up = append(up, at)
			}
		}
	}
	if len(up) == 0 {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, errors.New("no ingest runs")
	}
	r = r.Clone(r.Context())
	r.URL.Host, r.Host = up[int(c.turn.Add(1))%len(up)][len("http://"):], ""
	return c.next.RoundTrip(r)
}

func (p *posts) take(o emulate.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o.Err != nil {
		p.rejected++
		return
	}
	p.receipts[o.Position] = maphash.Bytes(seed, value.Compact(nil, o.Row))
}

// acknowledged is how many posts were acknowledged so far.
func (p *posts) acknowledged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.receipts)
}

// end stops posting and waits until all that was begun has its answer.
func (p *posts) end(t testing.TB) {
	t.Helper()
	p.stop()
	p.running.Wait()
	for name, r := range p.reports {
		t.Logf("%s: %d posts acknowledged, %d posted again, in %s; half of them within %s, 99 %% within %s", name, r.Acknowledged, r.Retried, r.Elapsed.Round(time.Second),
			r.P50.Round(time.Millisecond), r.P99.Round(time.Millisecond))
	}
	if p.rejected > 0 {
		t.Errorf("%d posts were rejected", p.rejected)
	}
}
