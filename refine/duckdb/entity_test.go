package duckdb_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/refine/duckdb"
	"github.com/pinflow/pinflow/refine/refinetest"
)

// TestRowsHeldMayLieAnywhere: in a table of the same instance, or in another's memory; and Deltas may be asked again.
func TestRowsHeldMayLieAnywhere(t *testing.T) {
	c := refinetest.Cases(t)[1]
	r := rand.New(rand.NewPCG(3, 9))
	i, err := duck.Open(t.Context(), duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	e, err := duckdb.NewEngine(t.Context(), duckdb.Options{Instance: i, Plan: c.Plan})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	halves := halves(refinetest.NewLog(&c, r, 400))
	before := refine(t, e, halves[0])
	defer before.Close()
	held := map[string]*duck.Table{}
	for _, change := range before.Changes {
		rows := change.Rows.(*duck.Table)
		name := duck.Quote("held " + change.Table)
		held[change.Table] = &duck.Table{Instance: i, Name: name, Columns: change.Before}
		if _, err := i.DB.Exec(fmt.Sprintf("CREATE TABLE %s AS SELECT %s FROM %s QUALIFY row_number() OVER (PARTITION BY %s ORDER BY _offset DESC) = 1",
			name, duck.Exact(change.Before), rows.Name, duck.Exact(change.Before[:len(c.Plan.Table(change.Table).Key)]))); err != nil {
			t.Fatal(err)
		}
	}
	after := refine(t, e, halves[1])
	defer after.Close()
	if len(after.Changes) != 3 {
		t.Fatalf("%d changes", len(after.Changes))
	}
	for _, change := range after.Changes {
		there := held[change.Table]
		apart := copied(t, there)
		want := deltas(t, change, there)
		if got := deltas(t, change, apart); !slices.Equal(got, want) {
			t.Errorf("%s: through Go\n%s\nwhere it lies\n%s", change.Table, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if none := deltas(t, change, rows(nil)); slices.Equal(none, want) {
			t.Errorf("%s: the rows held make no difference", change.Table)
		}
		if got := deltas(t, change, there); !slices.Equal(got, want) {
			t.Errorf("%s: another answer to the same question", change.Table)
		}
	}
}

// TestAnswersAreSeenInATransaction: a store that has looked into a delta's rows in its transaction sees there what Deltas
// adds afterwards.
func TestAnswersAreSeenInATransaction(t *testing.T) {
	c := refinetest.Cases(t)[1]
	r := rand.New(rand.NewPCG(4, 9))
	i, err := duck.Open(t.Context(), duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	e, err := duckdb.NewEngine(t.Context(), duckdb.Options{Instance: i, Plan: c.Plan})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	d := refine(t, e, halves(refinetest.NewLog(&c, r, 200))[0])
	defer d.Close()
	tx, err := i.DB.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	count := func(of pinflow.Relation) (n int) {
		if err := tx.QueryRow("SELECT count(*) FROM " + of.(*duck.Table).Name).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, a := range d.Added {
		if t, ok := a.Rows.(*duck.Table); ok {
			count(t)
		}
	}
	for _, change := range d.Changes {
		if count(change.Rows) == 0 {
			t.Errorf("%s has no rows", change.Table)
		}
		added, err := change.Deltas(t.Context(), rows(nil))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range added {
			if count(a.Rows) == 0 {
				t.Errorf("nothing is seen of %s", a.Table)
			}
		}
	}
}

// halves makes two batches of a log.
func halves(log refinetest.Log) (both [2]pinflow.Batch) {
	for _, tp := range log.Partitions() {
		all, floor, start := log[tp], pinflow.NoPeriod, int64(0)
		for half := range both {
			s := pinflow.Slice{TopicPartition: tp, Start: start, Records: all[len(all)*half/2 : len(all)*(half+1)/2]}
			for i := range s.Records {
				floor = refinetest.Hour.Of(s.Records[i].Timestamp, floor)
				s.Periods = append(s.Periods, floor)
				start = s.Records[i].Offset + 1
			}
			s.End, s.Floor = start, floor
			both[half].Slices = append(both[half].Slices, s)
		}
	}
	return both
}

func refine(t *testing.T, e pinflow.LiveEngine, b pinflow.Batch) pinflow.Delta {
	t.Helper()
	d, err := e.Refine(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// rows are a relation in Go's memory.
type rows [][]any

func (r rows) Scan(_ context.Context, f func(row []any) error) error {
	for _, row := range r {
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}

func copied(t *testing.T, from pinflow.Relation) (all rows) {
	t.Helper()
	if err := from.Scan(t.Context(), func(row []any) error { all = append(all, slices.Clone(row)); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// deltas returns the signed partials as text, in order.
func deltas(t *testing.T, c pinflow.Change, held pinflow.Relation) (all []string) {
	t.Helper()
	added, err := c.Deltas(t.Context(), held)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range added {
		for _, row := range copied(t, a.Rows) {
			all = append(all, a.Table+fmt.Sprint(row))
		}
	}
	slices.Sort(all)
	return all
}
