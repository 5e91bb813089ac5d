package bench

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// sized is a number that the environment can change.
func sized(b *testing.B, name string, usual int) int {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkIncremental is what the batch of a day costs after 300 days, beside what it cost after 3. With entities, a million keys stand, of
// which one in a hundred changes each day.
func BenchmarkIncremental(b *testing.B) {
	const periods, around = 300, 5
	b.Run("posts", func(b *testing.B) {
		incremental(b, periods, around, false)
	})
	b.Run("entities", func(b *testing.B) {
		incremental(b, periods, around, true)
	})
}

func incremental(b *testing.B, periods, around int, entities bool) {
	d := shipped(b)
	d.Reports = nil // they read all of history by their nature
	if !entities {
		d.Models, d.Metrics = d.Models[:1], slices.DeleteFunc(d.Metrics, func(m pinflow.Script) bool { return len(m.Name) > 5 && m.Name[:5] == "pins_" })
	}
	for b.Loop() {
		h := newHistory(b, d, 256<<20)
		keys, changed := 0, 2_000
		if entities {
			keys = sized(b, "PINFLOW_BENCH_KEYS", 1_000_000)
			changed = keys / 100
			h.write(keys, func(i int) int { return i })
			h.batch()
		}
		var all []float64
		for n := range periods {
			if entities {
				h.write(changed, func(i int) int { return (n*changed*7 + i*101) % keys })
			} else {
				h.write(changed, nil)
			}
			all = append(all, h.batch().Seconds())
		}
		early, late := median(all[2:2+around]), median(all[len(all)-around:])
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(early*1000, "early-ms")
		b.ReportMetric(late*1000, "late-ms")
		b.ReportMetric(late/early, "ratio")
		b.ReportMetric(median(all)*1000, "median-ms")
	}
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// BenchmarkSQL is SQL and a report over installed rows and recent ones, beside DuckDB on one folder of Parquet with the same rows.
func BenchmarkSQL(b *testing.B) {
	for _, rows := range []string{"all", "recent"} {
		b.Run("rows "+rows, func(b *testing.B) { benchmarkSQL(b, rows) })
	}
}

// benchmarkSQL keeps all rows in the store, or recent ones.
func benchmarkSQL(b *testing.B, rows string) {
	installed, recent := sized(b, "PINFLOW_BENCH_INSTALLED", 10_000_000), 100_000
	d := shipped(b)
	d.Models[0].Rows = rows
	var queries []pinflow.Script
	for _, r := range d.Reports {
		if r.Name == "top_tags" || r.Name == "category_by_day" {
			queries = append(queries, r)
		}
	}
	queries = append(queries, pinflow.Script{Name: "sql", SQL: "SELECT category, media, count(*) AS posts, sum(follower_count) AS followers, max(posted_at) AS last FROM posts GROUP BY ALL ORDER BY ALL"})
	d.Reports = nil
	d.Models = d.Models[:1]
	d.Metrics = d.Metrics[:1]
	const memory = 512 << 20
	h := newHistory(b, d, memory)
	for range 10 {
		h.write(installed/10, nil)
	}
	h.batch()
	h.add(recent)
	plain := plainParquet(b, h, memory)
	for _, q := range queries {
		b.Run(q.Name, func(b *testing.B) {
			for b.Loop() {
				compare(b, "queries/s", func(time.Duration) float64 {
					began := time.Now()
					_, err := h.store.Query(b.Context(), pinflow.Query{SQL: q.SQL, Timeout: 10 * time.Minute})
					h.must(err)
					return 1 / time.Since(began).Seconds()
				}, func(time.Duration) float64 {
					began := time.Now()
					h.must(drain(b.Context(), plain, q.SQL))
					return 1 / time.Since(began).Seconds()
				})
			}
		})
	}
}

// plainParquet is a DuckDB of its own over one folder of Parquet with the rows of posts, each file those of a range of offsets: in another order, made-up
// rows would be far more alike than what lies beside them in the lake.
func plainParquet(b *testing.B, h *history, memory int64) *sql.DB {
	b.Helper()
	dir := filepath.Join(h.instance.Dir(), "plain")
	h.must(os.MkdirAll(dir, 0o700))
	for k := range 10 {
		_, err := h.instance.File.ExecContext(b.Context(), fmt.Sprintf("COPY (SELECT * FROM posts WHERE _offset * 10 // %d = %d) TO %s (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)", h.end, k,
			duck.Literal(filepath.Join(dir, fmt.Sprint(k)+".parquet"))))
		h.must(err)
	}
	i, err := duck.Open(b.Context(), duck.Options{Dir: h.b.TempDir(), Memory: memory, Readable: []string{dir}})
	h.must(err)
	b.Cleanup(func() { h.must(i.Close()) })
	_, err = i.DB.ExecContext(b.Context(), "CREATE VIEW posts AS FROM read_parquet("+duck.Literal(filepath.Join(dir, "*.parquet"))+")")
	h.must(err)
	return i.DB
}

func drain(ctx context.Context, db *sql.DB, query string) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	return duck.EachRow(rows, func([]any) error { return nil })
}
