package main

import (
	"context"
	"errors"
	"net/url"

	"github.com/pinflow/pinflow/config"
)

// openRole opens every place for a process that has one part in the flow, and where it is asked how it is.
func openRole(ctx context.Context, s *config.Settings, m monitored, d duty, t terminal) (*core, watched, error) {
	limitMemory()
	log, metrics := newLog(s.Logging, t), newMetrics()
	w, err := m.open(s, log, metrics)
	if err != nil {
		return &core{}, w, err
	}
	c, err := openCore(ctx, s, log, metrics, t, d)
	return c, w, err
}

// checkWorkers refuses a number of workers.
func checkWorkers(n int) error {
	if n < 1 || n > 64 {
		return usageError{errors.New("--stream-workers is a number from 1 to 64")}
	}
	return nil
}

// shownStore is the store's URL without a password.
func (c *core) shownStore() string {
	u, err := url.Parse(c.StoreURL())
	if err != nil {
		return c.StoreURL()
	}
	return u.Redacted()
}
