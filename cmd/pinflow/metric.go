package main

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/web/client"
)

// metricCmd shows a metric.
type metricCmd struct {
	reader
	Name  string   `arg:"" optional:"" help:"The metric's name; without one, all metrics are listed."`
	Where string   `help:"Only rows for which this SQL expression over the metric's columns holds." placeholder:"EXPR"`
	Order string   `help:"Columns to order by, as in: posts desc, category." placeholder:"COLUMNS"`
	Limit int      `help:"At most so many rows; 0 for all." default:"0" placeholder:"N"`
	After []string `help:"Wait until this record (topic:partition:offset, as in a receipt) is counted." placeholder:"RECEIPT"`
}

// Help is shown by --help.
func (metricCmd) Help() string {
	return `Of the running Pinflow, or of the data at rest.

Examples:

  pinflow metric
  pinflow metric category_popularity --order 'number_of_records desc' --limit 5
  pinflow metric posts_per_window --where "total_items > 10" --output csv`
}

// Run shows the metric.
func (c *metricCmd) Run(ctx context.Context, t terminal) error {
	if c.Limit < 0 {
		return usageError{errors.New("--limit can't be negative")}
	}
	if c.Name == "" && (c.Where != "" || c.Order != "" || c.Limit > 0 || len(c.After) > 0) {
		return usageError{errors.New("--where, --order, --limit and --after need a metric's name")}
	}
	return c.ask(ctx, t, func(api client.Client) error {
		if c.Name == "" {
			return c.list(ctx, t, api)
		}
		params := url.Values{}
		set := func(name, value string) {
			if value != "" {
				params.Set(name, value)
			}
		}
		set("filter", c.Where)
		set("order", strings.TrimSpace(c.Order))
		if c.Limit != 0 {
			set("limit", strconv.Itoa(c.Limit))
		}
		params["after"] = c.After
		result, err := api.Metric(ctx, c.Name, params)
		if err != nil {
			return err
		}
		return printResult(t.out, c.Output, result)
	})
}

// list shows which metrics there are.
func (c *metricCmd) list(ctx context.Context, t terminal, api client.Client) error {
	metrics, err := api.Metrics(ctx)
	if err != nil {
		return err
	}
	result := &pinflow.Result{Columns: []pinflow.Column{{Name: "metric", Type: "VARCHAR"}, {Name: "columns", Type: "VARCHAR"}, {Name: "description", Type: "VARCHAR"}}}
	for _, m := range metrics {
		names := make([]string, len(m.Columns))
		for i, column := range m.Columns {
			names[i] = column.Name
		}
		result.Rows = append(result.Rows, []any{m.Name, strings.Join(names, ", "), m.Description})
	}
	return printResult(t.out, c.Output, result)
}
