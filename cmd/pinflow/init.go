package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/pipelines"
)

// initCmd writes the shipped definition out to be changed.
type initCmd struct {
	Dir string `arg:"" help:"The folder to make; it must be empty or not there." placeholder:"DIR"`
}

// Help is shown by --help.
func (initCmd) Help() string {
	return `Example:

  pinflow init mine && pinflow check mine && pinflow up --pipeline mine --data mine-data`
}

// Run writes the files.
func (c initCmd) Run(t terminal) error {
	failed := func(kind pinflow.Kind, err error, hint string) error {
		return &pinflow.Error{Op: "write definition", On: c.Dir, Kind: kind, Err: err, Hint: hint}
	}
	there, err := os.ReadDir(c.Dir)
	switch {
	case err == nil && len(there) > 0:
		return failed(pinflow.Exists, fmt.Errorf("the folder is not empty"), "Give a new folder.")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return failed(pinflow.Invalid, err, "Give a new folder.")
	}
	files, err := pipelines.Shipped(pipelines.Default)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(c.Dir)), 0o755); err != nil {
		return failed(pinflow.Internal, err, "")
	}
	if err := os.CopyFS(c.Dir, files); err != nil {
		return failed(pinflow.Internal, err, "")
	}
	fmt.Fprintf(t.out, "The %s definition is in %s. Change it, then: pinflow check %s\n", pipelines.Default, c.Dir, c.Dir)
	return nil
}
