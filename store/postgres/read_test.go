package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/postgres"
)

var wordColumns = []pinflow.Column{{Name: "id", Type: "BIGINT"}, {Name: "word", Type: "VARCHAR"}, {Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"}}

// wordPlan has a model of which all rows are kept, and one of which the recent ones are.
func wordPlan(generation string) *pinflow.Plan {
	p := &pinflow.Plan{Pipeline: "shop", Generation: generation, Sources: []pinflow.PlannedSource{{Source: pinflow.Source{Name: "shop_things", Topic: topic}}}}
	for _, m := range []struct{ name, rows string }{{"words", "all"}, {"recent", "recent"}} {
		text := "SELECT id, word, _partition, _offset FROM {gen}." + m.name
		p.Tables = append(p.Tables, pinflow.Table{Name: m.name, Kind: pinflow.Rows, Model: m.name, Keys: wordColumns, Rows: m.rows})
		p.Models = append(p.Models, pinflow.PlannedModel{Name: m.name, Source: "shop_things", Table: m.name, Rows: m.rows, Columns: wordColumns})
		p.Views = append(p.Views, pinflow.View{Name: m.name, Columns: wordColumns, DuckDB: text, Postgres: text})
	}
	p.Tables = append(p.Tables, pinflow.RejectsTable())
	generationIs := "SELECT CAST('" + generation + "' AS text) AS generation"
	p.Views = append(p.Views, pinflow.View{Name: "which", DuckDB: generationIs, Postgres: generationIs})
	return p
}

// word is a row: offset n of a partition, in periods of ten.
func word(partition, n int) []any {
	return []any{int64(n / 10), topic, int64(partition*1000 + n), fmt.Sprintf("w%d", n), int32(partition), int64(n)}
}

// words are the rows of a partition from one offset up to another.
func words(partition, from, to int) (rows [][]any) {
	for n := from; n < to; n++ {
		rows = append(rows, word(partition, n))
	}
	return rows
}

func partition(n int32) pinflow.TopicPartition {
	return pinflow.TopicPartition{Topic: topic, Partition: n}
}

// commitWords counts two partitions up to an offset.
func commitWords(t testing.TB, s pinflow.LiveStore, generation string, from, to int) {
	t.Helper()
	d := pinflow.Delta{Generation: generation, Close: func() {}}
	var rows [][]any
	for p := range 2 {
		rows = append(rows, words(p, from, to)...)
		d.Advances = append(d.Advances, pinflow.Advance{TopicPartition: partition(int32(p)), Start: int64(from), End: int64(to), Period: pinflow.Period((to - 1) / 10)})
	}
	d.Added = []pinflow.Addition{{Table: "words", Rows: given(rows)}, {Table: "recent", Rows: given(rows)}}
	if err := s.Commit(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func prepareWords(t testing.TB, s pinflow.LiveStore, generation string) {
	t.Helper()
	if err := s.Prepare(t.Context(), wordPlan(generation)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), generation, map[pinflow.TopicPartition]int64{partition(0): 0, partition(1): 0}); err != nil {
		t.Fatal(err)
	}
}

// installWords installs a period from files, in which the words have a mark.
func installWords(t testing.TB, s *postgres.Store, f *files, generation string, period int) []pinflow.Part {
	t.Helper()
	in := pinflow.Installation{Generation: generation, Period: pinflow.Period(period), Next: pinflow.Period(period + 1)}
	var rows, marked [][]any
	for p := range 2 {
		rows = append(rows, words(p, period*10, period*10+10)...)
		in.Ranges = append(in.Ranges, pinflow.InstalledRange{TopicPartition: partition(int32(p)), Start: int64(period * 10), End: int64(period*10 + 10), Records: 10})
	}
	for _, row := range rows {
		row = slices.Clone(row)
		row[3] = row[3].(string) + " of a file"
		marked = append(marked, row)
	}
	in.Added = []pinflow.Addition{{Table: "words", Rows: given(rows)}, {Table: "recent", Rows: given(rows)}}
	for _, model := range []string{"words", "recent"} {
		part := f.part(t, slices.Concat([]pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_topic", Type: "VARCHAR"}}, wordColumns), marked)
		part.Kind, part.Of, part.Name = pinflow.CleanPart, model, fmt.Sprintf("gen=%s/clean/%s/period=%d", generation, model, period)
		in.Parts = append(in.Parts, part)
	}
	if _, err := s.Install(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	return in.Parts
}

// origins counts the rows of a query, and those that come from a file.
func origins(t testing.TB, s pinflow.StoreReader, q pinflow.Query) (rows, ofFiles int) {
	t.Helper()
	result, err := s.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[any]bool{}
	for _, row := range result.Rows {
		if strings.HasSuffix(row[1].(string), " of a file") {
			ofFiles++
		}
		seen[row[0]] = true
	}
	if len(seen) != len(result.Rows) {
		t.Errorf("%+v: %d rows of %d ids", q, len(result.Rows), len(seen))
	}
	return len(result.Rows), ofFiles
}

// TestRowsOfInstalledPeriods has SQL read them from the lake's files, and from PostgreSQL where a file is not at hand.
func TestRowsOfInstalledPeriods(t *testing.T) {
	f := newFiles(t)
	var lost atomic.Value // the name of a part that cannot be had
	lost.Store("")
	var held atomic.Int64
	stage := func(_ context.Context, p pinflow.Part) (pinflow.Part, func(), error) {
		if lost.Load() == p.Name {
			return p, nil, errors.New("it is lost")
		}
		held.Add(1)
		return p, func() { held.Add(-1) }, nil
	}
	s := openStore(t, postgres.Options{URL: newDatabase(t), Instance: f.instance, Stage: stage})
	prepareWords(t, s, "g1")
	check := func(what string, sql, files int) {
		t.Helper()
		for view, want := range map[string][2]int{"words": {sql, files}, "recent": {sql, files}} {
			if rows, ofFiles := origins(t, s, pinflow.Query{SQL: "SELECT id, word FROM " + view}); rows != want[0] || ofFiles != want[1] {
				t.Errorf("%s: SQL over %s sees %d rows, %d of files, want %v", what, view, rows, ofFiles, want)
			}
		}
		if rows, ofFiles := origins(t, s, pinflow.Query{View: "words"}); rows != sql || ofFiles != 0 {
			t.Errorf("%s: the view shows %d rows, %d of files", what, rows, ofFiles)
		}
		if rows, ofFiles := origins(t, s, pinflow.Query{View: "recent", Order: []pinflow.Order{{Column: "id"}}}); rows != sql || ofFiles != files {
			t.Errorf("%s: the view of recent rows shows %d rows, %d of files", what, rows, ofFiles)
		}
		if held.Load() != 0 {
			t.Errorf("%s: %d files are held", what, held.Load())
		}
	}
	check("nothing", 0, 0)
	commitWords(t, s, "g1", 0, 25)
	check("live rows", 50, 0)
	installWords(t, s, f, "g1", 0)
	check("a period is installed", 50, 20)
	installWords(t, s, f, "g1", 1)
	parts := installWords(t, s, f, "g1", 2) // overtakes the live half
	check("all is installed", 60, 60)
	commitWords(t, s, "g1", 30, 34)
	check("what came since", 68, 60)
	lost.Store(parts[0].Name)
	if rows, ofFiles := origins(t, s, pinflow.Query{SQL: "FROM words"}); rows != 68 || ofFiles != 40 {
		t.Errorf("without a file there are %d rows, %d of files", rows, ofFiles)
	}
	if rows, ofFiles := origins(t, s, pinflow.Query{View: "words", Where: "id >= 0"}); rows != 68 || ofFiles != 40 {
		t.Errorf("without a file a condition finds %d rows, %d of files", rows, ofFiles)
	}
	lost.Store(parts[1].Name)
	if _, err := s.Query(t.Context(), pinflow.Query{View: "recent"}); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("without a file of rows that are nowhere else: %v", err)
	}
	if held.Load() != 0 {
		t.Errorf("%d files are held", held.Load())
	}
}

// switchTo switches as often as it takes for readers to let it.
func switchTo(ctx context.Context, s *postgres.Store, generation string) (err error) {
	for range 50 {
		if err = s.Switch(ctx, generation); pinflow.KindOf(err) != pinflow.Unavailable {
			return err
		}
	}
	return err
}

// TestQueriesWhileGenerationsSwitch asks which generation there is, in the rows and beside them.
func TestQueriesWhileGenerationsSwitch(t *testing.T) {
	s := openStore(t, postgres.Options{URL: newDatabase(t), Instance: newFiles(t).instance})
	for _, g := range []string{"g1", "g2"} {
		prepareWords(t, s, g)
	}
	commitWords(t, s, "g1", 0, 3)
	commitWords(t, s, "g2", 0, 3)
	queries := []pinflow.Query{{View: "which"}, {SQL: "FROM which"}, {View: "which", Where: "generation <> ''"}}
	latest := make([]chan string, len(queries))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for i, q := range queries {
		latest[i] = make(chan string, 1)
		readers.Go(func() {
			defer close(latest[i])
			seen := map[string]bool{}
			for {
				result, err := s.Query(t.Context(), q)
				if err != nil {
					t.Errorf("%+v: %v", q, err)
					return
				}
				if result.Rows[0][0] != result.Generation {
					t.Errorf("%+v: the rows are of %v, the positions of %s", q, result.Rows[0][0], result.Generation)
					return
				}
				seen[result.Generation] = true
				select {
				case latest[i] <- result.Generation:
				default:
				}
				select {
				case <-done:
					if len(seen) != 2 {
						t.Errorf("%+v saw %v: the test tells nothing", q, slices.Collect(maps.Keys(seen)))
					}
					return
				default:
				}
			}
		})
	}
	for n := range 24 {
		to := []string{"g2", "g1"}[n%2]
		if err := switchTo(t.Context(), s, to); err != nil {
			t.Error(err)
			break
		}
		for _, generations := range latest { // they go on while the next switch is made
			for g := range generations {
				if g == to {
					break
				}
			}
		}
	}
	close(done)
	readers.Wait()
}

// TestViewThatIsGone is told of once, not looked for without end.
func TestViewThatIsGone(t *testing.T) {
	url := newDatabase(t)
	s := openStore(t, postgres.Options{URL: url, Instance: newFiles(t).instance})
	prepareWords(t, s, "g1")
	execute(t, url, "DROP VIEW shop.which")
	for _, q := range []pinflow.Query{{View: "which"}, {SQL: "FROM which"}} {
		if _, err := s.Query(t.Context(), q); pinflow.KindOf(err) != pinflow.Internal || !strings.Contains(err.Error(), "which") {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if _, err := s.Query(t.Context(), pinflow.Query{View: "words"}); err != nil {
		t.Error(err)
	}
}

// TestReaderRole has a user read who may do nothing else.
func TestReaderRole(t *testing.T) {
	role := fmt.Sprintf("pinflow_test_reader_%d", os.Getpid())
	u := serverURL(t)
	u.Path = "/stack"
	execute(t, u.String(), "CREATE ROLE "+role+" LOGIN PASSWORD 'secret'")
	t.Cleanup(func() { execute(t, u.String(), "DROP ROLE "+role) })
	url, f := newDatabase(t), newFiles(t)
	s := openStore(t, postgres.Options{URL: url, Instance: f.instance})
	prepareWords(t, s, "g1")
	commitWords(t, s, "g1", 0, 25)
	installWords(t, s, f, "g1", 0)
	asReader := strings.Replace(url, "stack:stack@", role+":secret@", 1)
	for name, o := range map[string]postgres.Options{
		"of all": {URL: asReader, Instance: f.instance}, "of queries": {URL: url, ReadURL: asReader, Instance: f.instance}} {
		for _, granted := range []bool{false, true} {
			if granted {
				for _, statement := range postgres.ReaderGrants("shop", role) {
					execute(t, url, statement)
				}
			} else {
				execute(t, url, "REVOKE ALL ON ALL TABLES IN SCHEMA shop, _pinflow FROM "+role)
			}
			reader, err := postgres.Open(t.Context(), o)
			if err != nil {
				if granted || pinflow.KindOf(err) != pinflow.Invalid || pinflow.HintOf(err) == "" {
					t.Errorf("user %s, granted %v: %v", name, granted, err)
				}
				continue
			}
			for _, q := range []pinflow.Query{{View: "words"}, {View: "recent"}, {View: "words", Where: "id > 0"}, {View: "rejects"}, {SQL: "SELECT count(*) FROM words, recent, which, rejects"}, {SQL: "SELECT 1"}} {
				_, err := reader.Query(t.Context(), q)
				if granted && err != nil {
					t.Errorf("user %s: %+v: %v", name, q, err)
				}
				if !granted && (pinflow.KindOf(err) != pinflow.Invalid || !strings.Contains(pinflow.HintOf(err), "GRANT")) {
					t.Errorf("user %s: %+v is refused with %v (%s)", name, q, err, pinflow.HintOf(err))
				}
			}
			if err := reader.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if lacks, err := s.CanRead(t.Context(), role); err != nil || len(lacks) > 0 {
		t.Errorf("it lacks %v, %v", lacks, err)
	}
	if may := ask[bool](t, asReader, "SELECT has_schema_privilege('_gen_g1', 'USAGE') OR has_table_privilege('_pinflow.store', 'INSERT, UPDATE, DELETE, TRUNCATE')"); may {
		t.Error("it may do more than read the views")
	}
}

const stillAtIt = "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND datname = current_database() AND (query LIKE '%endless%' OR query LIKE '%large%') AND pid <> pg_backend_pid()"

// TestQueryThatIsGivenUp ends on the server too.
func TestQueryThatIsGivenUp(t *testing.T) {
	url := newDatabase(t)
	p := wordPlan("g1")
	p.Views = append(p.Views, pinflow.View{Name: "endless", DuckDB: "SELECT 1 AS n", Postgres: "SELECT 1 AS n FROM pg_sleep(60)"},
		pinflow.View{Name: "large", DuckDB: "SELECT '' AS text", Postgres: "SELECT repeat('x', 10000) AS text FROM generate_series(1, 1000000)"})
	s := openStore(t, postgres.Options{URL: url, Instance: newFiles(t).instance, ResultBytes: 1 << 20})
	if err := s.Prepare(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	ends := func() bool { // soon
		for until := time.Now().Add(5 * time.Second); time.Now().Before(until); {
			if ask[int64](t, url, stillAtIt) == 0 {
				return true
			}
		}
		return false
	}
	for _, q := range []pinflow.Query{{View: "endless", Timeout: 300 * time.Millisecond}, {SQL: "FROM endless", Timeout: 300 * time.Millisecond}} {
		start := time.Now()
		_, err := s.Query(t.Context(), q)
		if pinflow.KindOf(err) != pinflow.Unavailable || !strings.Contains(err.Error(), "longer than") {
			t.Errorf("%+v: %v", q, err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%+v went on for %s", q, took)
		}
		if !ends() {
			t.Errorf("%+v goes on in the server", q)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := s.Query(ctx, pinflow.Query{View: "endless"}); pinflow.KindOf(err) != pinflow.Unavailable || pinflow.HintOf(err) != "" {
		t.Errorf("a reader who has gone: %v", err)
	}
	start := time.Now()
	if _, err := s.Query(t.Context(), pinflow.Query{View: "large"}); pinflow.KindOf(err) != pinflow.TooLarge {
		t.Errorf("an answer of 10 GB: %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it was read on for %s", took)
	}
	if !ends() {
		t.Error("the server goes on")
	}
	if _, err := s.Query(t.Context(), pinflow.Query{View: "which"}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
