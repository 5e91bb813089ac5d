package duckdb

import (
	"context"
	"fmt"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// gatherChange looks up the rows held, behind the fence, and asks for the deltas. It does so outside of the transaction, so that Deltas
// can read the rows on a connection of its own: nobody else writes meanwhile, and the transaction itself has not touched the table.
func (s *Store) gatherChange(ctx context.Context, g *generation, c pinflow.Change, w *work) error {
	t := g.tables[c.Table]
	if t == nil || t.Kind != pinflow.Entities {
		return invalid("commit", c.Table, "", fmt.Errorf("the generation has no such table of entities"))
	}
	from, release, err := s.place(ctx, t.columns(), c.Rows)
	if err != nil {
		return err
	}
	w.releases = append(w.releases, release)
	held, release, err := s.lookUp(ctx, t, from, c.Before)
	if err != nil {
		return err
	}
	w.releases = append(w.releases, release)
	deltas, err := c.Deltas(ctx, &duck.Table{Instance: s.o.Instance, Name: held, Columns: c.Before})
	if err != nil {
		return err
	}
	if err := s.gatherAdded(ctx, g, deltas, w); err != nil {
		return err
	}
	w.steps = append(w.steps, step{t, t.standSQL(from, held, c.Single)})
	return nil
}

// standSQL lets rows stand for their keys: with keep latest the last of each in place of the one held, with keep first the
// first of each that is not held. Of single rows none is to be picked.
func (t *table) standSQL(from, held string, single bool) []string {
	one := func(where, order string) string {
		if single {
			return "INSERT INTO " + t.whole() + " SELECT * FROM " + from + " AS r" + where
		}
		return fmt.Sprintf("INSERT INTO %s SELECT * FROM %s AS r%s QUALIFY row_number() OVER (PARTITION BY %s ORDER BY _offset %s) = 1",
			t.whole(), from, where, strings.Join(quoted(t.Key), ", "), order)
	}
	if t.Keep == "first" {
		return []string{one(" ANTI JOIN "+held+" AS h ON "+t.sameKey("h", "r"), "ASC")}
	}
	return []string{"DELETE FROM " + t.whole() + " WHERE rowid IN (SELECT " + heldRow + " FROM " + held + ")", one("", "DESC")}
}

// heldRow names the column of a looked up row's rowid.
const heldRow = `"_pinflow_row"`

// lookUp fills a scratch table with some columns of the rows that stand for the keys of other rows.
func (s *Store) lookUp(ctx context.Context, t *table, from string, columns []pinflow.Column) (held string, release func(), err error) {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = "CAST(e." + duck.Quote(c.Name) + " AS " + c.Type + ") AS " + duck.Quote(c.Name)
	}
	return s.makeTable(ctx, fmt.Sprintf("SELECT %s, e.rowid AS %s FROM %s AS e SEMI JOIN %s AS r ON %s",
		strings.Join(list, ", "), heldRow, s.everywhere(t.whole()), from, t.sameKey("e", "r")))
}

// sameKey is the condition that two rows of an entities table have the same key. No part of a key is NULL.
func (t *table) sameKey(a, b string) string {
	conditions := make([]string, len(t.Key))
	for i, k := range quoted(t.Key) {
		conditions[i] = a + "." + k + " = " + b + "." + k
	}
	return strings.Join(conditions, " AND ")
}

// everywhere is a table's name for connections that do not begin in the file.
func (s *Store) everywhere(name string) string { return duck.Quote(s.catalog) + "." + name }

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = duck.Quote(n)
	}
	return out
}
