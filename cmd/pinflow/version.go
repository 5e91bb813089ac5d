package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCmd tells what this binary is made of.
type versionCmd struct{}

// Help is shown by --help.
func (versionCmd) Help() string { return "Example:\n\n  pinflow version" }

// Run prints the version and those of the parts that decide about data.
func (versionCmd) Run(t terminal) error {
	fmt.Fprintf(t.out, "pinflow %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, m := range info.Deps {
		switch m.Path {
		case "github.com/duckdb/duckdb-go/v2", "github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kfake":
			fmt.Fprintf(t.out, "  %s %s\n", m.Path, m.Version)
		}
	}
	return nil
}
