package readonly

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pinflow/pinflow/internal/duck"
)

// between is how often the memory is looked at while queries run.
const between = 15 * time.Millisecond

var errHungry = errors.New("the queries that run took too much of the memory there is")

// Crowd is the queries that are running on an instance. They can be made to give way.
type Crowd struct {
	mu   sync.Mutex
	next int
	ends map[int]context.CancelCauseFunc
}

// Watch ends the queries before they take the memory that other work in the instance needs, for which DuckDB has no limit: when three
// quarters of all there is are used, and a quarter more than when the query began, so that it is not the other work alone. It runs
// beside a query, until ctx ends.
func (c *Crowd) Watch(ctx context.Context, i *duck.Instance) {
	limit := i.Memory()
	before, err := i.Used(ctx)
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
		if used, err := i.Used(ctx); err == nil && used > limit/4*3 && used > before+limit/4 {
			c.Disperse(errHungry)
		}
	}
}

// Join returns a context that Disperse ends, and a function to leave the crowd.
func (c *Crowd) Join(ctx context.Context) (context.Context, func()) {
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

// Disperse ends all that are running, for a reason, and tells whether there were any.
func (c *Crowd) Disperse(reason error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cancel := range c.ends {
		cancel(reason)
	}
	return len(c.ends) > 0
}
