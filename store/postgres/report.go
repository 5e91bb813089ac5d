package postgres

import (
	"context"
	"fmt"

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
