package main

import (
	"context"
	"net/url"

	"github.com/pinflow/pinflow/web/client"
)

// sqlCmd runs one SELECT.
type sqlCmd struct {
	reader
	Query string   `arg:"" help:"One SELECT over metrics, models and rejects, in DuckDB's SQL."`
	After []string `help:"Wait until this record (topic:partition:offset, as in a receipt) is counted." placeholder:"RECEIPT"`
}

// Help is shown by --help.
func (sqlCmd) Help() string {
	return `Of the running Pinflow, or of the data at rest. Every metric and model is a table of its name.

Example:

  pinflow sql "SELECT media, count(*) AS posts FROM posts GROUP BY media"`
}

// Run asks.
func (c *sqlCmd) Run(ctx context.Context, t terminal) error {
	return c.ask(ctx, t, func(api client.Client) error {
		result, err := api.SQL(ctx, c.Query, url.Values{"after": c.After})
		if err != nil {
			return err
		}
		return printResult(t.out, c.Output, result)
	})
}
