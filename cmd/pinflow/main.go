package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/pinflow/pinflow"
)

// version is set by the linker.
var version = "unknown"

// The exit codes. They are part of the contract with scripts.
const (
	exitDone       = 0
	exitFailed     = 1
	exitUsage      = 2
	exitDifference = 3
)

func main() {
	// A second signal ends the process at once, unless it comes with the first: those who stop a process often tell its whole group too.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { time.AfterFunc(impatience, stop) })
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// impatience is how long after the first signal another one means that the process is to end at once.
const impatience = time.Second

// terminal is where a command writes: results to out, all else to err.
type terminal struct{ out, err io.Writer }

// exit carries the code with which kong wants to end the process out of its depths.
type exit int

// run runs one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		if e := recover(); e != nil {
			asked, ok := e.(exit)
			if !ok {
				panic(e)
			}
			code = int(asked)
		}
	}()
	var commands cli
	parser, err := kong.New(&commands, options(ctx, terminal{stdout, stderr})...)
	if err != nil {
		fmt.Fprintln(stderr, "pinflow:", err)
		return exitFailed
	}
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case len(args) == 1 && args[0] == "--version":
		args = []string{"version"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "pinflow: %v\n", err)
		var wrong *kong.ParseError
		if errors.As(err, &wrong) && wrong.Context != nil {
			command := parser.Model.Node
			if selected := wrong.Context.Selected(); selected != nil {
				command = selected
			}
			fmt.Fprintf(stderr, "See %s --help.\n", command.FullPath())
		}
		return exitUsage
	}
	return exitCode(parsed.Run(), stderr)
}

// exitCode prints an error and returns the code it stands for.
func exitCode(err error, stderr io.Writer) int {
	var wrong usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errFaults): // printed already
		return exitFailed
	}
	fmt.Fprintln(stderr, "pinflow:", err)
	switch {
	case errors.As(err, &wrong):
		return exitUsage
	case pinflow.KindOf(err) == pinflow.Difference:
		return exitDifference
	}
	return exitFailed
}

// usageError is a fault of the command line that only the command itself can see.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errFaults ends a command that has printed what is wrong.
var errFaults = errors.New("there are faults")
