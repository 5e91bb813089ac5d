package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// reportTable names the table of a report's rows.
func reportTable(report string) string { return "report:" + report }

// createReports makes the tables of the plan's reports, empty, unless they are there.
func createReports(ctx context.Context, tx *sql.Tx, p *pinflow.Plan) error {
	for _, r := range p.Reports {
		name := schemaOf(p.Generation) + "." + duck.Quote(reportTable(r.Name))
		if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+name+" "+storedList(r.Columns)); err != nil {
			return fmt.Errorf("report %s: %w", r.Name, err)
		}
	}
	return nil
}

// PutReport implements pinflow.BatchStore. The rows have the report's columns, in their order.
func (s *Store) PutReport(ctx context.Context, generation, report string, asOf pinflow.Period, rows pinflow.Relation) error {
	const op = "store report"
	plan, err := s.PlanOf(ctx, generation)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(plan.Reports, func(r pinflow.PlannedReport) bool { return r.Name == report })
	if i < 0 {
		return &pinflow.Error{Op: op, On: report, Kind: pinflow.NotFound, Err: fmt.Errorf("generation %s has no such report", generation)}
	}
	columns := plan.Reports[i].Columns
	from, release, err := s.place(ctx, columns, rows)
	if err != nil {
		return failed(op, report, err)
	}
	defer release()
	if err := s.lock(ctx, op); err != nil {
		return err
	}
	defer s.unlock()
	if _, err := s.generation(op, generation); err != nil {
		return err
	}
	err = s.write(ctx, op, report, func(tx *sql.Tx) error {
		name := schemaOf(generation) + "." + duck.Quote(reportTable(report))
		if _, err := tx.ExecContext(ctx, "CREATE OR REPLACE TABLE "+name+" "+storedList(columns)); err != nil {
			return err
		}
		n, err := insert(ctx, tx, name, "SELECT * FROM "+from)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM _pinflow.reports WHERE generation = ? AND report = ?", generation, report); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO _pinflow.reports VALUES (?, ?, ?, now(), ?)", generation, report, int64(asOf), n)
		return err
	})
	if err == nil {
		s.announce()
	}
	return err
}

// ReportInfo returns what is known of the reports stored in a generation, by name.
func (s *Store) ReportInfo(ctx context.Context, generation string) ([]pinflow.ReportInfo, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT report, as_of, made_at, "rows" FROM _pinflow.reports WHERE generation = ? ORDER BY report`, generation)
	if err != nil {
		return nil, failed("read reports", s.file, err)
	}
	defer rows.Close()
	var all []pinflow.ReportInfo
	for rows.Next() {
		var r pinflow.ReportInfo
		if err := rows.Scan(&r.Report, &r.AsOf, &r.At, &r.Rows); err != nil {
			return nil, failed("read reports", s.file, err)
		}
		r.At = r.At.UTC()
		all = append(all, r)
	}
	return all, failed("read reports", s.file, rows.Err())
}
