package main

import (
	"context"
	"sync"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/s3"
)

// readParts finds files for those who only read. A bucket is opened when the first query needs a file of it: most need none, and not everybody who may
// read the store may read the lake.
type readParts struct {
	settings *config.Settings
	cache    string // a folder for copies
	closers  *closers

	mu      sync.Mutex
	objects pinflow.Objects
	area    *lake.DerivedArea
}

// folder opens the lake if it is a folder; of a bucket it returns nil.
func (r *readParts) folder(ctx context.Context) (pinflow.Objects, error) {
	_, bucket, err := config.ParseLake(r.settings.LakeURL())
	if err != nil || bucket != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open(ctx)
}

// open opens the lake unless it is open. The caller holds the lock.
func (r *readParts) open(ctx context.Context) (_ pinflow.Objects, err error) {
	if r.objects == nil {
		r.objects, err = openLakeWith(ctx, r.settings, s3.Options{ReadOnly: true}, r.closers)
	}
	return r.objects, err
}

// stage implements stageFunc.
func (r *readParts) stage(ctx context.Context, p pinflow.Part) (pinflow.Part, func(), error) {
	area, err := r.derived(ctx)
	if err != nil {
		return p, nil, err
	}
	return area.Stage(ctx, p)
}

func (r *readParts) derived(ctx context.Context) (*lake.DerivedArea, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	objects, err := r.open(ctx)
	if err == nil && r.area == nil {
		// Only files that are named are read, whatever the log period.
		r.area, err = lake.NewDerived(lake.DerivedOptions{Objects: objects, PeriodLength: pinflow.DefaultPeriodLength, CacheDir: r.cache, CacheBytes: cacheBytes})
	}
	return r.area, err
}
