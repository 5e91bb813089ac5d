package postgres_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/store/postgres"
	"golang.org/x/sys/unix"
)

var benchTopic = pinflow.TopicPartition{Topic: "orders"}

// benchPlan has seven metrics, of which one is a set and one has thousands of keys, and a model of 17 columns.
func benchPlan() *pinflow.Plan {
	measures := []pinflow.Measure{measure("n"), {Column: pinflow.Column{Name: "s", Type: "HUGEINT"}, Merge: pinflow.Sum}, {Column: pinflow.Column{Name: "high", Type: "BIGINT"}, Merge: pinflow.Max}}
	window, word := pinflow.Column{Name: "w", Type: "TIMESTAMPTZ"}, pinflow.Column{Name: "k", Type: "VARCHAR"}
	p := &pinflow.Plan{Pipeline: "shop", Generation: "g1"}
	for i, keys := range [][]pinflow.Column{{window}, {word}, {window, word}, {word}, {window}, {window, word}, {word}} {
		t := pinflow.Table{Name: fmt.Sprintf("m%d", i), Kind: pinflow.Partials, Keys: keys, Measures: measures}
		if i == 5 {
			t.Measures = nil
		}
		p.Tables = append(p.Tables, t)
	}
	posts := pinflow.Table{Name: "posts", Kind: pinflow.Rows}
	for i := range 8 {
		posts.Keys = append(posts.Keys, pinflow.Column{Name: fmt.Sprintf("text%d", i), Type: "VARCHAR"})
	}
	for i := range 5 {
		posts.Keys = append(posts.Keys, pinflow.Column{Name: fmt.Sprintf("n%d", i), Type: "BIGINT"})
	}
	posts.Keys = append(posts.Keys, pinflow.Column{Name: "tags", Type: "VARCHAR[]"}, pinflow.Column{Name: "at", Type: "TIMESTAMPTZ"},
		pinflow.Column{Name: "_partition", Type: "INTEGER"}, pinflow.Column{Name: "_offset", Type: "BIGINT"})
	p.Tables = append(p.Tables, posts, pinflow.RejectsTable())
	p.Views = []pinflow.View{{Name: "m1", DuckDB: "SELECT k, sum(n)::BIGINT AS n FROM {gen}.m1 GROUP BY k", Postgres: "SELECT k, sum(n)::BIGINT AS n FROM {gen}.m1 GROUP BY k"}}
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
		casts := make([]string, len(columns))
		for j, c := range columns {
			casts[j] = "CAST(" + names[j] + " AS " + c.Type + ") AS " + names[j]
		}
		name := fmt.Sprintf("%s.%s_%d", scratch, t.Name, n)
		_, err := in.DB.ExecContext(b.Context(), fmt.Sprintf("CREATE TABLE %s AS WITH r AS (SELECT i FROM range(%d) t(i)), v(%s) AS (%s) SELECT %s FROM v", name, size, strings.Join(names, ", "),
			strings.NewReplacer("{n}", fmt.Sprint(n), "{size}", fmt.Sprint(size)).Replace(text), strings.Join(casts, ", ")))
		if err != nil {
			b.Fatal(err)
		}
		d.Added = append(d.Added, pinflow.Addition{Table: t.Name, Rows: &duck.Table{Instance: in, Name: name, Columns: columns}})
	}
	return d
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

// BenchmarkCommit commits batches that lie in scratch tables, and copies the largest table's rows as plain text, once made, for comparison.
func BenchmarkCommit(b *testing.B) {
	for _, c := range []struct {
		name  string
		size  int
		posts bool
	}{{"Partials20k", 20000, false}, {"Posts20k", 20000, true}, {"Partials50", 50, false}, {"Posts50", 50, true}} {
		b.Run(c.name, func(b *testing.B) { benchCommit(b, c.size, c.posts) })
	}
	b.Run("BareCopyOfPosts20k", benchBareCopy)
}

func benchCommit(b *testing.B, size int, posts bool) {
	in := newFiles(b).instance
	s, p := openStore(b, postgres.Options{URL: newDatabase(b), Instance: in}), benchPlan()
	must(b, s.Prepare(b.Context(), p))
	_, err := s.Claim(b.Context(), p.Generation, map[pinflow.TopicPartition]int64{benchTopic: 0})
	must(b, err)
	var took []time.Duration
	var cpu time.Duration
	at := int64(0)
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		scratch, err := in.Scratch(b.Context())
		must(b, err)
		d := benchDelta(b, in, scratch, p, n, size, posts)
		d.Advances = []pinflow.Advance{{TopicPartition: benchTopic, Start: at, End: at + int64(size)}}
		b.StartTimer()
		start, used := time.Now(), cpuTime(b)
		must(b, s.Commit(b.Context(), d))
		took, cpu = append(took, time.Since(start)), cpu+cpuTime(b)-used
		at += int64(size)
		b.StopTimer()
		must(b, in.Detach(b.Context(), scratch))
		b.StartTimer()
	}
	report(b, at, took, cpu)
}

func report(b *testing.B, records int64, took []time.Duration, cpu time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(records)/cpu.Seconds(), "records/cpu-s") // the client's
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

func benchBareCopy(b *testing.B) {
	const size = 20000
	in, p := newFiles(b).instance, benchPlan()
	scratch, err := in.Scratch(b.Context())
	must(b, err)
	d := benchDelta(b, in, scratch, p, 1, size, true)
	file := filepath.Join(in.Dir(), "posts.csv")
	_, err = in.DB.ExecContext(b.Context(), "COPY (SELECT * REPLACE ('{' || array_to_string(tags, ',') || '}' AS tags) FROM "+d.Added[7].Rows.(*duck.Table).Name+") TO "+duck.Literal(file)+" (FORMAT csv, HEADER false)")
	must(b, err)
	text, err := os.ReadFile(file)
	must(b, err)
	conn, err := pgx.Connect(b.Context(), newDatabase(b))
	must(b, err)
	defer conn.Close(b.Context())
	_, err = conn.Exec(b.Context(), `CREATE TABLE posts (_period bigint, _topic text, t0 text, t1 text, t2 text, t3 text, t4 text, t5 text, t6 text, t7 text, n0 bigint, n1 bigint, n2 bigint, n3 bigint, n4 bigint,
		tags text[], at timestamptz, _partition integer, _offset bigint)`)
	must(b, err)
	var took []time.Duration
	var cpu time.Duration
	for b.Loop() {
		start, used := time.Now(), cpuTime(b)
		_, err := conn.PgConn().CopyFrom(b.Context(), bytes.NewReader(text), "COPY posts FROM STDIN (FORMAT csv)")
		must(b, err)
		took, cpu = append(took, time.Since(start)), cpu+cpuTime(b)-used
	}
	report(b, int64(len(took))*size, took, cpu)
}

// cpuTime is what the process has used of all cores: on a machine that others use too it tells more than the clock.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
