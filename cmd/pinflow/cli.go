package main

import (
	"context"
	"log/slog"

	"github.com/alecthomas/kong"

	"github.com/pinflow/pinflow/config"
)

// cli is every command, in the order in which --help shows them.
type cli struct {
	config.File

	Up         upCmd         `cmd:"" help:"Run everything in one process."`
	Ingest     ingestCmd     `cmd:"" help:"Take posts, and nothing else."`
	Lake       lakeCmd       `cmd:"" help:"Write the journal's records to a lake, and nothing else."`
	Stream     streamCmd     `cmd:"" help:"Count what arrives into the metrics, and nothing else."`
	Batch      batchCmd      `cmd:"" help:"Seal the log periods that have ended, compute them anew from the lake, compare and install."`
	Schedule   scheduleCmd   `cmd:"" help:"Run the batch after each log period's end."`
	Web        webCmd        `cmd:"" help:"Serve metrics, SQL, audits and the page, and nothing else."`
	Emulate    emulateCmd    `cmd:"" help:"Post made-up pins, or the rows of a file, to a running Pinflow."`
	Topic      topicCmd      `cmd:"" help:"Make, show and read topics of the journal or of any Kafka."`
	Metric     metricCmd     `cmd:"" help:"Show a metric, exact for the position it names."`
	Report     reportCmd     `cmd:"" help:"Run a report over everything up to now, or as of a log period."`
	SQL        sqlCmd        `cmd:"" name:"sql" help:"Ask metrics and models in SQL."`
	Rejects    rejectsCmd    `cmd:"" help:"Show the records that were not accepted, and why."`
	Audit      auditCmd      `cmd:"" help:"Prove the numbers: hold journal, lake, derived files and store to one another."`
	Generation generationCmd `cmd:"" help:"List, build, switch and drop what was made by one definition."`
	Key        keyCmd        `cmd:"" help:"Make, list and revoke the keys that clients need."`
	Check      checkCmd      `cmd:"" help:"Show everything that is wrong with a pipeline's definition."`
	Doctor     doctorCmd     `cmd:"" help:"Look at every place: whether it answers, and whether rights and settings are right."`
	Init       initCmd       `cmd:"" help:"Write the shipped definition out, to be changed."`
	Version    versionCmd    `cmd:"" help:"Tell the versions of this binary and of what it is built on."`
}

func options(ctx context.Context, t terminal) []kong.Option {
	return []kong.Option{
		config.Kong(),
		kong.Name("pinflow"),
		kong.Description("Pinflow takes posted events, keeps every one of them in an open lake, and serves metrics over history and the last second that are exact.\n\n" +
			"Examples:\n\n  pinflow up --emulate\n  pinflow metric category_popularity\n\n" +
			"Exit codes: 0 done, 1 failed, 2 usage, 3 the audit found a difference."),
		kong.Writers(t.out, t.err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.ValueFormatter(explain),
		kong.PostBuild(hideIdle),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(t),
	}
}

// newLog makes the process's log, which goes to stderr: stdout carries results only.
func newLog(l config.Logging, t terminal) *slog.Logger {
	o := &slog.HandlerOptions{Level: l.LogLevel}
	if l.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(t.err, o))
	}
	return slog.New(slog.NewTextHandler(t.err, o))
}
