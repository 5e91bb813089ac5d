package faults

import (
	"bytes"
	"context"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
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

// post begins to post at a rate to the addresses that the ingests have at the time; each address gets an equal share.
func (w *world) post(seed uint64, rate float64, to ...*process) *posts {
	stopped, once := make(chan struct{}), sync.Once{}
	p := &posts{stop: func() { once.Do(func() { close(stopped) }) }, receipts: map[pinflow.Position]uint64{}, reports: map[string]emulate.Report{}}
	w.t.Cleanup(func() {
		p.stop()
		p.running.Wait()
	})
	// Who is stopped posts to the end what is under way; but not for ever, where nobody answers any more.
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	w.t.Cleanup(cancel)
	for n, ingest := range to {
		p.running.Go(func() {
			p.keepPosting(ctx, w.t, ingest, newRows(seed+uint64(n)<<32, stopped), rate/float64(len(to)))
		})
	}
	return p
}

// keepPosting posts to a process, wherever it answers: it has another port each time it is started.
func (p *posts) keepPosting(ctx context.Context, t testing.TB, ingest *process, r *rows, rate float64) {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &toCurrent{ingest, &http.Transport{MaxConnsPerHost: 64, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Second}}}
	report, err := emulate.Run(ctx, emulate.Options{To: "http://ingest/pin/", Rows: r, Rate: rate, Connections: 64, Client: client, OnOutcome: p.take})
	if err != nil && ctx.Err() == nil {
		t.Errorf("posts to %s: %v", ingest.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reports[ingest.name] = report
}

// toCurrent sends requests to where a process answers now.
type toCurrent struct {
	p    *process
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c *toCurrent) RoundTrip(r *http.Request) (*http.Response, error) {
	at := c.p.at()
	if at == "" {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, errNotUp
	}
	r = r.Clone(r.Context())
	r.URL.Host, r.Host = at[len("http://"):], ""
	return c.next.RoundTrip(r)
}

var errNotUp = &pinflow.Error{Op: "post", Kind: pinflow.Unavailable}

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
