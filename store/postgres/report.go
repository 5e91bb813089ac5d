package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
)

// createReports makes the tables of the plan's reports, empty, unless they are there.
func createReports(ctx context.Context, tx pgx.Tx, p *pinflow.Plan) error {
	for _, r := range p.Reports {
		list, err := columnList(r.Columns)
		if err != nil {
			return fmt.Errorf("report %s: %w", r.Name, err)
		}
		if err := run(ctx, tx, "CREATE TABLE IF NOT EXISTS "+named(p.Generation, reportTable(r.Name))+" "+list); err != nil {
			return fmt.Errorf("report %s: %w", r.Name, err)
		}
	}
	return nil
}

// PutReport implements pinflow.BatchStore. The rows have the report's columns, in their order. Who reads meanwhile sees the old rows.
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
	err = s.writeLong(ctx, op, report, func(tx pgx.Tx) error {
		name := named(generation, reportTable(report))
		// One report is put at a time. Rows are deleted, not truncated: TRUNCATE would wait for every reader, and show older snapshots nothing.
		err := s.answered(ctx, func(ctx context.Context) error {
			if err := generationThere(ctx, tx, op, generation); err != nil {
				return err
			}
			return run(ctx, tx, "LOCK TABLE "+name+" IN SHARE ROW EXCLUSIVE MODE", "DELETE FROM "+name)
		})
		if err != nil {
			return err
		}
		n, err := s.copyInto(ctx, tx.Conn(), name, plan.Reports[i].Columns, rows, nil)
		if err != nil {
			return err
		}
		const record = `INSERT INTO _pinflow.reports VALUES ($1, $2, $3, now(), $4)
			ON CONFLICT (generation, report) DO UPDATE SET as_of = excluded.as_of, made_at = excluded.made_at, "rows" = excluded."rows"`
		return s.answered(ctx, func(ctx context.Context) error {
			if _, err := tx.Exec(ctx, record, generation, report, int64(asOf), n); err != nil {
				return err
			}
			return s.tellOthers(ctx, tx)
		})
	})
	if err == nil {
		s.announce()
	}
	return err
}

// ReportInfo returns what is known of the reports stored in a generation, by name.
func (s *Store) ReportInfo(ctx context.Context, generation string) (all []pinflow.ReportInfo, err error) {
	err = s.look(ctx, "read reports", s.place, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT report, as_of, made_at, "rows" FROM _pinflow.reports WHERE generation = $1 ORDER BY report`, generation)
		if err != nil {
			return err
		}
		all = nil
		var r pinflow.ReportInfo
		_, err = pgx.ForEachRow(rows, []any{&r.Report, &r.AsOf, &r.At, &r.Rows}, func() error {
			r.At = r.At.UTC()
			all = append(all, r)
			return nil
		})
		return err
	})
	return all, err
}
