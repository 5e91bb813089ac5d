package main

import (
	"context"
	"log/slog"
	"net"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/internal/datalock"
)

// joinJournal opens the journal for a process that needs no other place of the data folder. An embedded one is that of the process which holds the
// folder, if there is one; else the broker runs in this process.
func joinJournal(ctx context.Context, s *config.Settings, log *slog.Logger, metrics prometheus.Registerer, c *closers) (*journal, error) {
	place, err := config.ParseJournalURL(s.Journal)
	if err != nil {
		return nil, err
	}
	var lock *datalock.Lock
	var dial dialFunc
	if place.Embedded {
		if lock, err = takeOrJoin(s, c); err != nil {
			return nil, err
		}
		dial = only(s.Journal) // of a broker that is held; of one's own it is the broker's anyway
	}
	j, err := openJournalBy(ctx, s, dial, leastFetch, log, metrics, c)
	if err == nil && lock != nil {
		err = lock.Update(datalock.Info{Kafka: j.local})
	}
	return j, err
}

// takeOrJoin takes the data folder, or points the settings to the broker of the process that holds it; then there is no lock.
func takeOrJoin(s *config.Settings, c *closers) (*datalock.Lock, error) {
	holder, err := datalock.Holder(s.Data)
	if err != nil {
		return nil, err
	}
	if holder != nil && holder.Kafka != "" {
		s.Journal = "kafka://" + holder.Kafka
		return nil, nil
	}
	lock, err := datalock.Acquire(s.Data, datalock.Info{})
	if err == nil {
		c.add(lock.Release)
	}
	return lock, err
}

// dialFunc makes connections.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// only dials the one address of a journal's URL whatever address is asked for: an embedded broker that asks others to log in tells its clients the address for
// others, but lets this machine's processes in where the lock file says.
func only(journal string) dialFunc {
	address := strings.TrimPrefix(journal, "kafka://")
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}
