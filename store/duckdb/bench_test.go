package duckdb_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/store/duckdb"
	"golang.org/x/sys/unix"
)

var benchTopic = pinflow.TopicPartition{Topic: "orders"}

// benchPlan has seven metrics, of which one is a set and one has thousands of keys, and a model of 17 columns.
func benchPlan() *pinflow.Plan {
	measure := func(name, t string, m pinflow.Merge) pinflow.Measure {
		return pinflow.Measure{Column: pinflow.Column{Name: name, Type: t}, Merge: m}
	}
	measures := []pinflow.Measure{measure("n", "BIGINT", pinflow.Sum), measure("s", "HUGEINT", pinflow.Sum), measure("high", "BIGINT", pinflow.Max)}
	window, word := pinflow.Column{Name: "w", Type: "TIMESTAMPTZ"}, pinflow.Column{Name: "k", Type: "VARCHAR"}
	p := &pinflow.Plan{Pipeline: "shop", Generation: "g1"}
	for i, keys := range [][]pinflow.Column{{window}, {word}, {window, word}, {word}, {window}, {window, word}, {word}} {
		t := pinflow.Table{Name: fmt.Sprintf("m%d", i), Kind: pinflow.Partials, Keys: keys, Measures: measures}
		if i == 5 {
			t.Measures = nil
		}
		p.Tables = append(p.Tables, t)
	}
	rows := pinflow.Table{Name: "posts", Kind: pinflow.Rows}
	for i := range 8 {
		rows.Keys = append(rows.Keys, pinflow.Column{Name: fmt.Sprintf("text%d", i), Type: "VARCHAR"})
	}
	for i := range 5 {
		rows.Keys = append(rows.Keys, pinflow.Column{Name: fmt.Sprintf("n%d", i), Type: "BIGINT"})
	}
	rows.Keys = append(rows.Keys, pinflow.Column{Name: "tags", Type: "VARCHAR[]"}, pinflow.Column{Name: "at", Type: "TIMESTAMPTZ"},
		pinflow.Column{Name: "_partition", Type: "INTEGER"}, pinflow.Column{Name: "_offset", Type: "BIGINT"})
	p.Tables = append(p.Tables, rows, pinflow.RejectsTable())
	p.Views = []pinflow.View{{Name: "m6", DuckDB: "SELECT k, sum(n)::BIGINT AS n, sum(s)::HUGEINT AS s, max(high) AS high FROM {gen}.m6 GROUP BY k"},
		{Name: "m5", DuckDB: "SELECT w, count(DISTINCT k) AS n FROM {gen}.m5 GROUP BY w"},
		{Name: "m1", DuckDB: "SELECT k, sum(n)::BIGINT AS n FROM {gen}.m1 GROUP BY k"}}
	return p
}

// benchRows are the selects that give the rows of each table for a batch of {size} records, the {n}-th.
var benchRows = []string{
	"SELECT 0::BIGINT, 0, to_timestamp({n} // 30 * 300), {size}, 1::HUGEINT, 7",
	"SELECT 0::BIGINT, 0, 'category' || (i % 12), count(*), sum(i)::HUGEINT, max(i) FROM r GROUP BY ALL",
	"SELECT 0::BIGINT, 0, to_timestamp({n} // 180 * 1800), 'category' || (i % 12), count(*), sum(i)::HUGEINT, max(i) FROM r GROUP BY ALL",
	"SELECT 0::BIGINT, 0, 'media' || (i % 3), count(*), sum(i)::HUGEINT, max(i) FROM r GROUP BY ALL",
	"SELECT 0::BIGINT, 0, to_timestamp({n} // 6 * 60), {size}, 1::HUGEINT, 7",
	"SELECT DISTINCT 0::BIGINT, 0, to_timestamp({n} * 10), 'poster' || (hash(i + {n} * 100003) % 9000) FROM r",
	"SELECT 0::BIGINT, 0, 'tag' || (hash(i + {n} * 100003) % 3000), count(*), sum(i)::HUGEINT, max(i) FROM r GROUP BY ALL",
}

const benchPosts = `SELECT 0::BIGINT, 'orders', md5((i + {n} * {size})::VARCHAR), 'a title of post ' || i, repeat('description ', 8) || i, 'poster' || (i % 9000), 'image', 'https://i.example.com/originals/' || md5(i::VARCHAR) || '.jpg',
	'/data/category' || (i % 12), 'category' || (i % 12), i, i * 7, i % 12, i // 3, 124, ['tag' || (i % 3000), 'tag' || (i % 77)], to_timestamp({n} * 10), 0, {n} * {size} + i FROM r`

// benchDelta makes the n-th delta of size records, as the live engine hands it over.
func benchDelta(b *testing.B, in *duck.Instance, scratch string, p *pinflow.Plan, n, size int, posts bool) pinflow.Delta {
	b.Helper()
	d := pinflow.Delta{Generation: p.Generation, Close: func() {}}
	selects := slices.Clone(benchRows)
	if posts {
		selects = append(selects, benchPosts)
	}
	for i, text := range selects {
		t := p.Tables[i]
		columns := tableColumns(t)
		names := make([]string, len(columns))
		for j, c := range columns {
			names[j] = duck.Quote(c.Name)
		}
		name := fmt.Sprintf("%s.%s_%d", scratch, t.Name, n)
		_, err := in.DB.ExecContext(b.Context(), fmt.Sprintf("CREATE TABLE %s AS WITH r AS (SELECT i FROM range(%d) t(i)), v(%s) AS (%s) FROM v", name, size, strings.Join(names, ", "),
			expand(text, n, size)))
		if err != nil {
			b.Fatal(err)
		}
		d.Added = append(d.Added, pinflow.Addition{Table: t.Name, Rows: &duck.Table{Instance: in, Name: name, Columns: columns}})
	}
	return d
}

func expand(text string, n, size int) string {
	return strings.NewReplacer("{n}", fmt.Sprint(n), "{size}", fmt.Sprint(size)).Replace(text)
}

func tableColumns(t pinflow.Table) []pinflow.Column {
	columns := []pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_shard", Type: "INTEGER"}}
	if t.Kind == pinflow.Rows {
		columns[1] = pinflow.Column{Name: "_topic", Type: "VARCHAR"}
	}
	columns = append(columns, t.Keys...)
	for _, m := range t.Measures {
		columns = append(columns, m.Column)
	}
	return columns
}

// BenchmarkCommit commits batches that lie in scratch tables.
func BenchmarkCommit(b *testing.B) {
	for _, c := range []struct {
		name  string
		size  int
		posts bool
	}{{"Partials20k", 20000, false}, {"Posts20k", 20000, true}, {"Partials50", 50, false}, {"Posts50", 50, true}} {
		b.Run(c.name, func(b *testing.B) { benchCommit(b, c.size, c.posts) })
	}
}

func benchCommit(b *testing.B, size int, posts bool) {
	place := newPlace(b, duckdb.Options{})
	s, p := place.open(b), benchPlan()
	in := place.instance
	if err := s.Prepare(b.Context(), p); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Claim(b.Context(), p.Generation, map[pinflow.TopicPartition]int64{benchTopic: 0}); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	var cpu time.Duration
	at := int64(0)
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		scratch, err := in.Scratch(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		d := benchDelta(b, in, scratch, p, n, size, posts)
		d.Advances = []pinflow.Advance{{TopicPartition: benchTopic, Start: at, End: at + int64(size)}}
		b.StartTimer()
		start, used := time.Now(), cpuTime(b)
		if err := s.Commit(b.Context(), d); err != nil {
			b.Fatal(err)
		}
		took, cpu = append(took, time.Since(start)), cpu+cpuTime(b)-used
		at += int64(size)
		b.StopTimer()
		if err := in.Detach(b.Context(), scratch); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(float64(at)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(at)/cpu.Seconds(), "records/cpu-s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
	if info, err := os.Stat(place.path); err == nil {
		b.ReportMetric(float64(info.Size())/float64(at), "file-B/record")
	}
}

// cpuTime is what the process has used of all cores: on a machine that others use too it tells more than the clock.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkView reads metrics with a history: the merge of all periods, of which the ten largest are asked for.
func BenchmarkView(b *testing.B) {
	for _, c := range []struct{ periods, keys int }{{730, 12}, {730, 1000}, {73, 100000}} {
		b.Run(fmt.Sprintf("%dPeriods%dKeys", c.periods, c.keys), func(b *testing.B) {
			place := newPlace(b, duckdb.Options{})
			s := place.open(b)
			if err := s.Prepare(b.Context(), benchPlan()); err != nil {
				b.Fatal(err)
			}
			for period := range c.periods {
				if _, err := place.instance.File.ExecContext(b.Context(), fmt.Sprintf(`INSERT INTO "_gen_g1"."m6:merged" SELECT %d, 0, 'key' || i, i, i, i FROM range(%d) AS r(i)`, period, c.keys)); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := place.instance.File.ExecContext(b.Context(), "CHECKPOINT"); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				result, err := s.Query(b.Context(), pinflow.Query{View: "m6", Order: []pinflow.Order{{Column: "n", Descending: true}}, Limit: 10})
				if err != nil || len(result.Rows) != 10 {
					b.Fatal(result, err)
				}
			}
		})
	}
}
