package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/postgres"
)

// keyedPlan has entities with keys of two columns, of which one is text of any length.
func keyedPlan() *pinflow.Plan {
	columns := []pinflow.Column{{Name: "shop", Type: "BIGINT"}, {Name: "name", Type: "VARCHAR"}, {Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"}}
	p := &pinflow.Plan{Pipeline: "shops", Generation: "g1"}
	for _, keep := range []string{"latest", "first"} {
		p.Tables = append(p.Tables, pinflow.Table{Name: keep, Kind: pinflow.Entities, Keys: columns, Key: []string{"shop", "name"}, Keep: keep})
		text := "SELECT shop, name, _partition, _offset FROM {gen}." + keep
		p.Views = append(p.Views, pinflow.View{Name: keep, Columns: columns, DuckDB: text, Postgres: text})
	}
	return p
}

// TestKeysOfTwoColumns lets rows stand for keys of several columns, longer than what an index holds, through commits and installs.
func TestKeysOfTwoColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	url := newDatabase(t)
	s := openStore(t, postgres.Options{URL: url, Instance: newFiles(t).instance})
	must(t, s.Prepare(t.Context(), keyedPlan()))
	_, err := s.Claim(t.Context(), "g1", map[pinflow.TopicPartition]int64{visits: 0})
	must(t, err)
	long := strings.Repeat("a name beyond all measure ", 400)
	var log rows
	standing := map[string]map[string]int64{"latest": {}, "first": {}} // offsets by key
	for range 12 {
		start, added := int64(len(log)), rows{}
		for range r.IntN(40) {
			row := []any{int64(0), visits.Topic, r.Int64N(3), []string{"", "a", long + "1", long + "2", "\x00"}[r.IntN(5)], int32(0), int64(len(log))}
			log, added = append(log, row), append(added, row)
		}
		d := pinflow.Delta{Generation: "g1", Close: func() {}, Advances: []pinflow.Advance{{TopicPartition: visits, Start: start, End: int64(len(log))}}}
		for keep := range standing {
			want := map[string]bool{} // keys that are held
			for _, row := range added {
				if _, ok := standing[keep][keyOf(row)]; ok {
					want[keyOf(row)] = true
				}
			}
			d.Changes = append(d.Changes, pinflow.Change{Table: keep, Rows: added, Before: keyedPlan().Tables[0].Keys, Deltas: func(ctx context.Context, held pinflow.Relation) ([]pinflow.Addition, error) {
				n := 0
				err := held.Scan(ctx, func(row []any) error {
					n++
					if at, ok := standing[keep][fmt.Sprint(row[0], row[1])]; !ok || at != row[3] {
						return fmt.Errorf("%v is held, and was not to stand", row)
					}
					return nil
				})
				if n != len(want) {
					err = errors.Join(err, fmt.Errorf("%d rows are held, not %d", n, len(want)))
				}
				return nil, err
			}})
		}
		must(t, s.Commit(t.Context(), d))
		for _, row := range added {
			standing["latest"][keyOf(row)] = row[5].(int64)
			if _, ok := standing["first"][keyOf(row)]; !ok {
				standing["first"][keyOf(row)] = row[5].(int64)
			}
		}
		checkKeys(t, s, standing)
	}
	end := int64(len(log))
	in := pinflow.Installation{Generation: "g1", Period: 0, Next: 1, Ranges: []pinflow.InstalledRange{{TopicPartition: visits, End: end, Records: end}}}
	for keep, offsets := range standing {
		var all rows
		for _, row := range log {
			if offsets[keyOf(row)] == row[5] {
				all = append(all, slices.Clone(row))
			}
		}
		in.Added = append(in.Added, pinflow.Addition{Table: keep, Rows: all})
	}
	c, err := s.Install(t.Context(), in)
	must(t, err)
	if c.Differing != 0 || c.Rows != int64(2*len(standing["latest"])) {
		t.Errorf("%+v", c)
	}
	// The batch knows one key more, and one less.
	for i := range in.Added {
		all := in.Added[i].Rows.(rows)
		delete(standing[in.Added[i].Table], keyOf(all[0]))
		all[0] = append(slices.Clone(all[0][:3]), long+"3", int32(0), all[0][5])
		standing[in.Added[i].Table][keyOf(all[0])] = all[0][5].(int64)
	}
	in.Again = true
	in.StateOf = func(context.Context, string, pinflow.Relation) (pinflow.Relation, error) { return rows{}, nil }
	_, err = s.Install(t.Context(), in)
	must(t, err)
	checkKeys(t, s, standing)
}

func keyOf(row []any) string { return fmt.Sprint(row[2], row[3]) }

func checkKeys(t *testing.T, s *postgres.Store, standing map[string]map[string]int64) {
	t.Helper()
	for keep, offsets := range standing {
		result, err := s.Query(t.Context(), pinflow.Query{View: keep})
		must(t, err)
		for _, row := range result.Rows {
			if at, ok := offsets[fmt.Sprint(row[0], row[1])]; !ok || at != row[3] {
				t.Errorf("%s: %.60v stands", keep, row)
			}
		}
		if len(result.Rows) != len(offsets) {
			t.Errorf("%s: %d rows stand, not %d", keep, len(result.Rows), len(offsets))
		}
	}
}

// TestLocksThatOthersHold has somebody else hold a position: a commit waits so long and no longer, and applies nothing.
func TestLocksThatOthersHold(t *testing.T) {
	url := newDatabase(t)
	s, o := openInn(t, postgres.Options{URL: url, Lock: 200 * time.Millisecond}), newObserver(t, url)
	tx, err := o.conn.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM _pinflow.progress FOR UPDATE")
	must(t, err)
	wantError(t, "a commit", s.Commit(t.Context(), visit("g1", 0, 5)), pinflow.Unavailable, "holds the lock")
	_, err = s.Install(t.Context(), install("g1", 5))
	wantError(t, "an install", err, pinflow.Unavailable, "holds the lock")
	if at, err := s.Positions(t.Context()); err != nil || at[visits].NextOffset != 0 { // who reads does not wait
		t.Errorf("%v, %v", at, err)
	}
	must(t, tx.Rollback(t.Context()))
	must(t, s.Commit(t.Context(), visit("g1", 0, 5)))
	if o.position() != 5 {
		t.Error("the commit is not there")
	}
}

// TestBind binds topics to the store.
func TestBind(t *testing.T) {
	s := openInn(t, postgres.Options{URL: newDatabase(t)})
	must(t, s.Commit(t.Context(), visit("g1", 0, 5)))
	topic := func(id string, end int64) pinflow.Topic {
		return pinflow.Topic{Name: visits.Topic, ID: id, Partitions: []pinflow.PartitionBounds{{End: end}}}
	}
	must(t, s.Bind(t.Context(), topic("", 5)))
	must(t, s.Bind(t.Context(), topic("a", 5)))
	must(t, s.Bind(t.Context(), topic("a", 9)))
	wantError(t, "another topic", s.Bind(t.Context(), topic("b", 9)), pinflow.Invalid, "made anew", "127.0.0.1")
	wantError(t, "a log that has lost records", s.Bind(t.Context(), topic("a", 4)), pinflow.OutOfRange, "up to offset 5", "at 4")
}
