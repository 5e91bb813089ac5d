package readonly

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// Gate lets queries onto an instance: so many at a time, each with a limit on its time and an eye on the memory.
type Gate struct {
	Instance *duck.Instance
	Timeout  time.Duration // of a query that names none
	Crowd    Crowd
	Slots    chan struct{}   // holds a token per query; who puts in as many as it takes is alone
	Closed   <-chan struct{} // when it is closed, those that wait are refused
}

// Query lets read answer q. What ends since its time is over, or since it has to give way, is an Unavailable error.
func (g *Gate) Query(ctx context.Context, q pinflow.Query, read func(ctx context.Context, on string) (*pinflow.Result, error)) (*pinflow.Result, error) {
	on := q.View
	if (q.SQL == "") == (q.View == "") {
		return nil, invalid(on, "", errors.New("give either SQL or a view"))
	}
	if q.View == "" {
		on = "SQL"
	}
	timeout := q.Timeout
	if timeout <= 0 {
		timeout = g.Timeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it took longer than %s", timeout))
	defer cancel()
	select {
	case g.Slots <- struct{}{}:
		defer func() { <-g.Slots }()
	case <-g.Closed:
		return nil, &pinflow.Error{Op: op, On: "store", Kind: pinflow.Unavailable, Hint: "The store is closed: Pinflow is stopping."}
	case <-ctx.Done():
		return nil, tooSlow(ctx, on, context.Cause(ctx))
	}
	ctx, leave := g.Crowd.Join(ctx)
	var watching sync.WaitGroup
	defer watching.Wait() // or it would use the instance after it is closed
	defer leave()
	watching.Go(func() { g.Crowd.Watch(ctx, g.Instance) })
	result, err := read(ctx, on)
	if err != nil && ctx.Err() != nil {
		return nil, tooSlow(ctx, on, err)
	}
	if err != nil {
		return nil, err
	}
	return result, nil
}

// tooSlow is the error of a query that did not end in time, or whose reader has gone.
func tooSlow(ctx context.Context, on string, err error) error {
	cause := context.Cause(ctx)
	if cause == nil {
		cause = err
	}
	e := &pinflow.Error{Op: op, On: on, Kind: pinflow.Unavailable, Err: cause}
	if !errors.Is(cause, context.Canceled) {
		e.Hint = "Ask for less, give it more time, or try again later."
	}
	return e
}

// Wait waits until no query is running. It is for who has closed Closed.
func (g *Gate) Wait() {
	for range cap(g.Slots) {
		g.Slots <- struct{}{}
	}
	for range cap(g.Slots) {
		<-g.Slots
	}
}
