package main

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/store/duckdb"
	"github.com/pinflow/pinflow/store/postgres"
)

// store is all halves of a store, and what binds it to the other places.
type store interface {
	pinflow.LiveStore
	pinflow.BatchStore
	pinflow.GenerationStore
	pinflow.AuditStore
	pinflow.StoreReader
	// ReportInfo returns what is known of the reports stored in a generation, by name.
	ReportInfo(ctx context.Context, generation string) ([]pinflow.ReportInfo, error)
	// Current returns the generation that readers see, "" if there is none yet.
	Current(ctx context.Context) (string, error)
	// Bind remembers a topic's id, and refuses another one, or a log that ends before what is counted.
	Bind(ctx context.Context, topic pinflow.Topic) error
	Close() error
}

// stageFunc finds a part of the lake a file on this machine, until release is called.
type stageFunc func(ctx context.Context, p pinflow.Part) (staged pinflow.Part, release func(), err error)

// duckDBOf is how a process has its DuckDB, whose own folder is dir.
func duckDBOf(s *config.Settings, dir string) duck.Options {
	return duck.Options{Dir: filepath.Join(dir, "scratch"), Memory: int64(s.DuckDBMemory)}
}

// openStore opens the store, and the DuckDB of the engines, which reads the lake's files where they lie. A store in a file shares that DuckDB.
func openStore(ctx context.Context, s *config.Settings, o duck.Options, objects pinflow.Objects, stage stageFunc, log *slog.Logger, metrics prometheus.Registerer, c *closers) (*duck.Instance, store, error) {
	file, server, err := config.ParseStore(s.StoreURL())
	if err != nil {
		return nil, nil, err
	}
	o.Path = file
	if local, ok := objects.(pinflow.LocalObjects); ok {
		o.Readable = []string{local.Path("")}
	}
	instance, err := duck.Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	c.add(instance.Close)
	if server != nil {
		kept, err := postgres.Open(ctx, postgres.Options{URL: s.StoreURL(), ReadURL: s.StoreRead, Log: log, Metrics: metrics, Instance: instance, Stage: stage})
		if err != nil {
			return nil, nil, err
		}
		c.add(kept.Close)
		return instance, kept, nil
	}
	at := duckdb.Options{Instance: instance, Log: log, Metrics: metrics}
	if local, ok := objects.(pinflow.LocalObjects); ok {
		at.File = func(p pinflow.Part) string { return local.Path(p.Name) }
	}
	kept, err := duckdb.Open(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	c.add(kept.Close)
	return instance, kept, nil
}
