package postgres

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// replace puts the period's rows of a table in the place of the store's. Rows that were compared and are equal stay as they are.
func (i *install) replace(ctx context.Context, t *table) error {
	o := i.compared[t.Name]
	if t.Kind == pinflow.Partials && protocol.Replaces(i.in.Period-1, i.in.Period, i.ranges) {
		if err := i.run(ctx, fmt.Sprintf("DELETE FROM %s WHERE _period < %d", t.name, i.in.Period)); err != nil {
			return err
		}
	}
	switch {
	case t.recentOnly():
		return i.run(ctx, "DELETE FROM "+t.name+" WHERE "+i.inRanges(t)) // the files hold them from now on
	case o != nil && o.differing == 0:
		return nil
	case t.Kind == pinflow.Partials:
		return i.replacePartials(ctx, t)
	case t.Kind == pinflow.Entities:
		return i.replaceEntities(ctx, t)
	case o != nil:
		return i.replaceDiffering(ctx, t, o)
	}
	if err := i.run(ctx, "DELETE FROM "+t.name+" WHERE "+i.inRanges(t)); err != nil || !i.has(t) {
		return err
	}
	return i.run(ctx, "INSERT INTO "+t.name+" SELECT * FROM "+i.rows(t)+i.inOrder(t))
}

// inOrder puts new rows in an order in which the index tells where they lie.
func (i *install) inOrder(t *table) string {
	position := t.position()
	return " ORDER BY " + list(position[len(position)-2:])
}

// replacePartials replaces the rows of the period by their _period.
func (i *install) replacePartials(ctx context.Context, t *table) error {
	if err := i.run(ctx, fmt.Sprintf("DELETE FROM %s WHERE _period = %d", t.name, i.in.Period)); err != nil || !i.has(t) {
		return err
	}
	return i.run(ctx, "INSERT INTO "+t.name+" "+t.mergedSQL(i.rows(t), ""))
}

// replaceDiffering replaces only the rows that differ.
func (i *install) replaceDiffering(ctx context.Context, t *table, o *outcome) error {
	same := sameOf("r", "d", t.position())
	return i.run(ctx, "DELETE FROM "+t.name+" AS r USING "+o.diff+" AS d WHERE "+i.inRangesOf(t, "r")+" AND "+same,
		"INSERT INTO "+t.name+" SELECT r.* FROM "+i.rows(t)+" AS r WHERE EXISTS (SELECT FROM "+o.diff+" AS d WHERE "+same+")")
}

// position are the columns that tell a table's row apart by its record, quoted.
func (t *table) position() []string {
	if t.Kind == pinflow.Rejects {
		return quoted([]string{"model", "topic", "partition", "offset"})
	}
	return quoted([]string{"_topic", "_partition", "_offset"})
}

// inRanges is the condition that one of the store's rows is of a record of the period.
func (i *install) inRanges(t *table) string { return i.inRangesOf(t, "") }

// inRangesOf is inRanges for the columns of alias. What lies at a position or past it is not in the store, so there is no need to look for it.
func (i *install) inRangesOf(t *table, alias string) string {
	columns := t.position()
	columns = columns[len(columns)-3:]
	if alias != "" {
		for j := range columns {
			columns[j] = alias + "." + columns[j]
		}
	}
	var all []string
	low, high := int64(math.MaxInt64), int64(0)
	for _, r := range i.ranges {
		if end := min(r.End, i.at[r.TopicPartition].NextOffset); r.Start < end {
			all = append(all, fmt.Sprintf("(%s = %s AND %s = %d AND %s >= %d AND %[5]s < %[7]d)", columns[0], literal(r.Topic), columns[1], r.Partition, columns[2], r.Start, end))
			low, high = min(low, r.Start), max(high, end)
		}
	}
	if len(all) == 0 {
		return "false"
	}
	// The bounds let the index skip what is far from all of them.
	return fmt.Sprintf("(%s >= %d AND %[1]s < %[3]d AND (%[4]s))", columns[2], low, high, strings.Join(all, " OR "))
}

// stays is the condition that the store's row of a key stands although the batch has a row of it.
func (i *install) stays(t *table, alias string) string {
	var all []string
	for _, r := range i.ranges {
		if !protocol.BatchStands(t.Keep, true, r.End, r) {
			all = append(all, fmt.Sprintf("(%[1]s._topic = %[2]s AND %[1]s._partition = %[3]d AND %[1]s._offset >= %[4]d)", alias, literal(r.Topic), r.Partition, r.End))
		}
	}
	if len(all) == 0 {
		return "false"
	}
	return "(" + strings.Join(all, " OR ") + ")"
}

// replaceEntities lets the batch's rows stand for all keys that have a row of the period in store or batch, unless the
// store's is newer. Keys whose row is of the period in the store, and of which the batch has none there, get back the row that stood before.
func (i *install) replaceEntities(ctx context.Context, t *table) error {
	gone, err := i.makeTable(ctx, fmt.Sprintf("SELECT %s FROM %s AS e WHERE %s AND NOT EXISTS (SELECT FROM %s AS b WHERE %s)",
		prefixed("e", t.Key), t.name, i.inRanges(t), i.rows(t), t.sameKey("e", "b")))
	if err != nil {
		return err
	}
	stood, err := i.stood(ctx, t, gone)
	if err != nil {
		return err
	}
	same := t.sameKey("e", "b")
	statements := []string{"DELETE FROM " + t.name + " AS e USING " + gone + " AS b WHERE " + same}
	if i.has(t) {
		statements = append(statements,
			"DELETE FROM "+t.name+" AS e USING "+i.rows(t)+" AS b WHERE "+same+" AND NOT "+i.stays(t, "e"),
			"INSERT INTO "+t.name+" SELECT b.* FROM "+i.rows(t)+" AS b WHERE NOT EXISTS (SELECT FROM "+t.name+" AS e WHERE "+same+")")
	}
	if stood != "" {
		statements = append(statements, "INSERT INTO "+t.name+" SELECT * FROM "+stood)
	}
	return i.run(ctx, statements...)
}

// stood asks for the rows that stand at the end of the period for some keys, and brings them here; "" if there is none.
func (i *install) stood(ctx context.Context, t *table, gone string) (string, error) {
	var keys relation
	err := i.s.patiently(ctx, i.conn, func(ctx context.Context) (err error) {
		keys, err = readRows(ctx, i.conn, t.keyColumns(), "SELECT * FROM "+gone)
		return err
	})
	if err != nil || len(keys) == 0 || i.in.StateOf == nil {
		return "", err
	}
	rows, err := i.in.StateOf(ctx, t.Name, keys)
	if err != nil {
		return "", err
	}
	return i.bring(ctx, t.columns, rows)
}

// keyColumns are the columns of the key of an entities table.
func (t *table) keyColumns() []pinflow.Column {
	var all []pinflow.Column
	for _, k := range t.Key {
		for _, c := range t.Keys {
			if c.Name == k {
				all = append(all, c)
			}
		}
	}
	return all
}
