package duckdb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// StateOf returns the rows of a table of kind Entities that stand for some keys, rows of the key's columns, in a state that is made of
// parts. Keys without a row are left out. A store on the same instance reads keys and files itself, when it reads the relation.
func (p Parts) StateOf(ctx context.Context, parts []pinflow.Part, t *pinflow.Table, keys pinflow.Relation) (pinflow.Relation, error) {
	if t.Kind != pinflow.Entities {
		return nil, &pinflow.Error{Op: "read state", On: t.Name, Kind: pinflow.Invalid, Err: fmt.Errorf("the table is of kind %s", t.Kind)}
	}
	if k, ok := keys.(*duck.Table); ok && k.Instance == p.Instance {
		return &duck.Table{Instance: p.Instance, Name: "(" + stateSQL(p.Instance, parts, t, k.Name) + ")", Columns: columnsOf(t)}, nil
	}
	return &standing{p, parts, t, keys}, ctx.Err()
}

// standing is the rows that stand for keys that come through Go.
type standing struct {
	Parts
	parts []pinflow.Part
	table *pinflow.Table
	keys  pinflow.Relation
}

// Scan implements pinflow.Relation.
func (s *standing) Scan(ctx context.Context, f func(row []any) error) (err error) {
	w, err := newWorkshop(ctx, s.Instance)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, w.end()) }()
	staged, casts := make([]pinflow.Column, len(s.table.Key)), make([]string, len(s.table.Key))
	for i, name := range s.table.Key {
		at := slices.IndexFunc(s.table.Keys, func(c pinflow.Column) bool { return c.Name == name })
		if at < 0 {
			return fmt.Errorf("the table %s has no column %s", s.table.Name, name)
		}
		staged[i] = pinflow.Column{Name: name, Type: passing(s.table.Keys[at].Type)}
		casts[i] = fmt.Sprintf("CAST(%s AS %s) AS %[1]s", duck.Quote(name), s.table.Keys[at].Type)
	}
	if err := w.exec(ctx, createTable(w.table("keys"), staged)); err != nil {
		return err
	}
	if err := w.fill(ctx, "keys", s.keys); err != nil {
		return err
	}
	keys := "(SELECT " + strings.Join(casts, ", ") + " FROM " + w.table("keys") + ")"
	rows := &duck.Table{Instance: s.Instance, Name: "(" + stateSQL(s.Instance, s.parts, s.table, keys) + ")", Columns: columnsOf(s.table)}
	return rows.Scan(ctx, f)
}

// stateSQL is the rows that stand in a state, in the table's columns: all of them, or those of the keys in a relation. Of the rows of a
// key, which lie in one partition, the one with the greatest offset stands, or with keep first the smallest. Only what is
// narrow is kept in memory: the positions of the rows that stand.
func stateSQL(i *duck.Instance, parts []pinflow.Part, t *pinflow.Table, keys string) string {
	all := duck.Parquet(i, filesOf(parts), columnsOf(t)).Name
	columns := prefixed("s", columnsOf(t))
	of := ""
	if keys != "" {
		of = fmt.Sprintf(" SEMI JOIN %s k USING (%s)", keys, names(t.Key))
	}
	if len(parts) < 2 { // a file has one row of a key
		return fmt.Sprintf("SELECT %s FROM %s s%s", columns, all, of)
	}
	return fmt.Sprintf("SELECT %s FROM %s s SEMI JOIN (SELECT min(_partition) AS _partition, %s(_offset) AS _offset FROM %s f%s GROUP BY %s) w USING (_partition, _offset)",
		columns, all, extreme(t), all, of, names(t.Key))
}

// extreme is the aggregate that picks the offset of the row that stands.
func extreme(t *pinflow.Table) string {
	if t.Keep == "first" {
		return "min"
	}
	return "max"
}

// names quotes the names of columns.
func names(columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = duck.Quote(c)
	}
	return strings.Join(quoted, ", ")
}
