package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// partial is a partial on a bench.
type partial struct {
	pinflow.Partial
	table   string // qualified
	columns []pinflow.Column
	used    bool // the table is not empty
}

// addTo adds partials whose tables are to be in a scratch database.
func (b *bench) addTo(to *[]partial, scratch string, all ...pinflow.Partial) error {
	for _, part := range all {
		t := b.engine.plan.Table(part.Table)
		if t == nil {
			return fmt.Errorf("the plan has no table %s", part.Table)
		}
		columns := append([]pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_shard", Type: "INTEGER"}}, t.Keys...)
		for _, measure := range t.Measures {
			columns = append(columns, measure.Column)
		}
		*to = append(*to, partial{Partial: part, table: scratch + "." + duck.Quote("partial "+part.Table), columns: columns})
	}
	return nil
}

// empty makes the tables of partials anew that have rows, and does more of the kind.
func empty(ctx context.Context, conn *sql.Conn, all []partial, more ...string) error {
	for i := range all {
		if all[i].used {
			more = append(more, createTable(all[i].table, all[i].columns))
		}
	}
	if len(more) == 0 {
		return nil
	}
	if _, err := conn.ExecContext(ctx, strings.Join(more, "; ")); err != nil {
		return err
	}
	for i := range all {
		all[i].used = false
	}
	return nil
}

// addPartials computes all partials over a model's rows. Rows for which one cannot be computed are rejected first.
func (b *bench) addPartials(ctx context.Context, m *model) error {
	for i := 0; i < len(m.partials); {
		err := m.partials[i].add(ctx, b.conn)
		switch {
		case err == nil:
			i++
		case !ofRecord(err):
			return err
		default:
			if err := b.rejectRows(ctx, m, &m.partials[i], err); err != nil {
				return err
			}
			if err := empty(ctx, b.conn, m.partials); err != nil {
				return err
			}
			i = 0 // the rejected rows are in none of them
		}
	}
	return nil
}

// add computes a partial into its table, which is empty, on a connection that knows the model by its name.
func (p *partial) add(ctx context.Context, conn *sql.Conn) error {
	p.used = true // whatever happens
	done, err := conn.ExecContext(ctx, "INSERT INTO "+p.table+" "+p.SQL)
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	p.used = n > 0
	return err
}

// rejectRows finds the rows for which a partial fails alone and rejects them.
func (b *bench) rejectRows(ctx context.Context, m *model, p *partial, why error) error {
	table := m.cleaning.table
	var rows int64
	if err := b.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&rows); err != nil {
		return err
	}
	culprits := map[int64]string{}
	if err := b.search(ctx, m, p, 0, rows, culprits); err != nil {
		return err
	}
	if err := b.show(ctx, m, ""); err != nil {
		return err
	}
	if len(culprits) == 0 {
		return fmt.Errorf("the records of the batch together are too much for %s: %w", p.Table, why)
	}
	for row, reason := range culprits {
		if _, err := b.conn.ExecContext(ctx, "UPDATE "+table+" SET "+m.reject+" = ? WHERE rowid = ?", reason, row); err != nil {
			return err
		}
	}
	return nil
}

// search computes a partial over the rows numbered from to to, and over halves of them where it fails.
func (b *bench) search(ctx context.Context, m *model, p *partial, from, to int64, culprits map[int64]string) error {
	if from == to {
		return nil
	}
	if err := b.show(ctx, m, fmt.Sprintf("rowid >= %d AND rowid < %d", from, to)); err != nil {
		return err
	}
	err := b.try(ctx, p)
	switch {
	case err == nil || !ofRecord(err):
		return err
	case to-from == 1:
		culprits[from] = message(err)
		return nil
	}
	half := from + (to-from)/2
	if err := b.search(ctx, m, p, from, half, culprits); err != nil {
		return err
	}
	return b.search(ctx, m, p, half, to, culprits)
}

// try computes a partial and forgets it.
func (b *bench) try(ctx context.Context, p *partial) error {
	rows, err := b.conn.QueryContext(ctx, p.SQL)
	if err != nil {
		return err
	}
	return drain(rows)
}

func drain(rows *sql.Rows) error {
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

// additions are the tables that have rows.
func (m *model) additions(instance *duck.Instance) []pinflow.Addition {
	var added []pinflow.Addition
	if m.rows != "" {
		added = append(added, pinflow.Addition{Table: m.Table, Rows: &duck.Table{Instance: instance, Name: m.rows, Columns: m.rowColumns()}})
	}
	return append(added, additionsOf(m.partials, instance)...)
}

func additionsOf(all []partial, instance *duck.Instance) (added []pinflow.Addition) {
	for i := range all {
		if p := &all[i]; p.used {
			added = append(added, pinflow.Addition{Table: p.Partial.Table, Rows: &duck.Table{Instance: instance, Name: p.table, Columns: p.columns}})
		}
	}
	return added
}
