package ingest

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

// append appends drafts and waits for their receipts, at most the timeout.
func (s *source) append(ctx context.Context, drafts []pinflow.Draft) []pinflow.Receipt {
	ctx, cancel := context.WithTimeout(ctx, s.in.Timeout)
	defer cancel()
	start := time.Now()
	receipts := s.in.Journal.Append(ctx, drafts)
	s.metrics.acks.Observe(time.Since(start).Seconds())
	return receipts
}

// appendProblem says why a record was not acknowledged, and logs it.
func (in *Ingest) appendProblem(err error) problem.Problem {
	in.logFailure(err)
	p := problem.Of(&pinflow.Error{Op: "append to the journal", Kind: appendKind(err), Err: err, Hint: pinflow.HintOf(err)})
	if p.Status == http.StatusServiceUnavailable && p.Hint == "" {
		p.Hint = "Send it again: nothing has been answered for that may be lost."
	}
	return p
}

// appendKind is the kind of a receipt's error: a wait that ended is the journal's being slow, and a topic that has
// gone is its fault, not that of who posts to a route that is there.
func appendKind(err error) pinflow.Kind {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || pinflow.KindOf(err) == pinflow.NotFound {
		return pinflow.Unavailable
	}
	return pinflow.KindOf(err)
}

// logFailure logs, at most once a second, that the journal does not take records.
func (in *Ingest) logFailure(err error) {
	if errors.Is(err, context.Canceled) || in.Log == nil {
		return // the client has gone
	}
	if suppressed, ok := in.logged.pass(time.Now()); ok {
		in.Log.Warn("the journal did not take records", "error", err, "kind", appendKind(err).String(), "not_logged", suppressed)
	}
}

// throttle lets one thing a second pass.
type throttle struct{ last, suppressed atomic.Int64 }

// pass tells whether now is the time, and how many did not pass since the last that did.
func (t *throttle) pass(now time.Time) (suppressed int64, ok bool) {
	last := t.last.Load()
	if now.UnixNano()-last < int64(time.Second) || !t.last.CompareAndSwap(last, now.UnixNano()) {
		t.suppressed.Add(1)
		return 0, false
	}
	return t.suppressed.Swap(0), true
}

// acquire waits for room for n bytes, at most the timeout.
func (in *Ingest) acquire(ctx context.Context, n int64) bool {
	if in.room.TryAcquire(n) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, in.Timeout)
	defer cancel()
	return in.room.Acquire(ctx, n) == nil
}

func noRoom() problem.Problem {
	return problem.Of(&pinflow.Error{Op: "take the post", Kind: pinflow.Unavailable,
		Err: errors.New("other posts hold all the memory set aside for them"), Hint: "Send it again a little later."})
}
