package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/protocol"
)

// replace puts the period's rows of a table in the place of the store's. Rows that were compared and are equal stay as they are.
func (i *install) replace(ctx context.Context, tx *sql.Tx, t *table, st *state) error {
	o := i.compared[t.Name]
	if t.Kind == pinflow.Partials && protocol.Replaces(i.in.Period-1, i.in.Period, i.ranges) {
		if err := i.deletePartials(ctx, tx, t, "<"); err != nil {
			return err
		}
	}
	switch {
	case t.recentOnly():
		return run(ctx, tx, "DELETE FROM "+t.target()+" WHERE "+i.inRanges(t)) // the files hold them from now on
	case o != nil && o.differing == 0:
		return nil
	case t.Kind == pinflow.Partials:
		return i.replacePartials(ctx, tx, t)
	case t.Kind == pinflow.Entities:
		return i.replaceEntities(ctx, tx, t, st)
	case o != nil:
		return i.replaceDiffering(ctx, tx, t, o)
	}
	statements := []string{"DELETE FROM " + t.target() + " WHERE " + i.inRanges(t)}
	if i.has(t) {
		statements = append(statements, "INSERT INTO "+t.target()+" SELECT * FROM "+i.rows(t))
	}
	return run(ctx, tx, statements...)
}

func run(ctx context.Context, tx *sql.Tx, statements ...string) error {
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// replacePartials replaces the rows of the period by their _period.
func (i *install) replacePartials(ctx context.Context, tx *sql.Tx, t *table) error {
	if err := i.deletePartials(ctx, tx, t, "="); err != nil || !i.has(t) {
		return err
	}
	return run(ctx, tx, "INSERT INTO "+t.part("merged")+" "+t.mergedSQL(i.rows(t), ""))
}

// deletePartials deletes the rows of the period, or of those before it.
func (i *install) deletePartials(ctx context.Context, tx *sql.Tx, t *table, op string) error {
	period := fmt.Sprintf(" WHERE _period %s %d", op, i.in.Period)
	return run(ctx, tx, "DELETE FROM "+t.part("merged")+period, "DELETE FROM "+t.part("recent")+period)
}

// mergedSQL is a query of the rows of partials merged among themselves; of a Signed table without those of zeros.
func (t *table) mergedSQL(from, where string) string {
	keys := t.keyNames()
	list, having := append([]string(nil), keys...), ""
	for _, m := range t.Measures {
		name := duck.Quote(m.Name)
		merged := fmt.Sprintf("%s(%s)", m.Merge, name)
		if t.Signed {
			merged = "coalesce(" + merged + ", 0)"
		}
		list = append(list, fmt.Sprintf("%s::%s AS %s", merged, m.Type, name))
	}
	if t.Signed {
		tests := make([]string, len(t.Measures))
		for j, m := range t.Measures {
			tests[j] = "coalesce(sum(" + duck.Quote(m.Name) + "), 0) <> 0"
		}
		having = " HAVING " + strings.Join(tests, " OR ")
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM " + from + where + " GROUP BY " + strings.Join(keys, ", ") + having
}

// replaceDiffering replaces only the rows that differ.
func (i *install) replaceDiffering(ctx context.Context, tx *sql.Tx, t *table, o *outcome) error {
	same := sameOf("r", "d", t.position())
	return run(ctx, tx, "DELETE FROM "+t.target()+" AS r USING "+o.diff+" AS d WHERE "+same,
		"INSERT INTO "+t.target()+" SELECT * FROM "+i.rows(t)+" AS r SEMI JOIN "+o.diff+" AS d ON "+same)
}

// position are the columns that tell a table's row apart by its record, quoted.
func (t *table) position() []string {
	if t.Kind == pinflow.Rejects {
		return quoted([]string{"model", "topic", "partition", "offset"})
	}
	return quoted([]string{"_topic", "_partition", "_offset"})
}

// inRanges is the condition that a row is of a record of the period.
func (i *install) inRanges(t *table) string {
	columns := t.position()
	columns = columns[len(columns)-3:]
	var all []string
	low, high := int64(math.MaxInt64), int64(0)
	for _, r := range i.ranges {
		if r.Start < r.End {
			all = append(all, fmt.Sprintf("(%s = %s AND %s = %d AND %s >= %d AND %[5]s < %[7]d)", columns[0], duck.Literal(r.Topic), columns[1], r.Partition, columns[2], r.Start, r.End))
			low, high = min(low, r.Start), max(high, r.End)
		}
	}
	if len(all) == 0 {
		return "false"
	}
	// The bounds let DuckDB skip what is far from all of them.
	return fmt.Sprintf("(%s >= %d AND %[1]s < %[3]d AND (%[4]s))", columns[2], low, high, strings.Join(all, " OR "))
}

// stays is the condition that the store's row of a key stands although the batch has a row of it.
func (i *install) stays(t *table, alias string) string {
	var all []string
	for _, r := range i.ranges {
		if !protocol.BatchStands(t.Keep, true, r.End, r) {
			all = append(all, fmt.Sprintf("(%[1]s._topic = %[2]s AND %[1]s._partition = %[3]d AND %[1]s._offset >= %[4]d)", alias, duck.Literal(r.Topic), r.Partition, r.End))
		}
	}
	if len(all) == 0 {
		return "false"
	}
	return "(" + strings.Join(all, " OR ") + ")"
}

// state is what else is to be known of an entities table: keys whose row is of the period in the store and of which the
// batch has none there, and the rows that stand for them.
type state struct{ gone, rows string }

// states asks for the rows that stand for keys that the batch does not have in the period. Nobody writes meanwhile.
func (i *install) states(ctx context.Context) (map[string]*state, error) {
	all := map[string]*state{}
	for _, t := range i.g.order {
		if o := i.compared[t.Name]; t.Kind != pinflow.Entities || o != nil && o.differing == 0 {
			continue
		}
		st, err := i.state(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("rows of %s: %w", t.Name, err)
		}
		all[t.Name] = st
	}
	return all, nil
}

func (i *install) state(ctx context.Context, t *table) (*state, error) {
	keys := make([]string, len(t.Key))
	for j, k := range quoted(t.Key) {
		keys[j] = "e." + k
	}
	gone, release, err := i.s.makeTable(ctx, fmt.Sprintf("SELECT %s FROM %s AS e ANTI JOIN %s AS b ON %s WHERE %s",
		strings.Join(keys, ", "), i.s.everywhere(t.whole()), i.rows(t), t.sameKey("e", "b"), i.inRanges(t)))
	if err != nil {
		return nil, err
	}
	i.gives = append(i.gives, release)
	var n int64
	if err := i.s.o.Instance.DB.QueryRowContext(ctx, "SELECT count(*) FROM "+gone).Scan(&n); err != nil || n == 0 {
		return &state{}, err
	}
	if i.in.StateOf == nil {
		return &state{gone: gone}, nil
	}
	stand, err := i.in.StateOf(ctx, t.Name, &duck.Table{Instance: i.s.o.Instance, Name: gone, Columns: t.keyColumns()})
	if err != nil {
		return nil, err
	}
	rows, release, err := i.s.place(ctx, t.columns(), stand)
	if err != nil {
		return nil, err
	}
	i.gives = append(i.gives, release)
	return &state{gone, rows}, nil
}

// keyColumns are the columns of the key of an entities table.
func (t *table) keyColumns() []pinflow.Column {
	var columns []pinflow.Column
	for _, k := range t.Key {
		for _, c := range t.Keys {
			if c.Name == k {
				columns = append(columns, c)
			}
		}
	}
	return columns
}

// replaceEntities lets the batch's rows stand for all keys that have a row of the period in store or batch, unless the
// store's is newer.
func (i *install) replaceEntities(ctx context.Context, tx *sql.Tx, t *table, st *state) error {
	name, same := t.whole(), t.sameKey("e", "b")
	var statements []string
	if st.gone != "" {
		statements = append(statements, "DELETE FROM "+name+" AS e USING "+st.gone+" AS b WHERE "+same)
	}
	if i.has(t) {
		statements = append(statements,
			"DELETE FROM "+name+" AS e USING "+i.rows(t)+" AS b WHERE "+same+" AND NOT "+i.stays(t, "e"),
			"INSERT INTO "+name+" SELECT * FROM "+i.rows(t)+" AS b ANTI JOIN "+name+" AS e ON "+same)
	}
	if st.rows != "" {
		statements = append(statements, "INSERT INTO "+name+" SELECT * FROM "+st.rows)
	}
	return run(ctx, tx, statements...)
}
