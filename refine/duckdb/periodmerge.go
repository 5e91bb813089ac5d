package duckdb

import (
	"context"
	"fmt"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// merged is the partials of a table over the steps so far.
type merged struct {
	*pinflow.Table
	name  string // qualified; "" in made means that it is not there
	made  bool
	rows  int64 // in it
	limit int64 // merge when there are more rows
}

// mergeAt is how many rows of partials are left unmerged at least.
const mergeAt = 200_000

// add adds rows of partials. What is not merged is at most as much as what is, so that merging costs as much as adding.
func (p *period) add(ctx context.Context, m *merged, query string) error {
	p.sharing.Lock()
	defer p.sharing.Unlock()
	if !m.made {
		if err := p.exec(ctx, createTable(m.name, columnsOf(m.Table))); err != nil {
			return err
		}
		m.made, m.limit = true, mergeAt
	}
	done, err := p.conn.ExecContext(ctx, "INSERT INTO "+m.name+" "+query)
	if err != nil {
		return workError(ctx, err)
	}
	n, err := done.RowsAffected()
	if err != nil {
		return err
	}
	if m.rows += n; m.rows <= m.limit {
		return nil
	}
	if err := p.exec(ctx, "CREATE OR REPLACE TABLE "+m.name+" AS "+mergeSQL(m.Table, m.name)); err != nil {
		return err
	}
	if err := p.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+m.name).Scan(&m.rows); err != nil {
		return workError(ctx, err)
	}
	m.limit = 2*m.rows + mergeAt
	return nil
}

// writeMerged writes the partials of a table.
func (p *period) writeMerged(ctx context.Context, m *merged) error {
	if !m.made {
		return nil
	}
	query := mergeSQL(m.Table, m.name)
	if m.Signed {
		query = "SELECT * FROM (" + query + ") WHERE " + notZero(m.Table)
	}
	if _, err := p.write(ctx, p.conn, pinflow.MetricPart, m.Name, query, columnsOf(m.Table)); err != nil {
		return err
	}
	return p.exec(ctx, "DROP TABLE "+m.name)
}

// mergeSQL makes one row of all rows of the same keys.
func mergeSQL(t *pinflow.Table, from string) string {
	var names []string
	for _, c := range columnsOf(t) {
		names = append(names, duck.Quote(c.Name))
	}
	keys := names[:len(names)-len(t.Measures)]
	if len(t.Measures) == 0 {
		return "SELECT DISTINCT " + strings.Join(keys, ", ") + " FROM " + from
	}
	list := append([]string(nil), keys...)
	for _, m := range t.Measures {
		list = append(list, fmt.Sprintf("CAST(%s(%s) AS %s) AS %[2]s", m.Merge, duck.Quote(m.Name), m.Type))
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM " + from + " GROUP BY " + strings.Join(keys, ", ")
}

// notZero is the condition under which a row of signed partials is one.
func notZero(t *pinflow.Table) string {
	list := make([]string, len(t.Measures))
	for i, m := range t.Measures {
		list[i] = "coalesce(" + duck.Quote(m.Name) + ", 0) <> 0"
	}
	return strings.Join(list, " OR ")
}
