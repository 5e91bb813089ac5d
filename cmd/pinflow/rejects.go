package main

import (
	"context"
	"net/url"
	"strconv"

	"github.com/pinflow/pinflow/web/client"
)

// rejectsCmd shows records that were not accepted.
type rejectsCmd struct {
	List rejectsList `cmd:"" help:"List them, the newest first."`
}

// rejectsList lists rejects.
type rejectsList struct {
	reader
	Where string `help:"Only rows for which this SQL expression over model, topic, partition, offset, reason … holds." placeholder:"EXPR"`
	Limit int    `help:"At most so many." default:"100" placeholder:"N"`
}

// Help is shown by --help.
func (rejectsList) Help() string {
	return `Records that lie in the journal and the lake but satisfy no model, with the reason; payloads are base64 in JSON.

Example: pinflow rejects list --limit 10`
}

// Run lists them.
func (c *rejectsList) Run(ctx context.Context, t terminal) error {
	return c.ask(ctx, t, func(api client.Client) error {
		params := url.Values{"limit": {strconv.Itoa(c.Limit)}}
		if c.Where != "" {
			params.Set("filter", c.Where)
		}
		result, err := api.Rejects(ctx, params)
		if err != nil {
			return err
		}
		return printResult(t.out, c.Output, result)
	})
}
