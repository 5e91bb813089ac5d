package emulate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/pinflow/pinflow"
	"golang.org/x/sync/errgroup"
)

// Options say what is posted where, and how fast. To is the only one that must be given.
type Options struct {
	To   string // the URL of a source's route: http://127.0.0.1:8000/pin/
	Rows Rows   // what is posted, to be closed by the caller; nil for RandomPins(Seed)
	Seed uint64
	// Count ends the run after so many rows; 0 for all there are, of which RandomPins has no end.
	Count int64
	// Rate is how many rows are due per second; 0 keeps the pauses of Rows, which a plain file has not.
	Rate float64
	// Bulk is how many rows go into one post, as NDJSON; 0 and 1 post single objects. A bulk is due with its last row.
	Bulk int
	// Connections is how many posts may be on the way at once. With 1, the next row is posted
	// when the one before it has its final answer, so rows reach the journal in their order; with more, posts
	// are begun in order and may overtake one another. 0 is 1 where Rows is given, else 8.
	Connections int
	Client      *http.Client  // nil for one of Run's own, which waits a minute for an answer
	OnOutcome   func(Outcome) // told of each row, never two at once; a slow one slows the run down
	OnProgress  func(Report)  // told about ten times a second while anything happens, and at the end; never two at once
}

// Run posts rows until they or Count are through, or ctx ends. A row that is refused is counted and the next
// one posted; a place that refuses every row (not found, no access, a redirect), an unreadable file and an end of ctx are
// errors. The report is right up to then, whatever the error. No goroutine outlives Run.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.complete(); err != nil {
		return Report{}, err
	}
	if o.Client == nil {
		o.Client = newClient(o.Connections)
		defer o.Client.CloseIdleConnections()
	}
	t := newTally(o.OnOutcome, o.OnProgress)
	err := dispatch(ctx, &o, t)
	return t.finish(), err
}

// complete checks the options and sets defaults.
func (o *Options) complete() error {
	bad := func(on, why, hint string) error {
		return &pinflow.Error{Op: "emulate", On: on, Kind: pinflow.Invalid, Err: errors.New(why), Hint: hint}
	}
	u, err := url.Parse(o.To)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return bad(o.To, "that is no http URL to post to", "Give the URL of a source's route, such as http://127.0.0.1:8000/pin/.")
	case o.Rate < 0 || o.Bulk < 0 || o.Count < 0 || o.Connections < 0:
		return bad("", "rate, bulk, count and connections can't be negative", "")
	case o.Bulk > maxBulkRows:
		return bad("", "that is too large a bulk", "Put at most 100000 rows into one post.")
	}
	o.Bulk = max(o.Bulk, 1)
	if o.Connections == 0 {
		o.Connections = 1
		if o.Rows == nil {
			o.Connections = 8
		}
	}
	if o.Rows == nil {
		o.Rows = RandomPins(o.Seed)
	}
	return nil
}

const maxBulkRows = 100_000

// newClient makes a client that keeps its connections open between posts and takes redirects for what they
// are: another place than the one that was given.
func newClient(connections int) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = connections, connections
	return &http.Client{
		Transport:     transport,
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dispatch begins posts when they are due, in order, as connections are free.
func dispatch(ctx context.Context, o *Options, t *tally) error {
	g, posting := errgroup.WithContext(ctx)
	g.SetLimit(o.Connections)
	p := sender{client: o.Client, to: o.To, bulk: o.Bulk > 1, tally: t}
	pace := newPace(o.Rate)
	var sent int64
	var failed error
	for left := o.Count; failed == nil && posting.Err() == nil; left -= int64(o.Bulk) {
		want := o.Bulk
		if o.Count > 0 {
			want = int(min(left, int64(o.Bulk)))
		}
		var rows []Row
		rows, failed = take(o.Rows, want)
		if len(rows) == 0 {
			break
		}
		if pace.wait(posting, rows) != nil {
			break
		}
		first := sent
		sent += int64(len(rows))
		g.Go(func() error { return p.post(posting, rows, first) })
	}
	err := g.Wait()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case failed != io.EOF:
		return failed
	}
	return nil
}

// take reads up to n rows. The error, io.EOF at the end, comes with the rows before it.
func take(from Rows, n int) ([]Row, error) {
	var rows []Row
	for len(rows) < n {
		row, err := from.Next()
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}
