// Package pipelines holds the definitions that ship with Pinflow and reads definitions from their files:
//
//	pipeline.yaml        name, sources (route, topic, JSON Schema, key) and models (from, key, keep, rows)
//	schemas/<source>.json  unless the source names another file
//	models/<model>.sql   cleaning: one SELECT over the source, row by row; models can share a file by naming it in sql
//	metrics/*.sql        the file's name is the metric's, its first comment the description
//	reports/*.sql        any SQL over models
//	tests/*.yaml         sample records in, expected rows out
//
// Reading finds what is wrong with the files themselves, all of it at once; what the SQL in them
// means is for the plan compiler.
package pipelines

import (
	"embed"
	"fmt"
	"io/fs"

	"github.com/pinflow/pinflow"
)

// Default is the name of the definition that is used unless another is given.
const Default = "pinterest"

//go:embed pinterest
var shipped embed.FS

// Shipped returns the files of a definition that ships; NotFound if there is none of that name.
func Shipped(name string) (fs.FS, error) {
	if info, err := fs.Stat(shipped, name); err != nil || !info.IsDir() || !fs.ValidPath(name) || name == "." {
		return nil, &pinflow.Error{Op: "find shipped pipeline", On: name, Kind: pinflow.NotFound,
			Err: fmt.Errorf("no such pipeline ships"), Hint: "These ship: " + Default + "."}
	}
	return fs.Sub(shipped, name)
}
