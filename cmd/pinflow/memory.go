package main

import (
	"os"
	"runtime/debug"

	"github.com/pinflow/pinflow/internal/duck"
)

// goMemory is what Go's heap keeps to where it can, but for what a batch or a live worker has for records beyond what both have in pinflow up: with DuckDB's
// own limit beside it, pinflow up with the default settings stays below 512 MiB. Beyond, the collector works harder; nothing fails.
const goMemory = 112 << 20

// The memory for records, if it is not set: of the batch and of a live worker in a process that takes posts too, and of the batch or all live workers in one
// that does not.
const (
	besideOthers = 24 << 20
	alone        = 192 << 20
)

// batchMemory is what the batch has for records.
func (c *core) batchMemory() int64 {
	switch {
	case c.BatchMemory > 0:
		return int64(c.BatchMemory)
	case c.builds:
		return besideOthers
	}
	return alone
}

// workerMemory is what each of so many live workers has for records.
func (c *core) workerMemory(workers int) int64 {
	switch {
	case c.StreamMemory > 0:
		return int64(c.StreamMemory) / int64(workers)
	case c.workers > 0:
		return alone / int64(workers)
	}
	return besideOthers
}

// duckDB is how this process has its DuckDB. Workers that do nothing else have their statements each on a thread of its own; one of DuckDB's beside them
// would mostly wait, which costs processor time. A batch takes about as much there as its records do, and there are two in hand.
func (c *core) duckDB() duck.Options {
	o := duckDBOf(c.Settings, c.dir)
	if c.workers > 0 {
		o.Memory, o.Threads = max(o.Memory, 2*int64(c.workers)*c.workerMemory(c.workers)), 1
	}
	return o
}

// leastFetch is how many bytes a reader of the journal gets at a time.
const leastFetch = 8 << 20

// fetchBytes is how many it gets in this process: few steps to a batch of a live worker, where there is nothing else.
func (c *core) fetchBytes() int64 {
	if c.workers == 0 {
		return leastFetch
	}
	return max(leastFetch, c.workerMemory(c.workers)/3)
}

// limitMemory makes the collector give memory back before the heap has doubled, unless the user has decided
// otherwise with GOMEMLIMIT.
func limitMemory() { roomFor(0) }

// roomFor does so too, and lets the heap hold that many bytes of records besides, and half as much again of what is not collected yet.
func roomFor(records int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(goMemory + 3*records/2)
	}
}
