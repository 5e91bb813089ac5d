package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/pipelines"
	"github.com/pinflow/pinflow/refine/plan"
)

// definitionFiles returns the files of the definition in dir, or of the shipped one if dir is "", and what they
// are called where files are shown.
func definitionFiles(dir string) (fs.FS, string, error) {
	if dir == "" {
		files, err := pipelines.Shipped(pipelines.Default)
		return files, pipelines.Default, err
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("it is not a folder")
	}
	if err != nil {
		return nil, "", &pinflow.Error{Op: "read definition", On: dir, Kind: pinflow.NotFound, Err: err,
			Hint: "Give the folder that holds pipeline.yaml; pinflow init makes one."}
	}
	return os.DirFS(dir), dir, nil
}

// compile loads and compiles a definition. All faults of its files and of their SQL come at once.
func compile(ctx context.Context, dir string) (*pinflow.Definition, *pinflow.Plan, []pinflow.Fault, error) {
	files, at, err := definitionFiles(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	d, faults := pipelines.Load(files, at)
	if d == nil {
		return nil, nil, faults, nil
	}
	p, more, err := plan.Compile(ctx, d)
	if ctx.Err() != nil { // to the compiler that looks like a fault of the SQL
		return nil, nil, nil, &pinflow.Error{Op: "compile definition", On: at, Err: ctx.Err()}
	}
	return d, p, distinct(append(faults, more...)), err
}

// mustCompile compiles a definition that a command is to run; its faults are printed.
func mustCompile(ctx context.Context, dir string, stderr io.Writer) (*pinflow.Plan, error) {
	_, p, faults, err := compile(ctx, dir)
	if err != nil {
		return nil, err
	}
	if len(faults) > 0 {
		printFaults(stderr, faults)
		return nil, errFaults
	}
	return p, nil
}

// distinct drops what both the loader and the compiler have found.
func distinct(faults []pinflow.Fault) []pinflow.Fault {
	var out []pinflow.Fault
	for _, f := range faults {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

func printFaults(w io.Writer, faults []pinflow.Fault) {
	for _, f := range faults {
		fmt.Fprintln(w, f)
	}
	fmt.Fprintln(w, count(len(faults), "fault"))
}
