package emulate

import (
	"context"
	"time"
)

// pace is the schedule of a run: row n is due at a time that depends on the rows before it and not on
// how long their posts took.
type pace struct {
	start time.Time
	rate  float64
	rows  int64
	due   time.Duration // of the next post, after start
}

func newPace(rate float64) *pace { return &pace{start: time.Now(), rate: rate} }

// wait returns when the last of the rows is due, at once if that is past, or with the error of ctx.
func (p *pace) wait(ctx context.Context, rows []Row) error {
	for _, r := range rows {
		p.due += r.Pause
	}
	p.rows += int64(len(rows))
	if p.rate > 0 { // the first row is due at once
		p.due = time.Duration(float64(p.rows-1) / p.rate * float64(time.Second))
	}
	return sleep(ctx, p.due-time.Since(p.start))
}

// sleep waits for d or for the end of ctx, whose error it returns.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
