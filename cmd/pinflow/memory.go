package main

import (
	"os"
	"runtime/debug"
)

// goMemory is what Go's heap keeps to where it can: with DuckDB's own limit beside it, a process with the
// default settings stays below 512 MiB. Beyond, the collector works harder; nothing fails.
const goMemory = 112 << 20

// limitMemory makes the collector give memory back before the heap has doubled, unless the user has decided
// otherwise with GOMEMLIMIT.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(goMemory)
	}
}
