package duckdb

import (
	"context"
	"fmt"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// entity computes what a period does to the rows of a model with a key, from its clean rows and the state before it: which rows come to
// stand, what the metrics over the model change by, and now and then the whole state.
func (p *period) entity(ctx context.Context, m *pinflow.PlannedModel) error {
	t := p.Plan.Table(m.Table)
	if t == nil || t.Kind != pinflow.Entities {
		return fmt.Errorf("the plan has no table of the entities of %s", m.Name)
	}
	before := p.in.Before[t.Name]
	if clean := p.of(pinflow.CleanPart, m.Name); len(clean) > 0 {
		if err := p.came(ctx, t, duck.Parquet(p.Instance, filesOf(clean), columnsOf(t)), before); err != nil {
			return err
		}
	}
	latest := p.of(pinflow.LatestPart, t.Name)
	if len(latest) > 0 {
		if err := p.signed(ctx, m, t, duck.Parquet(p.Instance, filesOf(latest), columnsOf(t))); err != nil {
			return err
		}
	}
	if !p.grown(before, latest) {
		return nil
	}
	state := stateSQL(p.Instance, append(append([]pinflow.Part(nil), before...), latest...), t, "")
	_, err := p.write(ctx, p.conn, pinflow.SnapshotPart, t.Name, state, columnsOf(t))
	return err
}

// came writes the rows that come to stand. It leaves in the workshop the positions of these rows, and what the metrics read of the rows that stood.
func (p *period) came(ctx context.Context, t *pinflow.Table, clean *duck.Table, before []pinflow.Part) error {
	came, held, keys := p.table("came"), p.table("held"), names(t.Key)
	statement := fmt.Sprintf("CREATE OR REPLACE TABLE %s AS SELECT %s, min(_partition) AS _partition, %s(_offset) AS _offset FROM %s GROUP BY %[2]s",
		came, keys, extreme(t), clean.Name)
	if err := p.exec(ctx, statement); err != nil {
		return err
	}
	stood := stateSQL(p.Instance, before, t, came)
	if err := p.exec(ctx, fmt.Sprintf("CREATE OR REPLACE TABLE %s AS SELECT %s FROM (%s)", held, list(p.entities[t.Model]), stood)); err != nil {
		return err
	}
	if t.Keep == "first" {
		if err := p.exec(ctx, fmt.Sprintf("CREATE OR REPLACE TABLE %s AS SELECT * FROM %[1]s ANTI JOIN %s USING (%s)", came, held, keys)); err != nil {
			return err
		}
	}
	query := fmt.Sprintf("SELECT * FROM %s c SEMI JOIN %s USING (_partition, _offset)", clean.Name, came)
	_, err := p.write(ctx, p.conn, pinflow.LatestPart, t.Name, query, columnsOf(t))
	return err
}

// signed computes the partials of the metrics over a model: the rows that come to stand with the sign 1, and those
// that they replace with -1, all in the period.
func (p *period) signed(ctx context.Context, m *pinflow.PlannedModel, t *pinflow.Table, latest *duck.Table) error {
	read := list(p.entities[m.Name])
	rows := fmt.Sprintf("SELECT CAST(%d AS BIGINT) AS _period, 1 AS _sign, %s FROM %s", p.in.Period, read, latest.Name)
	if t.Keep == "latest" {
		rows += fmt.Sprintf(" UNION ALL SELECT %d, -1, %s FROM %s", p.in.Period, read, p.table("held"))
	}
	if err := p.show(ctx, m.Name, rows); err != nil {
		return err
	}
	for i := range p.Plan.Metrics {
		if p.Plan.Metrics[i].Model != m.Name {
			continue
		}
		for _, part := range p.Plan.Metrics[i].Partials {
			if err := p.add(ctx, p.merged[part.Table], part.SQL); err != nil {
				return err
			}
		}
	}
	return nil
}

// grown tells whether the state takes so many files, or so many of its rows are changes, that it is to be written anew. Of few
// rows it never costs much to read the changes.
func (p *period) grown(before, latest []pinflow.Part) bool {
	if len(before) == 0 || len(latest) == 0 {
		return false
	}
	changes := rowsOf(before[1:]) + rowsOf(latest)
	return len(before)+len(latest) > p.Chain || changes > smallState && changes > before[0].Rows/4
}

const smallState = 20_000 // rows
