package duckdb

import (
	"context"
	"errors"
	"sync"
)

// crowd is the queries that are running. They give way when a commit finds no memory left, or the log has to be folded.
type crowd struct {
	mu   sync.Mutex
	next int
	ends map[int]context.CancelCauseFunc
}

var (
	errForMemory = errors.New("the query gave way to a commit that found no memory left")
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
