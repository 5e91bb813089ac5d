// Package pipelinetest holds a definition that has nothing of the shipped one, for tests that a thing
// knows no pipeline: two sources with other keys, partition counts and types, every aggregate that merges, models that keep the
// latest row of a key or the first, rows that are rejected by SQL and by a failing cast, reports, and records for it, valid and not.
package pipelinetest

import (
	"embed"
	"io/fs"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/pipelines"
)

//go:embed shop
var shop embed.FS

// Files returns the files of the definition.
func Files(t testing.TB) fs.FS {
	t.Helper()
	files, err := fs.Sub(shop, "shop")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Definition returns the definition: sources sale (keyed by text, 4 partitions) and reading (keyed by a
// number, 3 partitions); models sales, readings (no rows kept) and levels (recent ones); of those with a key orders (the latest of
// each), requests (the first, by an id that many lack) and sensors.
func Definition(t testing.TB) *pinflow.Definition {
	t.Helper()
	d, faults := pipelines.Load(Files(t), "shop")
	for _, f := range faults {
		t.Error(f)
	}
	if t.Failed() {
		t.FailNow()
	}
	return d
}
