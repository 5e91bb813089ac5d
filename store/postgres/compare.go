package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
)

// outcome is what the comparison of a table told.
type outcome struct {
	rows, differing int64
	samples         []pinflow.Divergence
	diff            string // a temporary table of the keys of the rows that differ
}

// contest is two relations whose rows are held against one another.
type contest struct {
	keys        []string // of a row, quoted
	values      []string // that have to be the same, quoted
	live, batch string   // tables, or subqueries in brackets
}

// compare holds the live rows against the batch's, on one snapshot and beside whatever goes on.
func (i *install) compare(ctx context.Context) error {
	i.forget()
	tx, err := i.begin(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return err
	}
	defer i.s.rollBack(ctx, tx)
	if err := i.s.answered(ctx, func(ctx context.Context) (err error) {
		i.at, err = progress(ctx, i.conn, ofGeneration, i.g.name)
		return err
	}); err != nil {
		return err
	}
	if i.installs, err = i.countInstalls(ctx); err != nil {
		return err
	}
	all := map[string]*outcome{}
	for _, t := range i.g.order {
		if all[t.Name], err = i.compareTable(ctx, t); err != nil {
			return fmt.Errorf("comparison of %s: %w", t.Name, err)
		}
	}
	if err := i.s.answered(ctx, tx.Commit); err != nil { // of nothing but temporary tables
		return err
	}
	i.compared = all
	return nil
}

// forget drops what was compared. Its temporary tables go with the connection.
func (i *install) forget() { i.compared = nil }

// countInstalls returns a number that every install of the generation changes.
func (i *install) countInstalls(ctx context.Context) (n int64, err error) {
	err = i.s.answered(ctx, func(ctx context.Context) error {
		return i.conn.QueryRow(ctx, "SELECT coalesce(max(id), 0) FROM _pinflow.comparisons WHERE generation = $1", i.g.name).Scan(&n)
	})
	return n, err
}

// refresh compares again, under the lock, the partials to which rows of the period may have come since. That is rare, and they are not many: a partition that
// was in a later period adds none.
func (i *install) refresh(ctx context.Context, at map[pinflow.TopicPartition]pinflow.Progress) error {
	moved := false
	for tp, now := range at {
		was := i.at[tp]
		moved = moved || was.Period < i.in.Next && was.NextOffset != now.NextOffset
	}
	for _, t := range i.g.order {
		if !moved || t.Kind != pinflow.Partials {
			continue
		}
		o, err := i.compareTable(ctx, t)
		if err != nil {
			return err
		}
		i.compared[t.Name] = o
	}
	return nil
}

// ofPeriod is the condition that a row of partials is of the periods that are compared.
func (i *install) ofPeriod() string {
	return fmt.Sprintf(" WHERE _period >= %d AND _period < %d", i.in.Period, max(i.in.Next, i.in.Period+1))
}

func (i *install) compareTable(ctx context.Context, t *table) (*outcome, error) {
	switch {
	case t.Kind == pinflow.Partials:
		return i.judge(ctx, contest{t.keyNames(), t.measureNames(), "(" + t.mergedSQL(t.name, i.ofPeriod()) + ")", "(" + t.mergedSQL(i.rows(t), "") + ")"})
	case t.Kind == pinflow.Rejects:
		return i.judge(ctx, contest{t.position(), []string{`"reason"`}, i.liveRows(t), i.rows(t)})
	case t.Kind == pinflow.Entities:
		return i.compareEntities(ctx, t)
	case i.all && t.recentOnly():
		return i.compareRows(ctx, t, i.notInstalled())
	}
	return i.compareRows(ctx, t, "true")
}

func (t *table) measureNames() []string {
	names := make([]string, len(t.Measures))
	for j, m := range t.Measures {
		names[j] = quote(m.Name)
	}
	return names
}

// recentOnly tells whether the table holds the rows only of periods that are not installed.
func (t *table) recentOnly() bool { return t.Kind == pinflow.Rows && t.Rows == "recent" }

// liveRows are the store's rows of the period's records.
func (i *install) liveRows(t *table) string {
	return "(SELECT * FROM " + t.name + " WHERE " + i.inRanges(t) + ")"
}

// notInstalled is the condition that a row is of no installed period, so that a table of recent rows holds it.
func (i *install) notInstalled() string {
	return fmt.Sprintf(`NOT EXISTS (SELECT FROM _pinflow.installed AS p, jsonb_array_elements(p.ranges::jsonb) AS r WHERE p.generation = %s AND r->>'topic' = x._topic
		AND (r->>'partition')::integer = x._partition AND x._offset >= (r->>'Start')::bigint AND x._offset < (r->>'End')::bigint)`, literal(i.g.name))
}

// hashOf is a number that is the same for the same values.
func hashOf(values []string) string {
	if len(values) == 0 {
		return "1::bigint"
	}
	return "hash_record_extended(ROW(" + list(values) + "), 0) >> 1"
}

// sums is both relations under one another, reduced to keys, sign and hash, and added up by keys: equal rows add up to nothing.
// Those whose "_pinflow_n" or "_pinflow_d" is not zero differ.
func (c *contest) sums(keys, names []string) string {
	part := func(sign int, from string) string {
		all := make([]string, len(keys))
		for j := range keys {
			all[j] = keys[j] + " AS " + names[j]
		}
		return fmt.Sprintf(`SELECT %s, %d AS "_pinflow_s", %s AS "_pinflow_h" FROM %s AS x`, list(all), sign, hashOf(c.values), from)
	}
	return fmt.Sprintf(`SELECT %s, sum("_pinflow_s") AS "_pinflow_n", sum("_pinflow_s" * "_pinflow_h") AS "_pinflow_d", count(*) FILTER (WHERE "_pinflow_s" > 0) AS "_pinflow_live",
		count(*) FILTER (WHERE "_pinflow_s" < 0) AS "_pinflow_batch" FROM (%s UNION ALL %s) AS s GROUP BY %[1]s`, list(names), part(1, c.live), part(-1, c.batch))
}

const differs = `("_pinflow_n" <> 0 OR "_pinflow_d" <> 0)`

// judge counts the rows and those that differ, and keeps the keys of these.
func (i *install) judge(ctx context.Context, c contest) (*outcome, error) {
	o := &outcome{}
	sums := c.sums(c.keys, c.keys)
	err := i.ask(ctx, "SELECT count(*), count(*) FILTER (WHERE "+differs+") FROM ("+sums+") AS s", &o.rows, &o.differing)
	if err != nil || o.differing == 0 {
		return o, err
	}
	return o, i.keep(ctx, o, c, "SELECT "+list(c.keys)+" FROM ("+sums+") AS s WHERE "+differs)
}

// ask reads one row.
func (i *install) ask(ctx context.Context, query string, into ...any) error {
	return i.s.patiently(ctx, i.conn, func(ctx context.Context) error {
		return i.conn.QueryRow(ctx, query, pgx.QueryExecModeExec).Scan(into...)
	})
}

// makeTable fills a new temporary table with a query's rows.
func (i *install) makeTable(ctx context.Context, query string) (name string, err error) {
	name = i.temporary()
	return name, i.run(ctx, "CREATE TEMPORARY TABLE "+name+" AS "+query, "ANALYZE "+name)
}

// keep keeps the keys of the rows that differ, and some of the rows.
func (i *install) keep(ctx context.Context, o *outcome, c contest, keys string) (err error) {
	if o.diff, err = i.makeTable(ctx, keys); err == nil {
		o.samples, err = i.samples(ctx, o.diff, c)
	}
	return err
}

// bucket is how many offsets of a partition are compared by one sum. Only those that differ are looked into.
const bucket = 4096

// compareRows compares the rows of records by their content, as far as a condition on x holds.
func (i *install) compareRows(ctx context.Context, t *table, where string) (*outcome, error) {
	some := func(from string) string { return "(SELECT x.* FROM " + from + " AS x WHERE " + where + ")" }
	c := contest{t.position(), quoted(namesOf(t.columns)), some(i.liveRows(t)), some(i.rows(t))}
	sums := c.sums([]string{"_topic", "_partition", fmt.Sprintf("_offset / %d", bucket)}, []string{"_topic", "_partition", `"_pinflow_b"`})
	var live, batch, different int64
	err := i.ask(ctx, `SELECT coalesce(sum("_pinflow_live"), 0)::bigint, coalesce(sum("_pinflow_batch"), 0)::bigint, count(*) FILTER (WHERE `+differs+`) FROM (`+sums+`) AS s`, &live, &batch, &different)
	if err != nil || different == 0 {
		return &outcome{rows: max(live, batch)}, err
	}
	buckets, err := i.makeTable(ctx, `SELECT _topic, _partition, "_pinflow_b" FROM (`+sums+`) AS s WHERE `+differs)
	if err != nil {
		return nil, err
	}
	within := func(from string) string {
		return fmt.Sprintf(`(SELECT r.* FROM %s AS r JOIN %s AS b ON r._topic = b._topic AND r._partition = b._partition AND r._offset / %d = b."_pinflow_b")`, from, buckets, bucket)
	}
	c.live, c.batch = within(c.live), within(c.batch)
	o, err := i.judge(ctx, c)
	if err != nil {
		return nil, err
	}
	o.rows = max(live, batch, o.rows)
	return o, nil
}

// compareEntities compares the rows that came to stand in the period: with the store's, unless that one is newer and so tells nothing of the
// period, and the store's of the period with the batch's.
func (i *install) compareEntities(ctx context.Context, t *table) (*outcome, error) {
	hash := func(alias string) string {
		return "hash_record_extended(ROW(" + prefixed(alias, namesOf(t.columns)) + "), 0)"
	}
	query := fmt.Sprintf(`SELECT %s, e._offset IS NULL OR %s <> %s AS "_pinflow_d" FROM %s AS b LEFT JOIN %s AS e ON %s WHERE e._offset IS NULL OR NOT %s
		UNION ALL SELECT %s, true FROM %[5]s AS e WHERE %[9]s AND NOT EXISTS (SELECT FROM %[4]s AS b WHERE %[6]s)`,
		prefixed("b", t.Key), hash("e"), hash("b"), i.rows(t), t.name, t.sameKey("e", "b"), i.stays(t, "e"), prefixed("e", t.Key), i.inRanges(t))
	o := &outcome{}
	err := i.ask(ctx, `SELECT count(*), count(*) FILTER (WHERE "_pinflow_d") FROM (`+query+`) AS q`, &o.rows, &o.differing)
	if err != nil || o.differing == 0 {
		return o, err
	}
	c := contest{keys: quoted(t.Key), live: t.name, batch: i.rows(t)}
	return o, i.keep(ctx, o, c, "SELECT "+prefixed("", t.Key)+" FROM ("+query+`) AS q WHERE "_pinflow_d"`)
}

// maxSamples is how many differing rows of a table are recorded.
const maxSamples = 20

// samples returns the first rows that differ as JSON.
func (i *install) samples(ctx context.Context, diff string, c contest) ([]pinflow.Divergence, error) {
	few := fmt.Sprintf(`SELECT *, row_number() OVER (ORDER BY %s) - 1 AS "_pinflow_i" FROM (SELECT * FROM %s ORDER BY %[1]s LIMIT %[3]d) AS f`, list(c.keys), diff, maxSamples)
	same := sameOf("x", "d", c.keys)
	query := fmt.Sprintf(`WITH d AS MATERIALIZED (%s)
		SELECT d."_pinflow_i"::integer, 0, row_to_json(x)::text FROM d JOIN %s AS x ON %s
		UNION ALL SELECT d."_pinflow_i"::integer, 1, row_to_json(x)::text FROM d JOIN %s AS x ON %[3]s`, few, c.live, same, c.batch)
	samples := make([]pinflow.Divergence, maxSamples)
	n := 0
	err := i.s.patiently(ctx, i.conn, func(ctx context.Context) error {
		rows, err := i.conn.Query(ctx, query, pgx.QueryExecModeExec)
		if err != nil {
			return err
		}
		var at, side int
		var text string
		_, err = pgx.ForEachRow(rows, []any{&at, &side, &text}, func() error {
			n = max(n, at+1)
			if side == 0 {
				samples[at].Live = text
			} else {
				samples[at].Batch = text
			}
			return nil
		})
		return err
	})
	return samples[:n], err
}

// sameOf is the condition that two rows have the same values in some columns, NULL being one. The hash is what lets the rows be found.
func sameOf(a, b string, columns []string) string {
	row := func(alias string) string {
		all := make([]string, len(columns))
		for j, c := range columns {
			all[j] = alias + "." + c
		}
		return "hash_record_extended(ROW(" + list(all) + "), 0)"
	}
	condition := row(a) + " = " + row(b)
	for _, c := range columns {
		condition += " AND " + a + "." + c + " IS NOT DISTINCT FROM " + b + "." + c
	}
	return condition
}
