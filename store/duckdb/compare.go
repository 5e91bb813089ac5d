package duckdb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// outcome is what the comparison of a table told.
type outcome struct {
	rows, differing int64
	samples         []pinflow.Divergence
	diff            string // a scratch table of the keys of the rows that differ
	give            func()
	stamp           stamp
}

// stamp tells whether the live partials of a period are what they were.
type stamp struct{ folds, recent int64 }

// contest is two relations whose rows are held against one another.
type contest struct {
	keys        []string // of a row, quoted
	values      []string // that have to be the same, quoted
	live, batch string   // subqueries in brackets
}

// compare holds the live rows against the batch's, on snapshots and beside whatever goes on. A comparison gives way to commits that need memory or
// the log, and is begun again a few times.
func (i *install) compare(ctx context.Context) error {
	for try := 1; ; try++ {
		err := i.s.asReader(ctx, i.op, i.compareAll)
		if err == nil || try == 3 || !errors.Is(err, errForMemory) && !errors.Is(err, errForLog) {
			return err
		}
	}
}

// asReader runs f as one of the queries: one of so many, and one that gives way.
func (s *Store) asReader(ctx context.Context, op string, f func(context.Context) error) error {
	select {
	case s.gate.Slots <- struct{}{}:
		defer func() { <-s.gate.Slots }()
	case <-s.closed:
		return errClosed(op)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	crowded, leave := s.gate.Crowd.Join(ctx)
	defer leave()
	err := f(crowded)
	if err != nil && crowded.Err() != nil && ctx.Err() == nil {
		return &pinflow.Error{Op: op, On: "comparison", Kind: pinflow.Unavailable, Err: context.Cause(crowded), Hint: "Try again later."}
	}
	return err
}

func (i *install) compareAll(ctx context.Context) error {
	i.forget()
	all := map[string]*outcome{}
	i.compared = all // forget gives back what was made, whatever happens
	for _, t := range i.g.order {
		o, err := i.compareTable(ctx, t, i.stamps[t.Name])
		if err != nil {
			i.forget()
			return fmt.Errorf("comparison of %s: %w", t.Name, err)
		}
		all[t.Name] = o
	}
	return nil
}

// forget drops what was compared.
func (i *install) forget() {
	for _, o := range i.compared {
		o.release()
	}
	i.compared = nil
}

func (o *outcome) release() {
	if o.give != nil {
		o.give()
	}
}

// stampAll notes how the tables of partials stand, before they are compared.
func (i *install) stampAll(ctx context.Context) error {
	i.installs, i.stamps = i.g.installs, map[string]stamp{}
	for _, t := range i.g.order {
		if t.Kind != pinflow.Partials {
			continue
		}
		st, err := i.stampOf(ctx, t)
		if err != nil {
			return err
		}
		i.stamps[t.Name] = st
	}
	return nil
}

func (i *install) stampOf(ctx context.Context, t *table) (stamp, error) {
	st := stamp{folds: t.folds}
	if t.recent == 0 {
		return st, nil
	}
	err := i.s.writer.QueryRowContext(ctx, "SELECT count(*) FROM "+t.part("recent")+i.ofPeriod()).Scan(&st.recent)
	return st, err
}

// refresh compares again, under the lock, the partials to which rows of the period were added since, or that were folded. That is rare, and
// they are not many.
func (i *install) refresh(ctx context.Context) error {
	for _, t := range i.g.order {
		if t.Kind != pinflow.Partials {
			continue
		}
		now, err := i.stampOf(ctx, t)
		if err != nil {
			return err
		}
		if was := i.compared[t.Name]; was.stamp != now {
			o, err := i.compareTable(ctx, t, now)
			if err != nil {
				return err
			}
			was.release()
			i.compared[t.Name] = o
		}
	}
	return nil
}

// ofPeriod is the condition that a row of partials is of the periods that are compared.
func (i *install) ofPeriod() string {
	return fmt.Sprintf(" WHERE _period >= %d AND _period < %d", i.in.Period, max(i.in.Next, i.in.Period+1))
}

func (i *install) compareTable(ctx context.Context, t *table, st stamp) (*outcome, error) {
	var o *outcome
	var err error
	switch t.Kind {
	case pinflow.Partials:
		o, err = i.judge(ctx, contest{t.keyNames(), measureNames(t),
			"(" + t.mergedSQL(i.s.everywhere(t.whole()), i.ofPeriod()) + ")", "(" + t.mergedSQL(i.rows(t), "") + ")"})
	case pinflow.Rejects:
		o, err = i.judge(ctx, contest{t.position(), []string{`"reason"`}, i.liveRows(t), i.rows(t)})
	case pinflow.Entities:
		o, err = i.compareEntities(ctx, t)
	default:
		o, err = i.compareRows(ctx, t)
	}
	if err == nil {
		o.stamp = st
	}
	return o, err
}

func measureNames(t *table) []string {
	names := make([]string, len(t.Measures))
	for j, m := range t.Measures {
		names[j] = duck.Quote(m.Name)
	}
	return names
}

// liveRows are the store's rows of the period's records.
func (i *install) liveRows(t *table) string {
	from := t.target()
	if i.all {
		from = t.whole()
	}
	return "(SELECT * FROM " + i.s.everywhere(from) + " WHERE " + i.inRanges(t) + ")"
}

// sides is both relations under one another, reduced to keys, sign and hash: equal rows add up to nothing.
func (c *contest) sides(keys []string) string {
	hash := "1::BIGINT"
	if len(c.values) > 0 {
		hash = "(hash(" + strings.Join(c.values, ", ") + ") >> 1)::BIGINT"
	}
	list := strings.Join(keys, ", ")
	return fmt.Sprintf(`SELECT %s, 1::BIGINT AS "_pinflow_s", %s AS "_pinflow_h" FROM %s UNION ALL SELECT %[1]s, -1, %[2]s FROM %[4]s`, list, hash, c.live, c.batch)
}

// sums is both relations added up by keys. Those whose "_pinflow_n" or "_pinflow_d" is not zero differ.
func (c *contest) sums(keys []string) string {
	return fmt.Sprintf(`SELECT * EXCLUDE ("_pinflow_s", "_pinflow_h"), sum("_pinflow_s") AS "_pinflow_n", sum("_pinflow_s" * "_pinflow_h") AS "_pinflow_d",
		count(*) FILTER ("_pinflow_s" > 0) AS "_pinflow_live", count(*) FILTER ("_pinflow_s" < 0) AS "_pinflow_batch" FROM (%s) GROUP BY ALL`, c.sides(keys))
}

const differs = `("_pinflow_n" <> 0 OR "_pinflow_d" <> 0)`

// judge counts the rows and those that differ, and keeps the keys of these.
func (i *install) judge(ctx context.Context, c contest) (*outcome, error) {
	o := &outcome{}
	sums := c.sums(c.keys)
	err := i.s.o.Instance.DB.QueryRowContext(ctx, "SELECT count(*), count(*) FILTER ("+differs+") FROM ("+sums+")").Scan(&o.rows, &o.differing)
	if err != nil || o.differing == 0 {
		return o, err
	}
	return o, i.keep(ctx, o, c, "SELECT "+strings.Join(c.keys, ", ")+" FROM ("+sums+") WHERE "+differs)
}

// keep keeps the keys of the rows that differ, and some of the rows.
func (i *install) keep(ctx context.Context, o *outcome, c contest, keys string) error {
	var err error
	if o.diff, o.give, err = i.s.makeTable(ctx, keys); err != nil {
		return err
	}
	if o.samples, err = i.samples(ctx, o.diff, c); err != nil {
		o.give()
	}
	return err
}

// bucket is how many offsets of a partition are compared by one sum. Only those that differ are looked into.
const bucket = 4096

// compareRows compares the rows of records by their content.
func (i *install) compareRows(ctx context.Context, t *table) (*outcome, error) {
	values := make([]string, 0, len(t.columns()))
	for _, c := range t.columns() {
		values = append(values, duck.Quote(c.Name))
	}
	c := contest{t.position(), values, i.liveRows(t), i.rows(t)}
	coarse := fmt.Sprintf(`_offset // %d AS "_pinflow_b"`, bucket)
	sums := c.sums([]string{"_topic", "_partition", coarse})
	var live, batch, different int64
	err := i.s.o.Instance.DB.QueryRowContext(ctx, `SELECT coalesce(sum("_pinflow_live"), 0)::BIGINT, coalesce(sum("_pinflow_batch"), 0)::BIGINT, count(*) FILTER (`+differs+`) FROM (`+sums+`)`).
		Scan(&live, &batch, &different)
	if err != nil || different == 0 {
		return &outcome{rows: max(live, batch)}, err
	}
	buckets, release, err := i.s.makeTable(ctx, `SELECT _topic, _partition, "_pinflow_b" FROM (`+sums+`) WHERE `+differs)
	if err != nil {
		return nil, err
	}
	defer release()
	within := fmt.Sprintf(`(SELECT r.* FROM %%s AS r SEMI JOIN %s AS b ON r._topic = b._topic AND r._partition = b._partition AND r._offset // %d = b."_pinflow_b")`, buckets, bucket)
	c.live, c.batch = fmt.Sprintf(within, c.live), fmt.Sprintf(within, c.batch)
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
	columns := func(alias string) string {
		names := make([]string, 0, len(t.columns()))
		for _, c := range t.columns() {
			names = append(names, alias+"."+duck.Quote(c.Name))
		}
		return "hash(" + strings.Join(names, ", ") + ")"
	}
	keys := func(alias string) string {
		names := quoted(t.Key)
		for j, n := range names {
			names[j] = alias + "." + n
		}
		return strings.Join(names, ", ")
	}
	live := i.s.everywhere(t.whole())
	query := fmt.Sprintf(`SELECT %s, e._offset IS NULL OR %s <> %s AS "_pinflow_d" FROM %s AS b LEFT JOIN %s AS e ON %s WHERE e._offset IS NULL OR NOT %s
		UNION ALL SELECT %s, true FROM %s AS e ANTI JOIN %[4]s AS b ON %[6]s WHERE %[10]s`,
		keys("b"), columns("e"), columns("b"), i.rows(t), live, t.sameKey("e", "b"), i.stays(t, "e"), keys("e"), live, i.inRanges(t))
	o := &outcome{}
	err := i.s.o.Instance.DB.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER ("_pinflow_d") FROM (`+query+`)`).Scan(&o.rows, &o.differing)
	if err != nil || o.differing == 0 {
		return o, err
	}
	c := contest{keys: quoted(t.Key), live: live, batch: i.rows(t)}
	return o, i.keep(ctx, o, c, `SELECT * EXCLUDE ("_pinflow_d") FROM (`+query+`) WHERE "_pinflow_d"`)
}
