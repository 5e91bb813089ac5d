package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
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
