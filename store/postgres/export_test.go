package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pinflow/pinflow"
)

// WithSilence returns options of a store that gives up a connection on which nothing comes after so long.
func WithSilence(o Options, d time.Duration) Options {
	o.silence = d
	return o
}

// WithDial returns options of a store whose connections are made by dial.
func WithDial(o Options, dial pgconn.DialFunc) Options {
	o.dial = dial
	return o
}

// Migrate brings the store's own tables further, as a later version would.
func (s *Store) Migrate(ctx context.Context, more ...string) error {
	return s.migrate(ctx, append(append([]string(nil), migrations...), more...))
}

// MigrationSteps is this version's format.
func MigrationSteps() int { return len(migrations) }

// WaitMerges waits until nobody merges.
func (s *Store) WaitMerges() {
	s.mu.Lock()
	var waits []chan struct{}
	for _, g := range s.generations {
		for _, t := range g.order {
			t.growth.mu.Lock()
			for _, at := range t.growth.periods {
				if at.merging != nil {
					waits = append(waits, at.merging)
				}
			}
			t.growth.mu.Unlock()
		}
	}
	s.mu.Unlock()
	for _, wait := range waits {
		<-wait
	}
}

// InstallWith installs a period as Install does, and calls between after the rows were compared and before the positions are locked. again
// means that what was compared did not hold any more.
func (s *Store) InstallWith(ctx context.Context, in pinflow.Installation, between func()) (c *pinflow.Comparison, again bool, err error) {
	i := &install{s: s, op: "install period", in: in}
	err = i.on(ctx, func() error {
		if plan, err := i.look(ctx); err != nil || !plan.Compare {
			return fmt.Errorf("nothing to compare: %+v, %w", plan, err)
		}
		if err := i.place(ctx); err != nil {
			return err
		}
		if err := i.compare(ctx); err != nil {
			return err
		}
		between()
		c, again, err = i.put(ctx)
		return err
	})
	return c, again, err
}

// MergeAll merges the rows of a period of a table.
func (s *Store) MergeAll(ctx context.Context, generation, table string, period pinflow.Period) error {
	g, err := s.find(ctx, "merge", generation)
	if err == nil {
		_, err = s.merge(ctx, g, g.tables[table], period)
	}
	return err
}
