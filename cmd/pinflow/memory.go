package main

import (
	"os"
	"runtime/debug"
)

// goMemory is what Go's heap keeps to where it can: with DuckDB's own limit beside it, a process with the
// default settings stays below 512 MiB. Beyond, the collector works harder; nothing fails.
const goMemory = 112 << 20

// The memory for the records of the batch, if it is not set: in a process that takes posts and counts them too, and in one that does not.
const (
	besideLive = 24 << 20
	alone      = 192 << 20
)

// batchMemory is what the batch has for records.
func (c *core) batchMemory() int64 {
	switch {
	case c.BatchMemory > 0:
		return int64(c.BatchMemory)
	case c.builds:
		return besideLive
	}
	return alone
}

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
