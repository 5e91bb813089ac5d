package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/web"
	"github.com/pinflow/pinflow/web/client"
)

// batchCmd seals and installs closed periods.
type batchCmd struct {
	worker
	Period string `help:"This log period only, by its name in the lake." placeholder:"PERIOD"`
	From   string `help:"The first log period of a range." placeholder:"PERIOD"`
	To     string `help:"The last log period of a range, which is included." placeholder:"PERIOD"`
	Rerun  bool   `help:"Also periods that are installed already."`
	Wait   bool   `help:"Wait until the period can be sealed, or without one all that have ended."`
}

// Help is shown by --help.
func (batchCmd) Help() string {
	return `Seals the log periods that have ended, computes each again from the lake's records, compares that with what the live half has counted, and installs it. Without a period it takes every one that is not installed yet. Running it again changes nothing.

Exit code 3: a comparison found a difference.

Examples:

  pinflow batch
  pinflow batch --period 2026-11-22
  pinflow batch --from 2026-11-01 --to 2026-11-22 --rerun`
}

// Run has the batch run.
func (c *batchCmd) Run(ctx context.Context, t terminal) error {
	if c.Period != "" && (c.From != "" || c.To != "") {
		return usageError{errors.New("--period is one period, --from and --to are a range: give the one or the other")}
	}
	var result *web.BatchResult
	err := c.ask(ctx, t, func(api client.Client) (err error) {
		bar := newWorkBar(t.err)
		result, err = api.Batch(ctx, web.BatchRequest{Period: c.Period, From: c.From, To: c.To, Rerun: c.Rerun, Wait: c.Wait}, bar.show)
		bar.end()
		return err
	})
	if result != nil {
		err = errors.Join(printBatch(t.out, c.Output, result), err)
	}
	if err == nil && result.Differing() {
		return differs("batch")
	}
	return err
}

// printBatch shows what a batch did.
func printBatch(w io.Writer, output string, r *web.BatchResult) error {
	rows := &pinflow.Result{Columns: []pinflow.Column{{Name: "period", Type: "VARCHAR"}, {Name: "records", Type: "BIGINT"}, {Name: "seconds", Type: "DOUBLE"},
		{Name: "compared", Type: "BIGINT"}, {Name: "differing", Type: "BIGINT"}, {Name: "note", Type: "VARCHAR"}}}
	for _, p := range r.Periods {
		row := []any{p.Period, p.Records, float64(int(p.Seconds*1000)) / 1000, nil, nil, nil}
		switch c := p.Comparison; {
		case p.Unchanged:
			row[5] = "it was installed already"
		case c != nil && c.Why == "":
			row[3], row[4] = c.Rows, c.Differing
		case c != nil:
			row[5] = "not compared: " + c.Why
		}
		rows.Rows = append(rows.Rows, row)
	}
	if output != "table" {
		return printResult(w, output, rows)
	}
	if err := printTable(w, rows.Columns, rows.Rows, ""); err != nil || r.Waits == "" {
		return err
	}
	_, err := fmt.Fprintln(w, "Waiting to be sealed:", r.Waits)
	return err
}
