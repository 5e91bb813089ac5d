package postgres_test

import (
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/postgres"
)

// TestComparedRowsThatChange commits, merges and installs between the comparison and the transaction of an install.
func TestComparedRowsThatChange(t *testing.T) {
	late := func(period int64) pinflow.Delta {
		return pinflow.Delta{Generation: "g1", Close: func() {}, Advances: []pinflow.Advance{{TopicPartition: visits, Start: 5, End: 6}}, Added: []pinflow.Addition{{Table: "totals", Rows: rows{{period, int32(0), int64(1)}}}}}
	}
	for name, c := range map[string]struct {
		between   func(s *postgres.Store) error
		differing int64
		again     bool
		total     int64 // of the period, after the install
	}{
		"Nothing":         {func(*postgres.Store) error { return nil }, 0, false, 5},
		"RowsOfThePeriod": {func(s *postgres.Store) error { return s.Commit(t.Context(), late(0)) }, 1, false, 5},
		"OtherRows":       {func(s *postgres.Store) error { return s.Commit(t.Context(), late(1)) }, 0, false, 5},
		"Merged":          {func(s *postgres.Store) error { return s.MergeAll(t.Context(), "g1", "totals", 0) }, 0, false, 5},
		"Installed": {func(s *postgres.Store) error {
			_, err := s.Install(t.Context(), pinflow.Installation{Generation: "g1", Period: 1, Next: 2, Ranges: []pinflow.InstalledRange{{TopicPartition: visits, Start: 5, End: 5}}})
			return err
		}, 0, true, 5},
		"InstalledItself": {func(s *postgres.Store) error { _, err := s.Install(t.Context(), install("g1", 5)); return err }, 0, false, 5},
	} {
		t.Run(name, func(t *testing.T) {
			url := newDatabase(t)
			s := openInn(t, postgres.Options{URL: url})
			must(t, s.Commit(t.Context(), visit("g1", 0, 3)))
			must(t, s.Commit(t.Context(), visit("g1", 3, 5)))
			got, again, err := s.InstallWith(t.Context(), install("g1", 5), func() { must(t, c.between(s)) })
			must(t, err)
			if again != c.again || !again && got.Differing != c.differing {
				t.Errorf("got %+v, again %v", got, again)
			}
			if total := ask[int64](t, url, "SELECT sum(n)::bigint FROM _gen_g1.totals WHERE _period = 0"); total != c.total {
				t.Errorf("the period's total is %d", total)
			}
		})
	}
}
