package duckdb

import (
	"context"
	"fmt"

	"github.com/pinflow/pinflow"
)

// enter waits until nobody else writes into a generation; leave lets the next one in. It is taken before the right to write, never
// while holding that. One that there is not is an Invalid error.
func (s *Store) enter(ctx context.Context, op, name string) (g *generation, leave func(), err error) {
	if err := s.lock(ctx, op); err != nil {
		return nil, nil, err
	}
	g, err = s.generation(op, name)
	if err == nil {
		s.filling.Add(1)
	}
	s.unlock()
	if err != nil {
		return nil, nil, err
	}
	select {
	case g.busy <- struct{}{}:
	case <-s.closed:
		s.filling.Done()
		return nil, nil, errClosed(op)
	case <-ctx.Done():
		s.filling.Done()
		return nil, nil, &pinflow.Error{Op: op, On: "store", Kind: pinflow.Unavailable, Err: context.Cause(ctx)}
	}
	return g, func() { <-g.busy; s.filling.Done() }, nil
}

// untilClosed returns a context that also ends when the store closes.
func (s *Store) untilClosed(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// lockIn is enter and lock. The caller calls unlock.
func (s *Store) lockIn(ctx context.Context, op, name string) (g *generation, unlock func(), err error) {
	g, leave, err := s.enter(ctx, op, name)
	if err != nil {
		return nil, nil, err
	}
	if err := s.lock(ctx, op); err != nil {
		leave()
		return nil, nil, err
	}
	if s.generations[name] != g {
		s.unlock()
		leave()
		return nil, nil, invalid(op, "generation "+name, "", fmt.Errorf("it was dropped"))
	}
	return g, func() { s.unlock(); leave() }, nil
}
