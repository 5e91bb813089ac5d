package emulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
)

const to = "http://place.test/pin/"

func never(string) bool { return false }

func isMarked(row string) bool { return strings.Contains(row, `"x":"bad"`) }

// markSome marks about a tenth of all rows as bad.
func markSome(seed uint64) func(int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(int) string {
		if r.IntN(10) == 0 {
			return "bad"
		}
		return ""
	}
}

// run posts to p and checks what must hold for any run.
func run(t *testing.T, p *place, ctx context.Context, o Options) (Report, []Outcome, error) {
	t.Helper()
	client, end := p.serve()
	defer end()
	var outcomes []Outcome
	var last Report
	o.To, o.Client = to, client
	o.OnOutcome = func(outcome Outcome) { outcomes = append(outcomes, outcome) }
	o.OnProgress = func(r Report) {
		if r.Acknowledged < last.Acknowledged || r.Sent < r.Acknowledged+r.Rejected {
			t.Errorf("progress %+v after %+v", r, last)
		}
		last = r
	}
	report, err := Run(ctx, o)
	if last != report {
		t.Errorf("the last progress is %+v, the report %+v", last, report)
	}
	if int(report.Acknowledged+report.Rejected) != len(outcomes) {
		t.Errorf("%d outcomes, but %+v", len(outcomes), report)
	}
	return report, outcomes, err
}

func TestRowsArriveOnceInOrderOnOneConnection(t *testing.T) {
	for _, bulk := range []int{0, 7, 1000} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace()
			p.fault = func(n int, row []byte) int {
				switch {
				case n%5 == 0:
					return http.StatusServiceUnavailable
				case isMarked(string(row)):
					return http.StatusUnprocessableEntity
				}
				return http.StatusOK
			}
			report, outcomes, err := run(t, p, t.Context(), Options{Rows: some(100, markSome(1)), Bulk: bulk})
			if err != nil {
				t.Fatal(err)
			}
			checkOutcomes(t, p, outcomes, 100, isMarked)
			if report.Sent != 100 || report.Acknowledged != int64(len(p.taken)) || report.Retried != int64(p.tries)-100 || report.Retried == 0 || report.Trouble != nil {
				t.Errorf("%d tries: %+v", p.tries, report)
			}
			if bulk == 0 && !slices.IsSortedFunc(outcomes, func(a, b Outcome) int { return int(a.Number - b.Number) }) {
				t.Error("rows overtook one another")
			}
		})
	}
}

func TestRowsArriveOnManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		p.takes = time.Second
		p.fault = func(_ int, row []byte) int {
			if isMarked(string(row)) {
				return http.StatusUnprocessableEntity
			}
			return http.StatusOK
		}
		report, outcomes, err := run(t, p, t.Context(), Options{Rows: some(100, markSome(2)), Connections: 10})
		if err != nil {
			t.Fatal(err)
		}
		checkOutcomes(t, p, outcomes, 100, isMarked)
		if report.Elapsed != 10*time.Second {
			t.Errorf("100 posts of 1 s, 10 at once, took %v", report.Elapsed)
		}
		for _, q := range []time.Duration{report.P50, report.P99} {
			if q < 960*time.Millisecond || q > 1040*time.Millisecond {
				t.Errorf("answers took 1 s: %+v", report)
			}
		}
	})
}

// TestTheRateIsKept: an answer that takes longer than the time between two posts does not slow the
// run down, as long as there are connections enough.
func TestTheRateIsKept(t *testing.T) {
	for _, c := range []struct {
		rate  float64
		bulk  int
		takes time.Duration
	}{{10, 1, 0}, {10, 1, 350 * time.Millisecond}, {100, 5, 90 * time.Millisecond}, {0.5, 1, 3 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace()
			p.takes = c.takes
			start := time.Now()
			if _, _, err := run(t, p, t.Context(), Options{Rows: some(50, nil), Rate: c.rate, Bulk: c.bulk, Connections: 4}); err != nil {
				t.Fatal(err)
			}
			for i, at := range p.arrived {
				lastOfBulk := i - i%c.bulk + c.bulk - 1
				due := time.Duration(float64(lastOfBulk)/c.rate*float64(time.Second)) + c.takes
				if late := at.Sub(start) - due; late < 0 || late > time.Microsecond {
					t.Fatalf("%+v: row %d arrived %v late", c, i, late)
				}
			}
		})
	}
}

func TestPausesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seconds int
		rows := RandomPins(5)
		for range 60 {
			row, _ := rows.Next()
			seconds += int(row.Pause.Seconds())
		}
		p := newPlace()
		p.takes = 400 * time.Millisecond
		report, _, err := run(t, p, t.Context(), Options{Seed: 5, Count: 60})
		if err != nil || report.Acknowledged != 60 {
			t.Fatal(report, err)
		}
		if want := time.Duration(seconds)*time.Second + p.takes; report.Elapsed != want {
			t.Errorf("took %v, want %v", report.Elapsed, want)
		}
	})
}

func TestRetryAfterAndBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		p.fault = func(n int, _ []byte) int {
			return []int{http.StatusServiceUnavailable, http.StatusServiceUnavailable, noAnswer, noAnswer, noAnswer, http.StatusOK}[n-1]
		}
		report, outcomes, err := run(t, p, t.Context(), Options{Rows: some(1, nil)})
		if err != nil || report.Acknowledged != 1 || report.Retried != 5 || outcomes[0].Tries != 6 {
			t.Fatal(report, outcomes, err)
		}
		for i, least := range []time.Duration{3 * time.Second, 3 * time.Second, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond} {
			wait := p.arrived[i+1].Sub(p.arrived[i])
			if wait < least || wait > least+least/4 {
				t.Errorf("wait %d was %v, want %v and at most a quarter more", i, wait, least)
			}
		}
	})
}

func TestTroubleIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		p.fault = func(int, []byte) int { return http.StatusServiceUnavailable }
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		report, outcomes, err := run(t, p, ctx, Options{Rows: some(5, nil)})
		if !errors.Is(err, context.DeadlineExceeded) || len(outcomes) > 0 {
			t.Fatal(outcomes, err)
		}
		if report.Sent != 1 || report.Retried != int64(p.tries)-1 || pinflow.KindOf(report.Trouble) != pinflow.Unavailable {
			t.Errorf("%d tries: %+v", p.tries, report)
		}
	})
}

// TestTheEndOfTheContextEndsAll: whatever the run waits for. The bubble fails if a goroutine is left.
func TestTheEndOfTheContextEndsAll(t *testing.T) {
	for name, o := range map[string]Options{
		"answers": {Rows: some(100, nil), Connections: 3},
		"pauses":  {Rows: some(100, nil), Rate: 0.001},
		"bulks":   {Rows: some(100, nil), Bulk: 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace()
			p.takes = time.Hour
			cause := errors.New("enough")
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
			defer cancel()
			report, _, err := run(t, p, ctx, o)
			if !errors.Is(err, cause) || report.Elapsed != time.Second {
				t.Errorf("%s: %v after %v", name, err, report.Elapsed)
			}
		})
	}
}

func TestAPlaceThatTakesNoPostsEndsTheRun(t *testing.T) {
	for _, c := range []struct {
		status int
		bulk   int
		body   string
		kind   pinflow.Kind
	}{
		{http.StatusNotFound, 1, "", pinflow.NotFound}, {http.StatusMethodNotAllowed, 3, "no", pinflow.NotFound}, {http.StatusForbidden, 1, "{}", pinflow.Invalid},
		{http.StatusPermanentRedirect, 1, "", pinflow.NotFound}, {http.StatusRequestEntityTooLarge, 3, "", pinflow.TooLarge},
		{http.StatusOK, 1, "", pinflow.Invalid}, {http.StatusOK, 1, "{}", pinflow.Invalid}, {http.StatusOK, 3, "<html>", pinflow.Invalid},
		{http.StatusOK, 3, "{}", pinflow.Invalid}, {http.StatusOK, 3, `{"results":[{"status":200},{"status":200},{"status":200}]}`, pinflow.Invalid},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := &http.Client{
				Transport: answers(func() *http.Response {
					return &http.Response{StatusCode: c.status, Header: http.Header{"Location": {"/x"}}, Body: readCloser{strings.NewReader(c.body)}}
				}),
				CheckRedirect: newClient(1).CheckRedirect,
			}
			report, err := Run(t.Context(), Options{To: to, Client: client, Rows: some(1000, nil), Bulk: c.bulk})
			if pinflow.KindOf(err) != c.kind || pinflow.HintOf(err) == "" || report.Sent > 10 || report.Acknowledged > 0 {
				t.Errorf("%d: %+v %v", c.status, report, err)
			}
		})
	}
}

type answers func() *http.Response

func (a answers) RoundTrip(*http.Request) (*http.Response, error) { return a(), nil }

func TestABulkAnsweredInPart(t *testing.T) {
	for last, kind := range map[int]pinflow.Kind{http.StatusRequestEntityTooLarge: pinflow.TooLarge, http.StatusBadRequest: pinflow.Internal} {
		body := fmt.Sprintf(`{"results":[{"index":0,"status":200,"topic":"T","partition":0,"offset":9},{"index":1,"status":%d,"title":"x"}]}`, last)
		client := &http.Client{Transport: answers(func() *http.Response {
			return &http.Response{StatusCode: http.StatusMultiStatus, Body: readCloser{strings.NewReader(body)}}
		})}
		report, err := Run(t.Context(), Options{To: to, Client: client, Rows: some(3, nil), Bulk: 3})
		if pinflow.KindOf(err) != kind || report.Acknowledged != 1 || report.Rejected != 1 {
			t.Errorf("%+v %v", report, err)
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestRowsThatCannotBeReadEndTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		broken := errors.New("broken")
		report, outcomes, err := run(t, p, t.Context(), Options{Rows: &failing{some(10, nil), broken}, Bulk: 4})
		if !errors.Is(err, broken) || report.Acknowledged != 10 {
			t.Fatal(report, err)
		}
		checkOutcomes(t, p, outcomes, 10, never)
	})
}

type failing struct {
	Rows
	err error
}

func (f *failing) Next() (Row, error) {
	row, err := f.Rows.Next()
	if err != nil {
		err = f.err
	}
	return row, err
}

func TestCount(t *testing.T) {
	for count, want := range map[int64]int64{0: 25, 1: 1, 10: 10, 12: 12, 25: 25, 99: 25} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace()
			report, _, err := run(t, p, t.Context(), Options{Rows: some(25, nil), Bulk: 5, Count: count})
			if err != nil || report.Acknowledged != want || len(p.taken) != int(want) {
				t.Errorf("count %d: %+v %v", count, report, err)
			}
		})
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	for _, o := range []Options{
		{}, {To: "localhost:8000/pin/"}, {To: "ftp://x/"}, {To: "http:///pin/"}, {To: to, Rate: -1}, {To: to, Bulk: -1}, {To: to, Count: -1},
		{To: to, Connections: -1}, {To: to, Bulk: 1e6},
	} {
		if _, err := Run(t.Context(), o); pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
