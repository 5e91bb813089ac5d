package duckdb

import (
	"context"
	"errors"
	"sync"
	"time"
)

// between is how often the memory is looked at while queries run.
const between = 15 * time.Millisecond

// watch ends the queries before they take the memory that commits need, for which DuckDB has no limit: when three quarters of
// all there is are used, and a quarter more than when the query began, so that it is not the live half alone. It runs
// beside a query, until ctx ends.
func (s *Store) watch(ctx context.Context) {
	limit := s.o.Instance.Memory()
	before, err := s.o.Instance.Used(ctx)
	if err != nil {
		return // the query has ended
	}
	tick := time.NewTicker(between)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if used, err := s.o.Instance.Used(ctx); err == nil && used > limit/4*3 && used > before+limit/4 {
			s.crowd.disperse(errHungry)
		}
	}
}

// crowd is the queries that are running. They give way when a commit finds no memory left, or the log has to be folded.
type crowd struct {
	mu   sync.Mutex
	next int
	ends map[int]context.CancelCauseFunc
}

var (
	errForMemory = errors.New("the query gave way to a commit that found no memory left")
	errHungry    = errors.New("the queries that run took too much of the memory there is")
	errForLog    = errors.New("the query gave way: while it runs, the store's write-ahead log cannot be folded into the file, and it has become too long")
)

// join returns a context that disperse ends, and a function to leave the crowd.
func (c *crowd) join(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends == nil {
		c.ends = map[int]context.CancelCauseFunc{}
	}
	c.next++
	id := c.next
	c.ends[id] = cancel
	return ctx, func() {
		cancel(nil)
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.ends, id)
	}
}

// disperse ends all that are running, for a reason, and tells whether there were any.
func (c *crowd) disperse(reason error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cancel := range c.ends {
		cancel(reason)
	}
	return len(c.ends) > 0
}
