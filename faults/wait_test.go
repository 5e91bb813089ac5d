package faults

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what other processes bring about. How long is no claim about speed: it ends a test that waits in vain.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	within(t, 3*time.Minute, func() string { return what }, holds)
}

// within waits for a condition for so long at the most; what says what is waited for, as things are by then.
func within(t testing.TB, limit time.Duration, what func() string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("still not after %s: %s", limit, what())
		}
	}
}

// rest lets a time pass in which something is to happen to other processes; false if ctx ended before.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// patience is how long anything may take that is to happen by itself. It is no claim.
const patience = 2 * time.Minute

func describe(place string, at, ends offsets, err error) string {
	if err != nil {
		return fmt.Sprintf("%s: %v", place, err)
	}
	return fmt.Sprintf("%s: at %v, not %v", place, at, ends)
}
