package duckdb_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/store/duckdb"
	"github.com/prometheus/client_golang/prometheus"
)

func TestNewerFormatIsRefused(t *testing.T) {
	p := newPlace(t, duckdb.Options{})
	s := small(t, p)
	if _, err := p.instance.File.Exec("UPDATE _pinflow.store SET version = 1000"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	instance, err := duck.Open(t.Context(), duck.Options{Path: p.path})
	if err != nil {
		t.Fatal(err)
	}
	defer instance.Close()
	_, err = duckdb.Open(t.Context(), duckdb.Options{Instance: instance})
	if pinflow.KindOf(err) != pinflow.Invalid || !strings.Contains(err.Error(), "version 1000") {
		t.Errorf("got %v", err)
	}
}

// TestOlderStore opens a store of the version that knew no batch: what it has counted is there, and its generation has no plan until it is prepared again.
func TestOlderStore(t *testing.T) {
	p := newPlace(t, duckdb.Options{})
	s := small(t, p)
	commitSmall(t, s, 0, 10)
	for _, statement := range []string{"ALTER TABLE _pinflow.generations DROP COLUMN plan", "DROP TABLE _pinflow.installed", "DROP TABLE _pinflow.comparisons", "DROP TABLE _pinflow.hold",
		"DROP TABLE _pinflow.reports", "UPDATE _pinflow.store SET version = 2"} {
		if _, err := p.instance.File.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = p.open(t)
	if _, err := s.PlanOf(t.Context(), "g1"); pinflow.KindOf(err) != pinflow.NotFound || !strings.Contains(err.Error(), "older version") {
		t.Errorf("the plan of an older version: %v", err)
	}
	next := smallPlan()
	next.Generation = "g2"
	if err := s.Prepare(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if err := s.DropGeneration(t.Context(), "g2"); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), smallPlan()); err != nil {
		t.Fatal(err)
	}
	if plan, err := s.PlanOf(t.Context(), "g1"); err != nil || plan.Pipeline != "shop" {
		t.Errorf("prepared again: %+v, %v", plan, err)
	}
	commitSmall(t, s, 10, 20)
	if result, err := s.Query(t.Context(), pinflow.Query{View: "totals"}); err != nil || result.Rows[0][0] != int64(20) {
		t.Errorf("got %+v, %v", result, err)
	}
	if current, err := s.Current(t.Context()); err != nil || current != "g1" {
		t.Errorf("current is %q, %v", current, err)
	}
}

// TestMovedLake reads rows from files that lie elsewhere since they were installed.
func TestMovedLake(t *testing.T) {
	p := newPlace(t, duckdb.Options{})
	plan := smallPlan()
	for i := range plan.Tables {
		if plan.Tables[i].Name == "things" {
			plan.Tables[i].Rows, plan.Tables[i].Model = "recent", "things"
		}
	}
	s := p.open(t)
	if err := s.Prepare(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	rows := periodRows(0, 0, 30)
	part := p.part(t, []pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_topic", Type: "VARCHAR"}, {Name: "word", Type: "VARCHAR"}, {Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"}}, rows["things"])
	part.Kind, part.Of, part.Name = pinflow.CleanPart, "things", "gen=g1/clean/things/period=0/a.parquet"
	in := periodInstall(0, 0, 30)
	in.Added, in.Parts = additions(rows, "totals", "words", "things"), []pinflow.Part{part}
	if _, err := s.Install(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	moved := strings.TrimSuffix(part.File, ".parquet") + "-moved.parquet"
	if err := os.Rename(part.File, moved); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Query(t.Context(), pinflow.Query{View: "things"}); err == nil {
		t.Fatal("a file that is not there was read")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	p.options.File = func(asked pinflow.Part) string {
		if asked.Name != part.Name {
			t.Errorf("asked for %+v", asked)
		}
		return moved
	}
	s = p.open(t)
	if result, err := s.Query(t.Context(), pinflow.Query{View: "things"}); err != nil || len(result.Rows) != 30 {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestPipelineNames(t *testing.T) {
	for name, taken := range map[string]bool{"shop": false, "main": false, "pinflow": false, "memory": true, "Pinflow_File": true, "system": true, "temp": true,
		"information_schema": true, "pg_catalog": true, "_pinflow": true, "_gen_g1": true, "scratch_1": true, "": true} {
		s := newPlace(t, duckdb.Options{}).open(t)
		plan := smallPlan()
		plan.Pipeline = name
		err := s.Prepare(t.Context(), plan)
		if taken {
			if pinflow.KindOf(err) != pinflow.Invalid {
				t.Errorf("%q: got %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		for _, sql := range []string{"SELECT * FROM words", "SELECT * FROM " + name + ".words"} {
			if _, err := s.Query(t.Context(), pinflow.Query{SQL: sql}); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
}

// TestViewsOfChangedText keeps a generation whose views are written differently, as a newer version may do.
func TestViewsOfChangedText(t *testing.T) {
	p := newPlace(t, duckdb.Options{})
	s := small(t, p)
	commitSmall(t, s, 0, 10)
	plan := smallPlan()
	plan.Views = append(plan.Views[1:], pinflow.View{Name: "totals", DuckDB: "SELECT sum(n)::BIGINT * 2 AS twice FROM {gen}.totals"})
	if err := s.Prepare(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	result, err := s.Query(t.Context(), pinflow.Query{SQL: "SELECT twice FROM totals"})
	if err != nil || result.Rows[0][0] != int64(20) {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestLongSQLEndsNothing(t *testing.T) {
	s := small(t, newPlace(t, duckdb.Options{}))
	for _, sql := range []string{
		"SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 3000),
		"SELECT true" + strings.Repeat(" AND true", 7000),
		"SELECT 1 IN (1" + strings.Repeat(", 2", 20000) + ")",
		"SELECT " + strings.Repeat("(", 900) + "1" + strings.Repeat(")", 900),
		"SELECT * FROM range(2)" + strings.Repeat(" CROSS JOIN range(2)", 300),
	} {
		_, err := s.Query(t.Context(), pinflow.Query{SQL: sql, Timeout: 3 * time.Second})
		if kind := pinflow.KindOf(err); err != nil && kind != pinflow.Invalid && kind != pinflow.Unavailable {
			t.Errorf("%.40s…: %v", sql, err)
		}
	}
}

// TestHungryQueryDoesNotStopCommits has queries take all the memory there is while commits go on.
func TestHungryQueryDoesNotStopCommits(t *testing.T) {
	p := newPlace(t, duckdb.Options{ResultBytes: 1 << 20})
	p.memory = 96 << 20
	s := small(t, p)
	read := make(chan error)
	for _, sql := range []string{"SELECT list(i) FROM range(1000000000) AS r(i)", "SELECT string_agg(md5(i::VARCHAR), ',') FROM range(1000000000) AS r(i)", "SELECT repeat('x', 500000) FROM range(1000)",
		"SELECT count(*) FROM (SELECT DISTINCT md5(i::VARCHAR) FROM range(100000000) AS r(i))"} {
		go func() {
			_, err := s.Query(t.Context(), pinflow.Query{SQL: sql, Timeout: 3 * time.Second})
			read <- err
		}()
	}
	at := int64(0)
	for ended := 0; ended < 4; {
		if err := s.Commit(t.Context(), smallDelta(smallPlan(), benchTopic, at, at+100)); err == nil {
			at += 100
		} else if pinflow.KindOf(err) != pinflow.Unavailable {
			t.Fatal(err) // the store is busy at the most
		}
		select {
		case err := <-read:
			ended++
			if kind := pinflow.KindOf(err); kind != pinflow.Unavailable && kind != pinflow.TooLarge && kind != pinflow.Invalid {
				t.Errorf("a hungry query ended with %v", err)
			}
		default:
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = p.open(t)
	for _, sql := range []string{"SELECT n FROM totals", "SELECT sum(n)::BIGINT FROM words", "SELECT count(*) FROM things"} {
		if result, err := s.Query(t.Context(), pinflow.Query{SQL: sql}); err != nil || result.Rows[0][0] != at {
			t.Errorf("%s gives %+v of %d, %v", sql, result, at, err)
		}
	}
}

func TestMetricsAreGivenBack(t *testing.T) {
	r := prometheus.NewRegistry()
	p := newPlace(t, duckdb.Options{Metrics: r})
	for range 2 {
		s := small(t, p)
		families, err := r.Gather()
		if err != nil || len(families) < 5 {
			t.Errorf("%d families, %v", len(families), err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	p := newPlace(t, duckdb.Options{Readers: 1})
	s := small(t, p)
	read := make(chan error)
	for range 2 {
		go func() {
			_, err := s.Query(t.Context(), pinflow.Query{SQL: "SELECT count(*) FROM range(1000000000) AS a(i), range(1000) AS b(j) WHERE (i * j) % 7 = 3", Timeout: 500 * time.Millisecond})
			read <- err
		}()
	}
	if err := s.Store.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-read; pinflow.KindOf(err) != pinflow.Unavailable {
			t.Errorf("a query while the store closes: %v", err)
		}
	}
	_, err := s.Query(t.Context(), pinflow.Query{SQL: "SELECT 1"})
	for what, err := range map[string]error{"query": err, "prepare": s.Prepare(t.Context(), smallPlan()),
		"commit": s.Commit(t.Context(), smallDelta(smallPlan(), benchTopic, 0, 1))} {
		if pinflow.KindOf(err) != pinflow.Unavailable {
			t.Errorf("%s after Close: %v", what, err)
		}
	}
	if err := s.Store.Close(); err != nil {
		t.Error(err)
	}
}

// TestNothingRunsAfterClose opens the file again and again: whatever still used it would keep others out.
func TestNothingRunsAfterClose(t *testing.T) {
	p := newPlace(t, duckdb.Options{})
	for range 30 {
		s := small(t, p)
		if _, err := s.Query(t.Context(), pinflow.Query{SQL: "SELECT 1"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if n := p.instance.File.Stats().OpenConnections + p.instance.DB.Stats().OpenConnections; n != 0 {
			t.Fatalf("%d connections are open", n)
		}
	}
}
