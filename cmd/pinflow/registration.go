package main

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// registration remembers what a part of the process has registered, so that the part can be made anew.
type registration struct {
	prometheus.Registerer
	mu  sync.Mutex
	own []prometheus.Collector
}

// Register implements prometheus.Registerer.
func (r *registration) Register(c prometheus.Collector) error {
	if err := r.Registerer.Register(c); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own = append(r.own, c)
	return nil
}

// MustRegister implements prometheus.Registerer.
func (r *registration) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic(err) // what the interface asks for
		}
	}
}

// drop unregisters all.
func (r *registration) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.own {
		r.Unregister(c)
	}
	r.own = nil
}
