package duckdb

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// counted is a relation of one row.
type counted []any

// Scan implements pinflow.Relation.
func (c counted) Scan(_ context.Context, f func([]any) error) error { return f(c) }

// TestComparedRowsThatChange commits, merges and installs between the comparison and the transaction of an install.
func TestComparedRowsThatChange(t *testing.T) {
	for name, c := range map[string]struct {
		between   func(t *testing.T, s *Store)
		differing int64
		again     bool
	}{
		"Nothing":         {func(*testing.T, *Store) {}, 0, false},
		"RowsOfThePeriod": {func(t *testing.T, s *Store) { commitCount(t, s, 5, 6, 0) }, 1, false},
		"OtherRows":       {func(t *testing.T, s *Store) { commitCount(t, s, 5, 6, 1) }, 0, false},
		"Merged": {func(t *testing.T, s *Store) {
			commitCount(t, s, 5, 6, 0)
			if err := s.fold(t.Context(), s.generations["g1"].order[0]); err != nil {
				t.Error(err)
			}
		}, 1, false},
		"Installed": {func(t *testing.T, s *Store) {
			if _, err := s.Install(t.Context(), period(5, 6, 1)); err != nil {
				t.Error(err)
			}
		}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := openCounts(t)
			commitCount(t, s, 0, 5, 0)
			i := &install{s: s, op: "install period", in: period(0, 5, 0)}
			defer i.release()
			plan, err := i.look(t.Context())
			if err != nil || !plan.Compare {
				t.Fatal(plan, err)
			}
			if err := i.place(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := i.compare(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.between(t, s)
			got, again, err := i.put(t.Context())
			if err != nil || again != c.again || !again && got.Differing != c.differing {
				t.Errorf("got %+v, again %v, %v", got, again, err)
			}
		})
	}
}

func openCounts(t *testing.T) *Store {
	t.Helper()
	in, err := duck.Open(t.Context(), duck.Options{Path: filepath.Join(t.TempDir(), "a.duckdb")})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Instance: in})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &pinflow.Plan{Pipeline: "shop", Generation: "g1", Tables: []pinflow.Table{{Name: "totals", Kind: pinflow.Partials,
		Measures: []pinflow.Measure{{Column: pinflow.Column{Name: "n", Type: "BIGINT"}, Merge: pinflow.Sum}}}}}
	if err := s.Prepare(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), "g1", map[pinflow.TopicPartition]int64{{Topic: "t"}: 0}); err != nil {
		t.Fatal(err)
	}
	return s
}

// commitCount counts the records from start to end in a period.
func commitCount(t *testing.T, s *Store, start, end, period int64) {
	t.Helper()
	err := s.Commit(t.Context(), pinflow.Delta{Generation: "g1", Advances: []pinflow.Advance{{TopicPartition: pinflow.TopicPartition{Topic: "t"}, Start: start, End: end}},
		Added: []pinflow.Addition{{Table: "totals", Rows: counted{period, int32(0), end - start}}}})
	if err != nil {
		t.Error(err)
	}
}

func period(start, end int64, p pinflow.Period) pinflow.Installation {
	return pinflow.Installation{Generation: "g1", Period: p, Next: p + 1, Added: []pinflow.Addition{{Table: "totals", Rows: counted{int64(p), int32(0), end - start}}},
		Ranges: []pinflow.InstalledRange{{TopicPartition: pinflow.TopicPartition{Topic: "t"}, Start: start, End: end, Records: end - start}}}
}
