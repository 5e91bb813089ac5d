package duckdb

import (
	"context"
	"errors"
	"sync"
)

// crowd is the queries that are running. They give way when a commit finds no memory left.
type crowd struct {
	mu   sync.Mutex
	next int
	ends map[int]context.CancelCauseFunc
}

var errGaveWay = errors.New("the query gave way to a commit that found no memory left")

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

// disperse ends all that are running and tells whether there were any.
func (c *crowd) disperse() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cancel := range c.ends {
		cancel(errGaveWay)
	}
	return len(c.ends) > 0
}
