package emulate

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// The least and the longest wait before a row is posted again, unless Retry-After asks for a longer one.
const (
	firstWait = 100 * time.Millisecond
	longest   = 5 * time.Second
)

// backoff is how long to wait: about twice as long each time. The zero value starts from the first.
type backoff struct{ wait time.Duration }

// next returns the next wait, at least atLeast, spread by a quarter so that many connections don't come back at once.
func (b *backoff) next(atLeast time.Duration) time.Duration {
	b.wait = min(max(2*b.wait, firstWait), longest)
	return max(atLeast, b.wait) + rand.N(b.wait/4)
}

// retryAfter reads the header of that name: seconds or a date; 0 if it is missing or says nothing.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(date.Sub(now), 0)
	}
	return 0
}

// retriable tells whether an answer says that the same row may be taken later.
func retriable(status int) bool {
	switch status {
	case noAnswer, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
