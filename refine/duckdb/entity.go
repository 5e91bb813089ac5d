package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// entity is what a bench has for a model with a key: the rows of a batch that count, and how the metrics over the model
// change by them.
//
// Signed partials have a connection and a scratch database of their own. The connection knows the signed rows by the model's name. The database
// is filled while a store commits: a transaction sees a database as it was when it first looked into it, and
// into the bench's it has looked by then.
type entity struct {
	model    *model
	conn     *sql.Conn
	scratch  string
	links    string           // qualified, in the bench's database: the rows that count by their rowid, and how they follow one another
	rows     string           // qualified: the view of these rows that the store takes
	chain    string           // these rows as a subquery, with what links them
	signed   string           // qualified: what the metrics read
	held     string           // qualified: rows held that came through Go
	columns  []pinflow.Column // of the model's, those in signed
	before   []pinflow.Column // of the rows held
	partials []partial
	linked   bool // the batch has several periods
	used     bool // there are links
}

func (e *entity) setUp(ctx context.Context, b *bench) (err error) {
	m := e.model
	instance := b.engine.instance
	if e.scratch, err = instance.Scratch(ctx); err != nil {
		return err
	}
	if e.conn, err = instance.DB.Conn(ctx); err != nil {
		return err
	}
	e.links = b.scratch + "." + duck.Quote("links "+m.Name)
	e.rows = b.scratch + "." + duck.Quote("rows "+m.Name)
	e.signed = e.scratch + ".signed"
	e.held = e.scratch + ".held"
	metrics := m.metrics(b.engine.plan)
	if err := e.addColumns(ctx, metrics); err != nil {
		return err
	}
	if err := b.addTo(&e.partials, e.scratch, metrics...); err != nil {
		return err
	}
	e.used = true
	for i := range e.partials {
		e.partials[i].used = true
	}
	for _, statement := range []string{
		createTable(e.signed, append([]pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_sign", Type: "INTEGER"}}, e.columns...)),
		"CREATE OR REPLACE TEMP VIEW " + duck.Quote(m.Name) + " AS SELECT * FROM " + e.signed,
	} {
		if _, err := e.conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := e.empty(ctx); err != nil {
		return err
	}
	from := " FROM " + m.cleaning.table + " m JOIN " + e.links + " l ON m.rowid = l.id"
	e.chain = "(SELECT m._period, l._next, l._first, " + prefixed("m", e.columns) + from + ")"
	if err := b.exec(ctx, "CREATE VIEW "+e.rows+" AS SELECT "+prefixed("m", m.rowColumns())+from); err != nil {
		return err
	}
	texts := make([]string, len(metrics))
	for i := range metrics {
		texts[i] = metrics[i].SQL
	}
	return explain(ctx, e.conn, texts)
}

// addColumns finds out which columns are needed: the key's, and those that the metrics read.
func (e *entity) addColumns(ctx context.Context, metrics []pinflow.Partial) error {
	read := map[string]bool{"_partition": true}
	for i := range metrics {
		if err := columnsRead(ctx, e.conn, metrics[i].SQL, read); err != nil {
			return err
		}
	}
	for _, name := range e.model.Key {
		at := slices.IndexFunc(e.model.Columns, func(c pinflow.Column) bool { return c.Name == name })
		if at < 0 {
			return fmt.Errorf("the key column %s is no column of %s", name, e.model.Name)
		}
		e.columns = append(e.columns, e.model.Columns[at])
	}
	keys := len(e.columns)
	for _, c := range e.model.Columns {
		if read[strings.ToLower(c.Name)] && !slices.Contains(e.columns[:keys], c) {
			e.columns = append(e.columns, c)
		}
	}
	e.before = e.columns
	if e.model.Keep == "first" { // what is held stays
		e.before = e.columns[:keys:keys]
	}
	return nil
}

// change is what the accepted rows of a batch do to the model's entities, nothing if there are none.
func (e *entity) change(ctx context.Context, b *bench) ([]pinflow.Change, error) {
	e.used = true
	_, onePeriod := e.model.source.numbered.period()
	e.linked = !onePeriod
	done, err := b.conn.ExecContext(ctx, e.linkSQL(onePeriod))
	if err != nil {
		return nil, err
	}
	if n, err := done.RowsAffected(); n == 0 || err != nil {
		return nil, err
	}
	rows := &duck.Table{Instance: b.engine.instance, Name: e.rows, Columns: e.model.rowColumns(), Order: "_partition, _offset"}
	deltas := func(ctx context.Context, held pinflow.Relation) ([]pinflow.Addition, error) {
		added, err := e.deltas(ctx, b.engine.instance, held)
		if err != nil {
			return nil, b.failure(ctx, e.model, err)
		}
		return added, nil
	}
	return []pinflow.Change{{Table: e.model.Table, Rows: rows, Single: onePeriod || e.model.Keep == "first", Before: e.before, Deltas: deltas}}, nil
}

// linkSQL picks the rows that count: of those with the same key and period the last one, which has in _next the period of the row
// that follows it, and is _first in the earliest of the periods; or of those with the same key the first. Mostly there is one period.
func (e *entity) linkSQL(onePeriod bool) string {
	m := e.model
	keys, accepted := list(e.columns[:len(m.Key)]), m.cleaning.table+" WHERE "+m.reject+" IS NULL"
	pick := "SELECT arg_max(rowid, _offset), NULL, true FROM %s GROUP BY %s"
	switch {
	case m.Keep == "first":
		pick = "SELECT arg_min(rowid, _offset), NULL, true FROM %s GROUP BY %s"
	case !onePeriod:
		pick = `SELECT _link, lead(_period) OVER w, row_number() OVER w = 1 FROM (SELECT arg_max(rowid, _offset) AS _link, _period, %[2]s FROM %[1]s GROUP BY ALL)
			WINDOW w AS (PARTITION BY %[2]s ORDER BY _period)`
	}
	return "INSERT INTO " + e.links + " " + fmt.Sprintf(pick, accepted, keys)
}

// deltas computes the signed partials, given the rows held of the keys.
func (e *entity) deltas(ctx context.Context, instance *duck.Instance, held pinflow.Relation) ([]pinflow.Addition, error) {
	if len(e.partials) == 0 {
		return nil, nil
	}
	name, err := e.nameOf(ctx, instance, held)
	if err != nil {
		return nil, err
	}
	if err := empty(ctx, e.conn, e.partials, "CREATE OR REPLACE TABLE "+e.signed+" AS "+e.signedSQL(name)); err != nil {
		return nil, err
	}
	for i := range e.partials {
		if err := e.partials[i].add(ctx, e.conn); err != nil {
			return nil, err
		}
	}
	return additionsOf(e.partials, instance), nil
}

// signedSQL is every row that comes to stand with the sign 1, in its own period, and every row that is replaced with -1, in the
// period of the one that follows it.
func (e *entity) signedSQL(held string) string {
	on := make([]string, len(e.model.Key))
	for i, key := range e.model.Key {
		on[i] = fmt.Sprintf("c.%s = h.%[1]s", duck.Quote(key))
	}
	match := strings.Join(on, " AND ")
	if e.model.Keep == "first" {
		return fmt.Sprintf("SELECT c._period, 1 AS _sign, %s FROM %s c WHERE NOT EXISTS (FROM %s h WHERE %s)", prefixed("c", e.columns), e.chain, held, match)
	}
	all := fmt.Sprintf("SELECT c._period, 1 AS _sign, %[1]s FROM %[2]s c UNION ALL SELECT c._period, -1, %[3]s FROM %[4]s h JOIN %[2]s c ON %[5]s WHERE c._first",
		prefixed("c", e.columns), e.chain, prefixed("h", e.columns), held, match)
	if e.linked {
		all += fmt.Sprintf(" UNION ALL SELECT c._next, -1, %s FROM %s c WHERE c._next IS NOT NULL", prefixed("c", e.columns), e.chain)
	}
	return all
}

// prefixed writes the names of a relation's columns.
func prefixed(relation string, columns []pinflow.Column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = relation + "." + duck.Quote(c.Name)
	}
	return strings.Join(names, ", ")
}

// empty makes the tables anew that a batch has used. What the metrics have read stays: there is always room for so much.
func (e *entity) empty(ctx context.Context) error {
	var rows []string
	if e.used {
		rows = append(rows, createTable(e.links, []pinflow.Column{{Name: "id", Type: "BIGINT"}, {Name: "_next", Type: "BIGINT"}, {Name: "_first", Type: "BOOLEAN"}}))
	}
	if e.conn == nil {
		return nil
	}
	if err := empty(ctx, e.conn, e.partials, rows...); err != nil {
		return err
	}
	e.used = false
	return nil
}

func (e *entity) close(instance *duck.Instance) error {
	err := discard(e.conn)
	if e.scratch != "" {
		err = firstOf(err, instance.Detach(context.Background(), e.scratch))
	}
	return err
}
