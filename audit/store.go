package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// installation is what an install of the period would put into the store.
func (r *run) installation(p pinflow.Period, ranges []pinflow.InstalledRange, parts []pinflow.Part, state map[string][]pinflow.Part) pinflow.Installation {
	in := pinflow.Installation{Generation: r.Plan.Generation, Period: p, Next: r.Period.Next(p), Ranges: ranges, Parts: parts, Again: true}
	for i := range r.Plan.Tables {
		t := &r.Plan.Tables[i]
		if own := partsOf(parts, t); len(own) > 0 {
			in.Added = append(in.Added, pinflow.Addition{Table: t.Name, Rows: r.Parts.Rows(own, t)})
		}
	}
	in.StateOf = func(ctx context.Context, table string, keys pinflow.Relation) (pinflow.Relation, error) {
		return r.Parts.StateOf(ctx, state[table], r.Plan.Table(table), keys)
	}
	return in
}

// partsOf returns the parts that hold the rows of a table.
func partsOf(parts []pinflow.Part, t *pinflow.Table) []pinflow.Part {
	kind, of := pinflow.MetricPart, t.Name
	switch t.Kind {
	case pinflow.Rows:
		kind, of = pinflow.CleanPart, t.Model
	case pinflow.Entities:
		kind = pinflow.LatestPart
	case pinflow.Rejects:
		kind, of = pinflow.RejectPart, ""
	}
	var own []pinflow.Part
	for _, p := range parts {
		if p.Kind == kind && (of == "" || p.Of == of) {
			own = append(own, p)
		}
	}
	return own
}

// compareStore holds the store's rows beside those of an installation. Each table that differs is a finding.
func (r *run) compareStore(ctx context.Context, in pinflow.Installation, what string, record bool) error {
	c, err := r.Store.Compare(ctx, in, record)
	if err != nil {
		return err
	}
	r.findDifferences(in.Period, c, what, installAgain)
	return nil
}

func (r *run) findDifferences(p pinflow.Period, c *pinflow.Comparison, what, do string) {
	for _, t := range c.Tables {
		if t.Differing > 0 {
			r.findings.add(tableFinding(pinflow.FindStore, r.name(p), what, t, do))
		}
	}
	if c.Why != "" {
		r.note(r.name(p) + ": the store's rows were not compared: " + c.Why + ".")
	}
}

// damaged tells whether an error says that something is not as it was written: it is missing, changed or incomplete.
func damaged(err error) bool {
	if err == nil {
		return false
	}
	switch pinflow.KindOf(err) {
	case pinflow.Invalid, pinflow.NotFound, pinflow.OutOfRange:
		return true
	}
	return false
}

// stageState brings the files to this machine that make the state of entities at the end of a period.
func (r *run) stageState(ctx context.Context, m *pinflow.Manifest) (state map[string][]pinflow.Part, release func(), whole bool, err error) {
	var releases []func()
	release = func() {
		for _, f := range releases {
			f()
		}
	}
	state = map[string][]pinflow.Part{}
	for i := range r.Plan.Tables {
		if t := &r.Plan.Tables[i]; t.Kind == pinflow.Entities {
			for _, p := range m.StateOf(t.Name) {
				staged, done, err := r.Derived.Stage(ctx, p)
				if damaged(err) {
					return nil, release, false, nil // its own period tells of it
				}
				if err != nil {
					return nil, release, false, err
				}
				releases = append(releases, done)
				state[t.Name] = append(state[t.Name], staged)
			}
		}
	}
	return state, release, true, nil
}

// tableOf returns a table whose columns are those of a part.
func (r *run) tableOf(p pinflow.Part) *pinflow.Table {
	for i := range r.Plan.Tables {
		t := &r.Plan.Tables[i]
		if len(partsOf([]pinflow.Part{p}, t)) > 0 || p.Kind == pinflow.SnapshotPart && t.Name == p.Of {
			return t
		}
	}
	for _, m := range r.Plan.Models { // one whose rows the store does not keep
		if p.Kind == pinflow.CleanPart && m.Name == p.Of {
			return &pinflow.Table{Name: m.Name, Kind: pinflow.Rows, Model: m.Name, Keys: m.Columns}
		}
	}
	return nil
}

// relation returns the rows of parts as a table of DuckDB.
func (r *run) relation(parts []pinflow.Part, t *pinflow.Table) (*duck.Table, error) {
	table, ok := r.Parts.Rows(parts, t).(*duck.Table)
	if !ok {
		return nil, &pinflow.Error{Op: "audit", On: t.Name, Kind: pinflow.Invalid, Err: errors.New("the derived files are not read by DuckDB")}
	}
	return table, nil
}

func (r *run) rowsOf(ctx context.Context, p pinflow.Part) (int64, error) {
	t := r.tableOf(p)
	if t == nil {
		return p.Rows, nil // a report's: its columns are nobody's business here
	}
	rows, err := r.relation([]pinflow.Part{p}, t)
	if err != nil {
		return 0, err
	}
	var n int64
	if err := rows.Instance.DB.QueryRowContext(ctx, "SELECT count(*) FROM "+rows.Name+" AS t").Scan(&n); err != nil {
		return 0, &pinflow.Error{Op: "read", On: p.File, Kind: pinflow.Invalid, Err: err}
	}
	return n, nil
}

// samples is how many rows that differ are shown of each side.
const samples = 5

// same compares two sets of parts of a table by content: how many rows each side has that the other lacks.
func (r *run) same(ctx context.Context, found, expected []pinflow.Part, t *pinflow.Table) (pinflow.TableComparison, error) {
	out := pinflow.TableComparison{Table: t.Name}
	a, err := r.relation(found, t)
	if err != nil {
		return out, err
	}
	b, err := r.relation(expected, t)
	if err != nil {
		return out, err
	}
	left, right := rowsIn(a, t), rowsIn(b, t)
	db := a.Instance.DB
	fail := func(err error) (pinflow.TableComparison, error) {
		return out, &pinflow.Error{Op: "compare rows", On: t.Name, Err: err}
	}
	// The sum of the rows' hashes is the same for the same rows in whatever order, and costs no memory.
	var equal bool
	sum := func(of string) string {
		return "(SELECT {'n': count(*), 'h': coalesce(sum(hash(t)::HUGEINT), 0)} FROM (" + of + ") AS t)"
	}
	err = db.QueryRowContext(ctx, "SELECT ("+sum(right)+").n, "+sum(left)+" = "+sum(right)).Scan(&out.Rows, &equal)
	if err != nil || equal {
		if err != nil {
			return fail(err)
		}
		return out, nil
	}
	for i, side := range []string{left + " EXCEPT ALL " + right, right + " EXCEPT ALL " + left} {
		var n int64
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM ("+side+") AS t").Scan(&n); err != nil {
			return fail(err)
		}
		out.Differing += n
		rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT to_json(t)::VARCHAR FROM (%s) AS t ORDER BY ALL LIMIT %d", side, samples))
		if err != nil {
			return fail(err)
		}
		at := 0
		err = duck.EachRow(rows, func(row []any) error {
			text, _ := row[0].(string)
			if i == 0 {
				out.Samples = append(out.Samples, pinflow.Divergence{Live: text})
			} else if at < len(out.Samples) {
				out.Samples[at].Batch = text
			} else {
				out.Samples = append(out.Samples, pinflow.Divergence{Batch: text})
			}
			at++
			return nil
		})
		if err != nil {
			return fail(err)
		}
	}
	return out, nil
}

// rowsIn is a SELECT of a relation's rows. Of a signed table a row of zeros is no row.
func rowsIn(rows *duck.Table, t *pinflow.Table) string {
	s := "SELECT * FROM " + rows.Name + " AS t"
	if t.Signed && len(t.Measures) > 0 {
		some := make([]string, len(t.Measures))
		for i, m := range t.Measures {
			some[i] = "coalesce(" + duck.Quote(m.Name) + ", 0) <> 0"
		}
		s += " WHERE " + strings.Join(some, " OR ")
	}
	return s
}
