package access

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// What an address may get wrong: so many at once, and one more per pace. Guessing a key is hopeless anyway; this keeps logs and machine quiet.
const (
	burst = 20
	pace  = time.Second
)

// newsPace is how often a reason is logged.
const newsPace = 10 * time.Second

// throttle counts wrong keys per address, in a table of fixed size: addresses may share a place.
type throttle struct {
	now  func() time.Time
	seed maphash.Seed

	mu    sync.Mutex
	until [1024]time.Time // when all that was got wrong is forgiven
	told  map[string]time.Time
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, seed: maphash.MakeSeed(), told: map[string]time.Time{}}
}

// failed counts a wrong key, and returns how long the address is to wait: 0 while it is below the limit.
func (t *throttle) failed(from netip.Prefix) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	until := &t.until[maphash.Comparable(t.seed, from)%uint64(len(t.until))]
	if until.Before(now) {
		*until = now
	}
	if over := until.Sub(now) - (burst-1)*pace; over > 0 {
		return over
	}
	*until = until.Add(pace)
	return 0
}

// isNews tells whether something of which there are few reasons has not been told for a while.
func (t *throttle) isNews(reason string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if at, ok := t.told[reason]; ok && now.Sub(at) < newsPace {
		return false
	}
	t.told[reason] = now
	return true
}
