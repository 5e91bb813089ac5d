package emulate

import (
	"sync"
	"time"

	"github.com/pinflow/pinflow"
)

// Report is how a run stands.
type Report struct {
	Sent         int64         // rows posted, those counted once that were posted again
	Acknowledged int64         // of these: in the journal
	Rejected     int64         // of these: refused for good. What is neither has no answer yet
	Retried      int64         // how often a row was posted again
	Elapsed      time.Duration // since the start
	P50, P99     time.Duration // of the time from a row's post to its acknowledgement, retries included; within 4 %
	Trouble      error         // why rows have to be posted again; nil if the last answer was for all that it was asked
}

// Outcome is what became of one row.
type Outcome struct {
	Number   int64  // of the row in its run, from 0
	Row      []byte // as posted; not to be changed
	Tries    int    // how often it was posted
	Position pinflow.Position
	Err      error // why it was rejected; nil if it was acknowledged, with its position
}

// progressEvery is the least time between two calls of OnProgress.
const progressEvery = 100 * time.Millisecond

// tally counts what happens in a run and tells those who want to know.
type tally struct {
	mu         sync.Mutex
	report     Report
	latency    histogram
	start      time.Time
	told       time.Time
	onOutcome  func(Outcome)
	onProgress func(Report)
}

func newTally(onOutcome func(Outcome), onProgress func(Report)) *tally {
	now := time.Now()
	return &tally{start: now, told: now, onOutcome: onOutcome, onProgress: onProgress}
}

// begin counts rows about to be posted for the first time.
func (t *tally) begin(rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Sent += int64(rows)
}

// retry counts rows about to be posted again.
func (t *tally) retry(rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Retried += int64(rows)
}

// settle counts the final answers that came for rows begun so long ago; trouble is why others have none yet.
func (t *tally) settle(outcomes []Outcome, took time.Duration, trouble error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range outcomes {
		if o.Err == nil {
			t.report.Acknowledged++
			t.latency.add(took)
		} else {
			t.report.Rejected++
		}
		if t.onOutcome != nil {
			t.onOutcome(o)
		}
	}
	t.report.Trouble = trouble
	t.progress()
}

// progress tells of progress if it is time to. The lock is held.
func (t *tally) progress() {
	if t.onProgress != nil && time.Since(t.told) >= progressEvery {
		t.told = time.Now()
		t.onProgress(t.snapshot())
	}
}

func (t *tally) snapshot() Report {
	r := t.report
	r.Elapsed = time.Since(t.start)
	r.P50, r.P99 = t.latency.quantile(0.5), t.latency.quantile(0.99)
	return r
}

// finish returns the last report, and tells it.
func (t *tally) finish() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.snapshot()
	if t.onProgress != nil {
		t.onProgress(r)
	}
	return r
}
