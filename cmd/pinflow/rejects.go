package main

import (
	"context"
	"errors"
	"net/url"
	"strconv"

	"github.com/pinflow/pinflow/web/client"
)

// rejectsCmd shows records that were not accepted.
type rejectsCmd struct {
	List rejectsList `cmd:"" help:"List the records that were not accepted, the newest first."`
}

// Help is shown by --help.
func (rejectsCmd) Help() string {
	return `Example:

  pinflow rejects list --limit 10`
}

// rejectsList lists rejects.
type rejectsList struct {
	reader
	Where string   `help:"Only rows for which this SQL expression over model, topic, partition, offset, reason … holds." placeholder:"EXPR"`
	Limit int      `help:"At most so many." default:"100" placeholder:"N"`
	After []string `help:"Wait until this record (topic:partition:offset, as in a receipt) is counted." placeholder:"RECEIPT"`
}

// Help is shown by --help.
func (rejectsList) Help() string {
	return `Records that lie in the journal and the lake but that a model does not accept, with the reason. Payloads are base64 in JSON and CSV.

Examples:

  pinflow rejects list --where "reason LIKE '%JSON%'"
  pinflow rejects list --limit 10`
}

// Run lists them.
func (c *rejectsList) Run(ctx context.Context, t terminal) error {
	if c.Limit < 1 {
		return usageError{errors.New("--limit is at least 1")}
	}
	return c.ask(ctx, t, func(api client.Client) error {
		params := url.Values{"limit": {strconv.Itoa(c.Limit)}, "after": c.After}
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
