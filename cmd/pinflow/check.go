package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/pinflow/pinflow"
)

// checkCmd reports every fault of a definition.
type checkCmd struct {
	Dir    string `arg:"" optional:"" help:"The folder of the definition; without one, the shipped one." placeholder:"DIR"`
	Output string `help:"How faults are written: table or json." enum:"table,json" default:"table" short:"o" placeholder:"FORMAT"`
}

// Help is shown by --help.
func (checkCmd) Help() string {
	return `Shows all faults at once, each with file, line and what to do; exits with 1 if there are any.

Example:

  pinflow check mine`
}

// Run checks the definition.
func (c checkCmd) Run(ctx context.Context, t terminal) error {
	d, p, faults, err := compile(ctx, c.Dir)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		if faults == nil {
			faults = []pinflow.Fault{}
		}
		if err := json.NewEncoder(t.out).Encode(faults); err != nil {
			return err
		}
	} else if len(faults) > 0 {
		printFaults(t.out, faults)
	}
	if len(faults) > 0 {
		return errFaults
	}
	if c.Output == "table" {
		fmt.Fprintf(t.out, "%s: %s, %s, %s; no faults (generation %s)\n", d.Name,
			count(len(d.Sources), "source"), count(len(d.Models), "model"), count(len(d.Metrics), "metric"), p.Generation)
	}
	return nil
}

// count writes a number with its unit.
func count(n int, unit string) string {
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, unit)
}
