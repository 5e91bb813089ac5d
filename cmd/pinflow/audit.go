package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/web"
	"github.com/pinflow/pinflow/web/client"
)

// auditCmd proves the numbers.
type auditCmd struct {
	worker
	Deep        bool   `help:"Compute everything anew from the lake's records, apart from the stored Parquet, and compare that with it and with the store."`
	Record      bool   `help:"With --deep: record what the store was compared with; an equal comparison settles a difference that was recorded."`
	Acknowledge string `help:"Take the difference that is recorded of this period as seen; nothing is audited." placeholder:"PERIOD"`
}

// Help is shown by --help.
func (auditCmd) Help() string {
	return `Holds journal, lake, derived files and store to one another: per log period and partition a row of counts that must add up, whatever does not hold with the place where, and every comparison of live and batch rows that was recorded.

Exit code 3: something does not hold, or a recorded difference stands.

Examples:

  pinflow audit
  pinflow audit --deep --output json
  pinflow audit --acknowledge 2026-11-22`
}

// Run audits.
func (c *auditCmd) Run(ctx context.Context, t terminal) error {
	if c.Acknowledge != "" && (c.Deep || c.Record) {
		return usageError{errors.New("--acknowledge audits nothing: leave --deep and --record out")}
	}
	if c.Record && !c.Deep {
		return usageError{errors.New("--record needs --deep")}
	}
	return c.ask(ctx, t, func(api client.Client) error {
		if c.Acknowledge != "" {
			return api.Acknowledge(ctx, c.Acknowledge)
		}
		bar := newWorkBar(t.err)
		report, err := api.Audit(ctx, web.AuditRequest{Deep: c.Deep, Record: c.Record}, bar.show)
		bar.end()
		if err != nil {
			return err
		}
		if err := printAudit(t.out, c.Output, report); err != nil || report.OK {
			return err
		}
		return &pinflow.Error{Op: "audit", Kind: pinflow.Difference, Err: fmt.Errorf("%s", count(len(report.Findings)+int(report.MoreFindings), "finding"))}
	})
}

// printAudit shows a report: as JSON whole, as CSV its counts.
func printAudit(w io.Writer, output string, r *pinflow.AuditReport) error {
	if output == "json" {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	columns, rows := countRows(r)
	if output == "csv" {
		return printResult(w, output, &pinflow.Result{Columns: columns, Rows: rows})
	}
	if err := printTable(w, columns, rows, ""); err != nil {
		return err
	}
	columns, rows = comparisonRows(r)
	fmt.Fprintln(w)
	if err := printTable(w, columns, rows, ""); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, n := range r.Notes {
		fmt.Fprintln(w, "Note:", n)
	}
	for _, f := range r.Findings {
		printFinding(w, f)
	}
	if r.MoreFindings > 0 {
		fmt.Fprintf(w, "… and %d more\n", r.MoreFindings)
	}
	verdict := "All adds up."
	if !r.OK {
		verdict = "It does not add up."
	}
	if !r.Deep {
		verdict += " Nothing was computed anew: --deep does that."
	}
	_, err := fmt.Fprintln(w, verdict)
	return err
}

func printFinding(w io.Writer, f pinflow.Finding) {
	fmt.Fprintf(w, "%s: %s: %s", f.Kind, f.Where, f.What)
	if f.Expected != "" || f.Found != "" {
		fmt.Fprintf(w, " (expected %s, found %s)", f.Expected, f.Found)
	}
	fmt.Fprintln(w)
	for _, s := range f.Samples {
		fmt.Fprintf(w, "    found    %s\n    expected %s\n", orNone(s.Live), orNone(s.Batch))
	}
	if f.Do != "" {
		fmt.Fprintln(w, "   ", f.Do)
	}
}

func orNone(row string) string {
	if row == "" {
		return "no row"
	}
	return row
}

// countRows are a report's counts, a row per period, partition and model.
func countRows(r *pinflow.AuditReport) ([]pinflow.Column, [][]any) {
	columns := []pinflow.Column{{Name: "period", Type: "VARCHAR"}, {Name: "state", Type: "VARCHAR"}, {Name: "partition", Type: "VARCHAR"}, {Name: "offsets", Type: "VARCHAR"},
		{Name: "journal", Type: "BIGINT"}, {Name: "lake", Type: "BIGINT"}, {Name: "sealed", Type: "BIGINT"}, {Name: "model", Type: "VARCHAR"}, {Name: "batch_accepted", Type: "BIGINT"},
		{Name: "batch_rejected", Type: "BIGINT"}, {Name: "store_accepted", Type: "BIGINT"}, {Name: "store_rejected", Type: "BIGINT"}, {Name: "store_rows", Type: "BIGINT"}}
	var rows [][]any
	for _, c := range r.Counts {
		row := []any{c.Period, string(c.State), c.TopicPartition.String(), fmt.Sprintf("%d–%d", c.Start, c.End), known(c.Journal), known(c.Lake), known(c.Sealed), nil, nil, nil, nil, nil, nil}
		for _, m := range c.Models {
			of := append([]any(nil), row...)
			of[7], of[12] = m.Model, known(m.Rows)
			if m.Batch != nil {
				of[8], of[9] = m.Batch.Accepted, m.Batch.Rejected
			}
			if m.Store != nil {
				of[10], of[11] = m.Store.Accepted, m.Store.Rejected
			}
			rows = append(rows, of)
		}
		if len(c.Models) == 0 {
			rows = append(rows, row)
		}
	}
	return columns, rows
}

func known(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}

// comparisonRows are the comparisons that were recorded.
func comparisonRows(r *pinflow.AuditReport) ([]pinflow.Column, [][]any) {
	columns := []pinflow.Column{{Name: "compared_period", Type: "VARCHAR"}, {Name: "at", Type: "TIMESTAMPTZ"}, {Name: "rows", Type: "BIGINT"}, {Name: "differing", Type: "BIGINT"}, {Name: "note", Type: "VARCHAR"}}
	var rows [][]any
	for _, c := range r.Comparisons {
		row := []any{c.Name, c.At, c.Rows, c.Differing, nil}
		switch {
		case c.Why != "":
			row[2], row[3], row[4] = nil, nil, "not compared: "+c.Why
		case c.Standing:
			row[4] = "the difference stands"
		case c.Acknowledged:
			row[4] = "acknowledged"
		case c.Differing > 0:
			row[4] = "settled since"
		}
		rows = append(rows, row)
	}
	return columns, rows
}
