package main

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/web/client"
)

// reportCmd runs a report.
type reportCmd struct {
	worker
	Name  string   `arg:"" optional:"" help:"The report's name; without one, all reports are listed."`
	AsOf  string   `help:"Over the state at the end of this log period, instead of everything up to now." placeholder:"PERIOD"`
	After []string `help:"Wait until this record (topic:partition:offset, as in a receipt) is counted." placeholder:"RECEIPT"`
}

// Help is shown by --help.
func (reportCmd) Help() string {
	return `Reports are any SQL over models and metrics: over everything up to now, or as of the end of a log period that the batch has installed.

Examples:

  pinflow report
  pinflow report top_tags
  pinflow report top_tags --as-of 2026-11-22 --output csv`
}

// Run shows the report.
func (c *reportCmd) Run(ctx context.Context, t terminal) error {
	switch {
	case c.Name == "" && (c.AsOf != "" || len(c.After) > 0):
		return usageError{errors.New("--as-of and --after need a report's name")}
	case c.AsOf != "" && len(c.After) > 0:
		return usageError{errors.New("--after waits for the present, --as-of is the past: give the one or the other")}
	}
	return c.from()(ctx, t, func(api client.Client) error {
		if c.Name == "" {
			return c.list(ctx, t, api)
		}
		params := url.Values{"after": c.After}
		if c.AsOf != "" {
			params = url.Values{"as_of": {c.AsOf}}
		}
		result, err := api.Report(ctx, c.Name, params)
		if err != nil {
			return err
		}
		return printResult(t.out, c.Output, result)
	})
}

// from returns who is asked: for the past it takes the lake, for the present the store alone will do.
func (c *reportCmd) from() func(context.Context, terminal, func(client.Client) error) error {
	if c.AsOf != "" {
		return c.ask
	}
	r := &reader{Places: c.Places, DuckDBMemory: c.DuckDBMemory, credentials: c.credentials, At: c.At}
	return r.ask
}

// list shows which reports there are.
func (c *reportCmd) list(ctx context.Context, t terminal, api client.Client) error {
	reports, err := api.Reports(ctx)
	if err != nil {
		return err
	}
	result := &pinflow.Result{Columns: []pinflow.Column{{Name: "report", Type: "VARCHAR"}, {Name: "columns", Type: "VARCHAR"}, {Name: "description", Type: "VARCHAR"}}}
	for _, r := range reports {
		names := make([]string, len(r.Columns))
		for i, column := range r.Columns {
			names[i] = column.Name
		}
		result.Rows = append(result.Rows, []any{r.Name, strings.Join(names, ", "), r.Description})
	}
	return printResult(t.out, c.Output, result)
}
