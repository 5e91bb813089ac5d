package postgres_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/postgres"
)

// otherPlan has a view of other columns, one less and one more.
func otherPlan(generation string) *pinflow.Plan {
	p := smallPlan(generation)
	n := pinflow.Column{Name: "n", Type: "BIGINT"}
	p.Views[0] = pinflow.View{Name: "totals", Columns: []pinflow.Column{{Name: "what", Type: "VARCHAR"}, n}, DuckDB: "SELECT 'visits' AS what, sum(n) AS n FROM {gen}.totals",
		Postgres: "SELECT 'visits'::text AS what, sum(n)::bigint AS n FROM {gen}.totals"}
	p.Views = append(p.Views[:2:2], pinflow.View{Name: "more", Columns: []pinflow.Column{n}, DuckDB: "SELECT n FROM {gen}.totals", Postgres: "SELECT n FROM {gen}.totals"})
	return p
}

// openTwo opens a store with a second generation that is as far as the first.
func openTwo(t *testing.T, url string) *postgres.Store {
	s := openInn(t, postgres.Options{URL: url})
	must(t, s.Commit(t.Context(), visit("g1", 0, 20)))
	must(t, s.Prepare(t.Context(), otherPlan("g2")))
	_, err := s.Claim(t.Context(), "g2", map[pinflow.TopicPartition]int64{visits: 0})
	must(t, err)
	must(t, s.Commit(t.Context(), visit("g2", 0, 20)))
	return s
}

// TestReader gives the reading role what it may read, over a switch, and nothing else.
func TestReader(t *testing.T) {
	database := newDatabase(t)
	s := openTwo(t, database)
	execute(t, database, "DROP ROLE IF EXISTS pinflow_reads")
	execute(t, database, "CREATE ROLE pinflow_reads LOGIN PASSWORD 'reads' IN ROLE inn_reader")
	t.Cleanup(func() {
		execute(t, database, "DROP OWNED BY pinflow_reads")
		execute(t, database, "DROP ROLE pinflow_reads")
	})
	execute(t, database, "GRANT SELECT ON inn.totals TO PUBLIC")
	u, err := url.Parse(database)
	must(t, err)
	u.User = url.UserPassword("pinflow_reads", "reads")
	for _, generation := range []string{"g1", "g2", "g1"} {
		must(t, s.Switch(t.Context(), generation))
		if n := ask[int64](t, u.String(), "SELECT n FROM inn.totals"); n != 20 {
			t.Errorf("in %s it reads %d", generation, n)
		}
		if at := ask[int64](t, u.String(), "SELECT sum(next_offset)::bigint FROM _pinflow.progress WHERE generation = (SELECT current FROM _pinflow.store)"); at != 20 {
			t.Errorf("in %s it reads that %d are counted", generation, at)
		}
		if !ask[bool](t, database, "SELECT has_table_privilege('public', 'inn.totals', 'SELECT')") {
			t.Errorf("in %s what was granted to others is gone", generation)
		}
		lacks, err := s.CanRead(t.Context(), "pinflow_reads")
		if err != nil || len(lacks) > 0 {
			t.Errorf("it lacks %v, %v", lacks, err)
		}
	}
	for _, statement := range []string{"SELECT * FROM _gen_g1.totals", "DELETE FROM inn.visits", "UPDATE _pinflow.store SET current = NULL", "DROP VIEW inn.totals", "CREATE TABLE inn.x (n integer)", "INSERT INTO _pinflow.progress VALUES ('g1', 't', 1, 2, 3)"} {
		conn, err := pgx.Connect(t.Context(), u.String())
		must(t, err)
		if _, err := conn.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", statement, err)
		}
		must(t, conn.Close(t.Context()))
	}
	// A store can be read by who may only read.
	only := openStore(t, postgres.Options{URL: u.String(), Instance: newFiles(t).instance})
	result, err := only.Query(t.Context(), pinflow.Query{View: "totals"})
	must(t, err)
	if result.Rows[0][0] != int64(20) || result.Positions[visits].NextOffset != 20 {
		t.Errorf("it reads %+v", result)
	}
	wantError(t, "a commit of who may only read", only.Commit(t.Context(), visit("g1", 20, 21)), pinflow.Invalid, "denied")
	lacks, err := s.CanRead(t.Context(), "nobody_there")
	if err != nil || len(lacks) != 1 {
		t.Errorf("a role that there is not lacks %v, %v", lacks, err)
	}
}

// TestViewsOfOthers switches under views that others have made.
func TestViewsOfOthers(t *testing.T) {
	database := newDatabase(t)
	s := openTwo(t, database)
	execute(t, database, "CREATE SCHEMA bi CREATE VIEW last AS SELECT max(_offset) AS at FROM inn.visits")
	execute(t, database, "CREATE VIEW bi.doubled AS SELECT 2 * n AS n FROM inn.totals")
	wantError(t, "a view that is used is to change its columns", s.Switch(t.Context(), "g2"), pinflow.Exists, "bi.doubled", "totals")
	if ask[int64](t, database, "SELECT n FROM bi.doubled") != 40 || ask[string](t, database, "SELECT current FROM _pinflow.store") != "g1" {
		t.Error("a switch that was refused changed something")
	}
	execute(t, database, "DROP VIEW bi.doubled")
	must(t, s.Switch(t.Context(), "g2"))
	must(t, s.Commit(t.Context(), visit("g2", 20, 25)))
	if at := ask[int64](t, database, "SELECT at FROM bi.last"); at != 24 {
		t.Errorf("the view of others shows %d", at)
	}
	if ask[bool](t, database, "SELECT to_regclass('inn.guests') IS NOT NULL") {
		t.Error("a view that the definition does not have any more is there")
	}
	execute(t, database, "CREATE VIEW bi.raw AS SELECT * FROM _gen_g1.totals")
	wantError(t, "tables that are used", s.DropGeneration(t.Context(), "g1"), pinflow.Exists, "bi.raw")
	execute(t, database, "DROP VIEW bi.raw")
	must(t, s.DropGeneration(t.Context(), "g1"))
}

// TestSwitchBesideReaders switches while somebody reads for long.
func TestSwitchBesideReaders(t *testing.T) {
	database := newDatabase(t)
	s := openTwo(t, database)
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	defer conn.Close(context.Background())
	tx, err := conn.Begin(t.Context())
	must(t, err)
	var n int64
	must(t, tx.QueryRow(t.Context(), "SELECT n FROM inn.totals").Scan(&n))
	switched := make(chan error, 1)
	go func() { switched <- s.Switch(t.Context(), "g2") }()
	for len(switched) == 0 && !ask[bool](t, database, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)") {
	}
	began := time.Now()
	must(t, s.Commit(t.Context(), visit("g2", 20, 30))) // commits are not kept waiting by readers
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a commit waited for %s", took)
	}
	must(t, tx.Commit(t.Context()))
	must(t, <-switched)
	if ask[string](t, database, "SELECT what FROM inn.totals") != "visits" {
		t.Error("the views are the old ones")
	}
}
