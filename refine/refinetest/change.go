package refinetest

import (
	"context"
	"fmt"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// held are rows in Go's memory.
type held [][]any

// Scan implements pinflow.Relation.
func (h held) Scan(_ context.Context, f func(row []any) error) error {
	for _, row := range h {
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}

// change applies a Change: held rows are looked up, the signed partials added, then the new rows stand. Now and then Deltas is
// asked twice, as by a commit that is tried again.
func (t *Tables) change(c pinflow.Change) {
	t.db.t.Helper()
	of := t.table(c.Table)
	if of.Kind != pinflow.Entities {
		t.db.t.Fatalf("a change of %s, which is of kind %s", c.Table, of.Kind)
	}
	columns := columnsOf(of)
	t.db.exec("CREATE OR REPLACE TEMP TABLE incoming AS SELECT * FROM gen." + duck.Quote(of.Name) + " LIMIT 0")
	t.fill("incoming", columns, c.Rows, t.inOrder(of, columns)) // a row's rowid tells its turn
	rows := t.standing(of, c.Before)
	deltas := func() []pinflow.Addition {
		added, err := c.Deltas(context.Background(), rows)
		if err != nil {
			t.db.t.Fatalf("deltas of %s: %v", c.Table, err)
		}
		return added
	}
	if t.changes++; t.changes%2 == 0 {
		deltas() // for a commit that has failed
	}
	for _, a := range deltas() {
		t.Insert(a.Table, a.Rows)
	}
	known, latest := "", "DESC"
	if of.Keep == "first" {
		known, latest = " WHERE NOT EXISTS (SELECT 1 FROM gen."+duck.Quote(of.Name)+" AS e WHERE "+sameKey(of, "e", "i")+")", "ASC"
	} else {
		t.db.exec("DELETE FROM gen." + duck.Quote(of.Name) + " AS e USING incoming AS i WHERE " + sameKey(of, "e", "i"))
	}
	t.db.exec("INSERT INTO gen." + duck.Quote(of.Name) + " SELECT * FROM incoming AS i" + known +
		" QUALIFY row_number() OVER (PARTITION BY " + keyList(of) + " ORDER BY rowid " + latest + ") = 1")
}

// standing returns some columns of the rows that stand for the keys of those incoming.
func (t *Tables) standing(of *pinflow.Table, columns []pinflow.Column) held {
	t.db.t.Helper()
	result, err := t.db.conn.QueryContext(context.Background(), "SELECT "+duck.Exact(columns)+" FROM gen."+duck.Quote(of.Name)+
		" AS e WHERE EXISTS (SELECT 1 FROM incoming AS i WHERE "+sameKey(of, "e", "i")+")")
	if err != nil {
		t.db.t.Fatal(err)
	}
	var rows held
	if err := duck.EachRow(result, func(row []any) error {
		rows = append(rows, append([]any(nil), row...))
		return nil
	}); err != nil {
		t.db.t.Fatal(err)
	}
	return rows
}

// inOrder checks rows of a Change as they come: per key by offset, and of a key and period, or of a key, there is one.
func (t *Tables) inOrder(of *pinflow.Table, columns []pinflow.Column) func(row []any) {
	type place struct{ period, offset int64 }
	last := map[string]place{}
	at := func(row []any, name string) any {
		for i, c := range columns {
			if c.Name == name {
				return row[i]
			}
		}
		t.db.t.Fatalf("%s has no column %s", of.Name, name)
		return nil
	}
	return func(row []any) {
		var key []string
		for _, name := range of.Key {
			key = append(key, fmt.Sprintf("%q", fmt.Sprint(at(row, name))))
		}
		k := strings.Join(key, ",")
		now := place{at(row, "_period").(int64), at(row, "_offset").(int64)}
		before, again := last[k]
		switch {
		case again && of.Keep == "first":
			t.db.t.Errorf("%s: the change has two rows of %s", of.Name, k)
		case again && (now.period <= before.period || now.offset <= before.offset):
			t.db.t.Errorf("%s: of %s, a row of period and offset %v comes behind one of %v", of.Name, k, now, before)
		}
		last[k] = now
	}
}

// sameKey is the condition that two rows have the same key.
func sameKey(of *pinflow.Table, a, b string) string {
	var all []string
	for _, name := range of.Key {
		all = append(all, a+"."+duck.Quote(name)+" = "+b+"."+duck.Quote(name))
	}
	return strings.Join(all, " AND ")
}

func keyList(of *pinflow.Table) string {
	var all []string
	for _, name := range of.Key {
		all = append(all, duck.Quote(name))
	}
	return strings.Join(all, ", ")
}
