package duckdb_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/store/duckdb"
	"github.com/prometheus/client_golang/prometheus"
)

// benchInstalls is how many records the period has that is installed: PINFLOW_BENCH_INSTALL, or few enough to be quick.
func benchInstalls() int {
	if n, err := strconv.Atoi(os.Getenv("PINFLOW_BENCH_INSTALL")); err == nil {
		return n
	}
	return 200_000
}

// step is about how many records the batch works on at a time with the memory that it has by default: as many rows are in a file.
const step = 40_000

// filesOf writes the rows of a period of size records as the batch does, and returns them as the store gets them.
func filesOf(b *testing.B, in *duck.Instance, p *pinflow.Plan, size int) []pinflow.Addition {
	b.Helper()
	var added []pinflow.Addition
	write := func(t pinflow.Table, text string, n, size int) string {
		columns := tableColumns(t)
		names := make([]string, len(columns))
		for j, c := range columns {
			names[j] = duck.Quote(c.Name)
		}
		file := filepath.Join(in.Dir(), fmt.Sprintf("%s-%d-%d.parquet", t.Name, size, n))
		query := fmt.Sprintf("WITH r AS (SELECT i FROM range(%d) t(i)), v(%s) AS (%s) FROM v", size, strings.Join(names, ", "), expand(text, n, size))
		if _, err := duck.WriteParquet(b.Context(), in.DB, query, columns, file); err != nil {
			b.Fatal(err)
		}
		return file
	}
	for i, text := range benchRows {
		t := p.Tables[i]
		added = append(added, pinflow.Addition{Table: t.Name, Rows: duck.Parquet(in, []string{write(t, text, 0, size)}, tableColumns(t))})
	}
	posts := p.Tables[len(benchRows)]
	var files []string
	for n := range max(1, size/step) {
		files = append(files, write(posts, benchPosts, n, min(size, step)))
	}
	return append(added, pinflow.Addition{Table: posts.Name, Rows: duck.Parquet(in, files, tableColumns(posts))})
}

// lockSeconds is how long installs have kept commits waiting.
func lockSeconds(b *testing.B, r *prometheus.Registry) float64 {
	b.Helper()
	families, err := r.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "pinflow_store_install_lock_seconds" {
			return f.GetMetric()[0].GetHistogram().GetSampleSum()
		}
	}
	return 0
}

// BenchmarkInstall installs a period that the live half has counted, one that it has not, and one of nothing.
func BenchmarkInstall(b *testing.B) {
	size := benchInstalls()
	for _, c := range []string{"Equal", "CatchingUp", "Empty"} {
		b.Run(c, func(b *testing.B) { benchInstall(b, c, size) })
	}
}

func benchInstall(b *testing.B, which string, size int) {
	registry := prometheus.NewRegistry()
	place := newPlace(b, duckdb.Options{Metrics: registry})
	place.memory = 96 << 20
	s, p := place.open(b), benchPlan()
	if err := s.Prepare(b.Context(), p); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Claim(b.Context(), p.Generation, map[pinflow.TopicPartition]int64{benchTopic: 0}); err != nil {
		b.Fatal(err)
	}
	in := pinflow.Installation{Generation: "g1", Next: 1, Ranges: []pinflow.InstalledRange{{TopicPartition: benchTopic, End: int64(size), Records: int64(size)}}}
	if which == "Empty" {
		in.Ranges[0].End = 0
	} else {
		in.Added = filesOf(b, place.instance, p, size)
	}
	if which == "Equal" {
		commitFiles(b, s, in.Added, size)
	}
	n, locked := 0, 0.0
	for b.Loop() {
		before := lockSeconds(b, registry)
		c, err := s.Install(b.Context(), in)
		if err != nil || c.Differing > 0 || c.Unchanged || (c.Why == "") == (which == "CatchingUp") {
			b.Fatalf("%+v, %v", c, err)
		}
		locked += lockSeconds(b, registry) - before
		n++
		b.StopTimer()
		// The same period is installed again: what tells that it is installed is taken away.
		if _, err := place.instance.File.ExecContext(b.Context(), "DELETE FROM _pinflow.installed"); err != nil {
			b.Fatal(err)
		}
		if which == "CatchingUp" {
			if _, err := place.instance.File.ExecContext(b.Context(), `UPDATE _pinflow.progress SET next_offset = 0; DELETE FROM "_gen_g1".posts`); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
	b.ReportMetric(locked/float64(n)*1000, "ms-locked/op")
	b.ReportMetric(float64(size*n)/b.Elapsed().Seconds(), "records/s")
}

// commitFiles commits what the files hold as the live half does: so many rows of posts at a time.
func commitFiles(b *testing.B, s *closing, added []pinflow.Addition, size int) {
	b.Helper()
	posts := len(added) - 1
	of := added[posts].Rows.(*duck.Table)
	for at := 0; at < size; at += 20_000 {
		end := min(at+20_000, size)
		one := &duck.Table{Instance: of.Instance, Columns: of.Columns, Name: fmt.Sprintf("(SELECT * FROM %s WHERE _offset >= %d AND _offset < %d)", of.Name, at, end)}
		d := pinflow.Delta{Generation: "g1", Close: func() {}, Added: []pinflow.Addition{{Table: "posts", Rows: one}},
			Advances: []pinflow.Advance{{TopicPartition: benchTopic, Start: int64(at), End: int64(end)}}}
		if at == 0 {
			d.Added = append(d.Added, added[:posts]...)
		}
		if err := s.Commit(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChange commits changes to an entity of a million keys, and reads single rows of it.
func BenchmarkChange(b *testing.B) {
	place := newPlace(b, duckdb.Options{})
	place.memory = 96 << 20
	s := place.open(b)
	p := &pinflow.Plan{Pipeline: "shop", Generation: "g1", Tables: []pinflow.Table{{Name: "pins", Kind: pinflow.Entities, Key: []string{"id"}, Keep: "latest",
		Keys: []pinflow.Column{{Name: "id", Type: "VARCHAR"}, {Name: "title", Type: "VARCHAR"}, {Name: "category", Type: "VARCHAR"}, {Name: "tags", Type: "VARCHAR[]"},
			{Name: "followers", Type: "BIGINT"}, {Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"}}}, pinflow.RejectsTable()},
		Views: []pinflow.View{{Name: "pins", DuckDB: "SELECT * EXCLUDE (_period, _topic) FROM {gen}.pins"}}}
	if err := s.Prepare(b.Context(), p); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Claim(b.Context(), "g1", map[pinflow.TopicPartition]int64{benchTopic: 0}); err != nil {
		b.Fatal(err)
	}
	const row = `0::BIGINT AS _period, 'orders' AS _topic, md5((%s)::VARCHAR) AS id, repeat('title ', 5) || i AS title, 'category' || (i %% 12) AS category, ['tag' || (i %% 3000)] AS tags,
		i AS followers, 0::INTEGER AS _partition, i + %d AS _offset FROM range(%d) AS r(i)`
	if _, err := place.instance.File.ExecContext(b.Context(), `INSERT INTO "_gen_g1".pins SELECT `+fmt.Sprintf(row, "i", 0, 1_000_000)); err != nil {
		b.Fatal(err)
	}
	columns := append([]pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_topic", Type: "VARCHAR"}}, p.Tables[0].Keys...)
	before := []pinflow.Column{{Name: "id", Type: "VARCHAR"}, {Name: "category", Type: "VARCHAR"}, {Name: "followers", Type: "BIGINT"}}
	at := int64(0)
	for _, size := range []int{10, 1000, 20000} {
		b.Run(fmt.Sprintf("Commit%d", size), func(b *testing.B) {
			held := int64(0)
			for n := 0; b.Loop(); n++ {
				text := fmt.Sprintf("(SELECT "+row+")", fmt.Sprintf("(i * 7919 + %d) %% 1000000", at), 1_000_000+at, size)
				d := pinflow.Delta{Generation: "g1", Close: func() {}, Advances: []pinflow.Advance{{TopicPartition: benchTopic, Start: at, End: at + int64(size)}},
					Changes: []pinflow.Change{{Table: "pins", Rows: &duck.Table{Instance: place.instance, Name: text, Columns: columns}, Before: before,
						Deltas: func(ctx context.Context, rows pinflow.Relation) ([]pinflow.Addition, error) {
							var n int64
							err := place.instance.DB.QueryRowContext(ctx, "SELECT count(*) FROM "+rows.(*duck.Table).Name).Scan(&n)
							held += n
							return nil, err
						}}}}
				if err := s.Commit(b.Context(), d); err != nil {
					b.Fatal(err)
				}
				at += int64(size)
			}
			if held == 0 {
				b.Fatal("no row was held")
			}
			if info, err := os.Stat(place.path); err == nil {
				b.ReportMetric(float64(info.Size()>>20), "file-MiB")
			}
		})
	}
	b.Run("Get", func(b *testing.B) {
		took := make([]time.Duration, 0, 1000)
		for n := 0; b.Loop(); n++ {
			var id string
			if err := place.instance.DB.QueryRow("SELECT md5(?::VARCHAR)", n%1_000_000).Scan(&id); err != nil {
				b.Fatal(err)
			}
			start := time.Now()
			result, err := s.Query(b.Context(), pinflow.Query{View: "pins", Filter: []pinflow.Condition{{Column: "id", Op: "=", Value: id}}, Limit: 1})
			if err != nil || len(result.Rows) != 1 {
				b.Fatal(result, err)
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	})
}
