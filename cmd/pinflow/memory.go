package main

import (
	"os"
	"runtime/debug"

	"github.com/pinflow/pinflow/internal/duck"
)

// goMemory is what Go's heap keeps to where it can, but for what a batch or a live worker has for records beyond what both have in pinflow up: with DuckDB's
// own limit beside it, pinflow up with the default settings stays below 512 MiB. Beyond, the collector works harder; nothing fails.
const goMemory = 112 << 20

// The memory for records, if it is not set: of the batch and of a live worker in a process that takes posts too, of the batch in one that does not, and of a
// live worker in one that does nothing else.
const (
	besideOthers = 24 << 20
	batchAlone   = 192 << 20
	streamAlone  = 96 << 20
)

// batchMemory is what the batch has for records.
func (c *core) batchMemory() int64 {
	switch {
	case c.BatchMemory > 0:
		return int64(c.BatchMemory)
	case c.builds:
		return besideOthers
	}
	return batchAlone
}

// streamMemory is what each live worker has for records.
func (c *core) streamMemory() int64 {
	switch {
	case c.StreamMemory > 0:
		return int64(c.StreamMemory)
	case c.workers > 0:
		return streamAlone
	}
	return besideOthers
}

// roomForStream lets Go's heap hold the records of the live workers, and as much again of what is not collected yet.
func (c *core) roomForStream() {
	if os.Getenv("GOMEMLIMIT") == "" && c.workers > 0 {
		debug.SetMemoryLimit(goMemory + 3*int64(c.workers)*c.streamMemory()/2)
	}
}

// duckDB is how this process has its DuckDB. Workers that do nothing else have their statements each on a thread of its own; one of DuckDB's beside them
// would mostly wait, which costs processor time. A batch takes about as much there as its records do, and there are two in hand.
func (c *core) duckDB() duck.Options {
	o := duckDBOf(c.Settings, c.dir)
	if c.workers > 0 {
		o.Memory, o.Threads = max(o.Memory, 2*int64(c.workers)*c.streamMemory()), 1
	}
	return o
}

// leastFetch is how many bytes a reader of the journal gets at a time.
const leastFetch = 8 << 20

// fetchBytes is how many it gets in this process: few steps to a batch of a live worker.
func (c *core) fetchBytes() int64 { return max(leastFetch, c.streamMemory()/3) }

// roomForBatch lets Go's heap hold the records of a batch, and as much again of what is not collected yet.
func (c *core) roomForBatch() {
	if os.Getenv("GOMEMLIMIT") == "" && !c.builds {
		debug.SetMemoryLimit(goMemory + 3*c.batchMemory()/2)
	}
}

// limitMemory makes the collector give memory back before the heap has doubled, unless the user has decided
// otherwise with GOMEMLIMIT.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(goMemory)
	}
}
