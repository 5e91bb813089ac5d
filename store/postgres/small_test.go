package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/postgres"
)

// rows is a relation of Go values.
type rows [][]any

// Scan implements pinflow.Relation.
func (r rows) Scan(ctx context.Context, f func(row []any) error) error {
	for _, row := range r {
		if err := f(slices.Clone(row)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

var visits = pinflow.TopicPartition{Topic: "visits"}

func measure(name string) pinflow.Measure {
	return pinflow.Measure{Column: pinflow.Column{Name: name, Type: "BIGINT"}, Merge: pinflow.Sum}
}

// smallPlan counts each visit in every way there is: its row, a count, the last of each guest, and a count of these.
func smallPlan(generation string) *pinflow.Plan {
	columns := []pinflow.Column{{Name: "guest", Type: "VARCHAR"}, {Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"}}
	plain := func(name, text string, columns ...pinflow.Column) pinflow.View {
		return pinflow.View{Name: name, Columns: columns, DuckDB: text, Postgres: text}
	}
	n := pinflow.Column{Name: "n", Type: "BIGINT"}
	return &pinflow.Plan{Pipeline: "inn", Generation: generation, Sources: []pinflow.PlannedSource{{Source: pinflow.Source{Name: "visit", Topic: visits.Topic}}},
		Tables: []pinflow.Table{
			{Name: "totals", Kind: pinflow.Partials, Model: "visits", Measures: []pinflow.Measure{measure("n")}},
			{Name: "visits", Kind: pinflow.Rows, Model: "visits", Keys: columns, Rows: "all"},
			{Name: "guests", Kind: pinflow.Entities, Model: "guests", Keys: columns, Key: []string{"guest"}, Keep: "latest"},
			{Name: "guest_count", Kind: pinflow.Partials, Model: "guests", Signed: true, Measures: []pinflow.Measure{measure("n")}},
			pinflow.RejectsTable(),
		},
		Views: []pinflow.View{
			plain("totals", "SELECT CAST(coalesce(sum(n), 0) AS BIGINT) AS n FROM {gen}.totals", n),
			plain("visits", "SELECT guest, _partition, _offset FROM {gen}.visits", columns...),
			plain("guests", "SELECT guest, _partition, _offset FROM {gen}.guests", columns...),
		}}
}

func guestOf(offset int64) string { return fmt.Sprintf("guest %d", offset*offset%11) }

// visit is the delta of the visits from start to end.
func visit(generation string, start, end int64) pinflow.Delta {
	d := pinflow.Delta{Generation: generation, Close: func() {}, Advances: []pinflow.Advance{{TopicPartition: visits, Start: start, End: end, Period: 0}}}
	var came, latest rows
	for offset := start; offset < end; offset++ {
		row := []any{int64(0), visits.Topic, guestOf(offset), int32(0), offset}
		came = append(came, row)
		latest = slices.DeleteFunc(latest, func(r []any) bool { return r[2] == row[2] })
		latest = append(latest, row)
	}
	d.Added = []pinflow.Addition{{Table: "totals", Rows: rows{{int64(0), int32(0), end - start}}}, {Table: "visits", Rows: came}}
	d.Changes = []pinflow.Change{{Table: "guests", Rows: latest, Single: true, Before: []pinflow.Column{{Name: "guest", Type: "VARCHAR"}},
		Deltas: func(ctx context.Context, held pinflow.Relation) ([]pinflow.Addition, error) {
			news := int64(len(latest))
			err := held.Scan(ctx, func([]any) error { news--; return nil })
			return []pinflow.Addition{{Table: "guest_count", Rows: rows{{int64(0), int32(0), news}}}}, err
		}}}
	return d
}

// install is the period of the visits before end.
func install(generation string, end int64) pinflow.Installation {
	d := visit(generation, 0, end)
	guests := d.Changes[0].Rows.(rows)
	return pinflow.Installation{Generation: generation, Period: 0, Next: 1, Ranges: []pinflow.InstalledRange{{TopicPartition: visits, Start: 0, End: end, Records: end}},
		Added: append(d.Added, pinflow.Addition{Table: "guests", Rows: guests}, pinflow.Addition{Table: "guest_count", Rows: rows{{int64(0), int32(0), int64(len(guests))}}})}
}

// openInn opens a store that is prepared for the plan, with the partition claimed.
func openInn(t testing.TB, o postgres.Options) *postgres.Store {
	t.Helper()
	if o.Instance == nil {
		o.Instance = newFiles(t).instance
	}
	s := openStore(t, o)
	must(t, s.Prepare(t.Context(), smallPlan("g1")))
	_, err := s.Claim(t.Context(), "g1", map[pinflow.TopicPartition]int64{visits: 0})
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// observer looks at the tables from outside.
type observer struct {
	t    testing.TB
	conn *pgx.Conn
}

func newObserver(t testing.TB, url string) *observer {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &observer{t, conn}
}

// position checks that all that is counted is what the position says, and returns it.
func (o *observer) position() int64 {
	o.t.Helper()
	const query = `SELECT next_offset, (SELECT coalesce(sum(n), 0)::bigint FROM _gen_g1.totals), (SELECT count(*) FROM _gen_g1.visits), (SELECT count(DISTINCT _offset) FROM _gen_g1.visits),
		(SELECT coalesce(max(_offset), -1) + 1 FROM _gen_g1.guests), (SELECT count(*) FROM _gen_g1.guests), (SELECT count(DISTINCT guest) FROM _gen_g1.guests),
		(SELECT coalesce(sum(n), 0)::bigint FROM _gen_g1.guest_count), (SELECT count(*) FROM _pinflow.installed) > 0 AND (SELECT count(*) FROM _pinflow.comparisons) = 0 FROM _pinflow.progress`
	var position int64
	var counted [7]int64
	var unrecorded bool
	must(o.t, o.conn.QueryRow(o.t.Context(), query).Scan(&position, &counted[0], &counted[1], &counted[2], &counted[3], &counted[4], &counted[5], &counted[6], &unrecorded))
	seen := map[string]bool{}
	for offset := range position {
		seen[guestOf(offset)] = true
	}
	p, g := position, int64(len(seen))
	if want := [7]int64{p, p, p, p, g, g, g}; counted != want || unrecorded {
		o.t.Errorf("at %d there are %v, want %v; an install was not recorded: %v", position, counted, want, unrecorded)
	}
	return position
}
