package web

import (
	"context"
	"sync"
	"time"
)

// How a feed spares the store.
const (
	leisure    = 9           // times as long as the answer took it waits: a feed takes a tenth of a core at most
	retryAfter = time.Second // a failed question is asked again
)

// question is what a feed asks again and again.
type question struct {
	// next returns what follows on last (nil at first and after an error), nil if nothing has changed.
	next func(ctx context.Context, last *version) (*version, error)
	// changes tells when it is worth asking; nil: always.
	changes func() <-chan struct{}
	pace    time.Duration // between two answers, at least
}

// version is what watchers are told at one time. The newest is all that is kept, so a watcher who is slow
// costs nothing: it misses some.
type version struct {
	number int64
	err    error // if set, the question could not be answered
	id     string
	event  string        // the name of full
	full   func() []byte // all of it
	change []byte        // what it adds to the version of the number before; nil if there is no such thing
	rows   [][]byte      // what the next change is computed from
	head   string
}

// feed asks one question for all who watch it.
type feed struct {
	question
	key  string
	stop context.CancelFunc

	mu       sync.Mutex
	watchers map[chan struct{}]struct{}
	newest   *version
}

func (f *feed) run(ctx context.Context) {
	var last *version
	var failure string
	for {
		var changed <-chan struct{}
		if f.changes != nil {
			changed = f.changes() // before asking: no commit falls between
		}
		start := time.Now()
		v, err := f.next(ctx, last)
		if ctx.Err() != nil {
			return
		}
		pause := max(f.pace, leisure*time.Since(start))
		switch {
		case err != nil:
			last, changed, pause = nil, nil, max(pause, retryAfter)
			if err.Error() != failure {
				f.publish(&version{err: err})
			}
			failure = err.Error()
		case v != nil:
			last, failure = v, ""
			f.publish(v)
		}
		if !rest(ctx, pause, changed) {
			return
		}
	}
}

// rest waits for pause, then for changed unless it is nil. It is false when ctx has ended.
func rest(ctx context.Context, pause time.Duration, changed <-chan struct{}) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	if changed == nil {
		return true
	}
	select {
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *feed) publish(v *version) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.newest != nil {
		v.number = f.newest.number + 1
	} else {
		v.number = 1
	}
	f.newest = v
	for wake := range f.watchers {
		select {
		case wake <- struct{}{}:
		default: // it has been woken and has not looked yet
		}
	}
}

// latest returns the newest version, nil before the first.
func (f *feed) latest() *version {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.newest
}
