package postgres_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/postgres"
	"github.com/pinflow/pinflow/store/storetest"
)

// TestTwoStores holds two stores on one database to the contract, as two processes have them: each call goes to the other one.
func TestTwoStores(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB) storetest.Env {
		e := env(t, newDatabase(t), postgres.Options{})
		one := e.Open
		e.Open = func(t testing.TB) storetest.Store {
			return &pair{stores: [2]*postgres.Store{one(t).(*postgres.Store), one(t).(*postgres.Store)}}
		}
		return e
	})
}

// pair is two stores that take turns. Who waits for changes waits at the first one.
type pair struct {
	stores [2]*postgres.Store
	turn   atomic.Int64
}

func (p *pair) next() *postgres.Store { return p.stores[p.turn.Add(1)%2] }

// told runs f, and waits until what it changed has come to the first store.
func (p *pair) told(ctx context.Context, f func(s *postgres.Store) (changed bool, err error)) error {
	before := p.stores[0].Changes()
	changed, err := f(p.next())
	if err != nil || !changed {
		return err
	}
	select {
	case <-before:
		return nil
	case <-time.After(20 * time.Second):
		return errors.New("the other store was not told of a change")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pair) Changes() <-chan struct{} { return p.stores[0].Changes() }

func (p *pair) Prepare(ctx context.Context, plan *pinflow.Plan) error {
	return p.next().Prepare(ctx, plan)
}

func (p *pair) Claim(ctx context.Context, g string, start map[pinflow.TopicPartition]int64) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	return p.next().Claim(ctx, g, start)
}

func (p *pair) Commit(ctx context.Context, d pinflow.Delta) error {
	return p.told(ctx, func(s *postgres.Store) (bool, error) { return true, s.Commit(ctx, d) })
}

func (p *pair) Install(ctx context.Context, in pinflow.Installation) (c *pinflow.Comparison, err error) {
	err = p.told(ctx, func(s *postgres.Store) (bool, error) {
		c, err = s.Install(ctx, in)
		return err == nil && !c.Unchanged, err
	})
	return c, err
}

func (p *pair) Switch(ctx context.Context, g string) error {
	return p.told(ctx, func(s *postgres.Store) (bool, error) { return true, s.Switch(ctx, g) })
}

func (p *pair) Hold(ctx context.Context, g string, until time.Time) error {
	return p.next().Hold(ctx, g, until)
}

func (p *pair) DropGeneration(ctx context.Context, g string) error {
	return p.next().DropGeneration(ctx, g)
}

func (p *pair) Generations(ctx context.Context) ([]pinflow.Generation, error) {
	return p.next().Generations(ctx)
}

func (p *pair) PlanOf(ctx context.Context, g string) (*pinflow.Plan, error) {
	return p.next().PlanOf(ctx, g)
}

func (p *pair) Installed(ctx context.Context, g string) ([]pinflow.Installed, error) {
	return p.next().Installed(ctx, g)
}

func (p *pair) Progress(ctx context.Context, g string) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	return p.next().Progress(ctx, g)
}

func (p *pair) Positions(ctx context.Context) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	return p.next().Positions(ctx)
}

func (p *pair) PutReport(ctx context.Context, g, report string, asOf pinflow.Period, rows pinflow.Relation) error {
	return p.next().PutReport(ctx, g, report, asOf, rows)
}

func (p *pair) ReportInfo(ctx context.Context, g string) ([]pinflow.ReportInfo, error) {
	return p.next().ReportInfo(ctx, g)
}

func (p *pair) Comparisons(ctx context.Context, g string) ([]pinflow.Comparison, error) {
	return p.next().Comparisons(ctx, g)
}

func (p *pair) Acknowledge(ctx context.Context, g string, period pinflow.Period) error {
	return p.next().Acknowledge(ctx, g, period)
}

func (p *pair) Counts(ctx context.Context, g string) (pinflow.StoreCounts, error) {
	return p.next().Counts(ctx, g)
}

func (p *pair) Compare(ctx context.Context, in pinflow.Installation, record bool) (*pinflow.Comparison, error) {
	return p.next().Compare(ctx, in, record)
}

func (p *pair) Query(ctx context.Context, q pinflow.Query) (*pinflow.Result, error) {
	return p.next().Query(ctx, q)
}

func (p *pair) Close() error { return errors.Join(p.stores[0].Close(), p.stores[1].Close()) }
