package postgres_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/store/postgres"
)

const (
	benchGroups  = 100_000
	benchPeriods = 30
	benchModel   = 1_000_000
)

// queryPlan has a metric, and a model of which all rows are kept.
func queryPlan() *pinflow.Plan {
	word, n := pinflow.Column{Name: "word", Type: "VARCHAR"}, pinflow.Measure{Column: pinflow.Column{Name: "n", Type: "BIGINT"}, Merge: pinflow.Sum}
	total := pinflow.Measure{Column: pinflow.Column{Name: "total", Type: "HUGEINT"}, Merge: pinflow.Sum}
	rows := []pinflow.Column{{Name: "id", Type: "BIGINT"}, {Name: "category", Type: "VARCHAR"}, {Name: "title", Type: "VARCHAR"}, {Name: "tags", Type: "VARCHAR[]"}, {Name: "price", Type: "DECIMAL(18,2)"},
		{Name: "at", Type: "TIMESTAMPTZ"}, {Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"}}
	const show = `SELECT id, category, title, tags, price, "at", _partition, _offset FROM {gen}.posts`
	p := &pinflow.Plan{Pipeline: "shop", Generation: "g1", Sources: []pinflow.PlannedSource{{Source: pinflow.Source{Name: "shop", Topic: topic}}},
		Models: []pinflow.PlannedModel{{Name: "posts", Source: "shop", Table: "posts", Rows: "all", Columns: rows}},
		Tables: []pinflow.Table{
			{Name: "words", Kind: pinflow.Partials, Model: "posts", Keys: []pinflow.Column{word}, Measures: []pinflow.Measure{n, total}},
			{Name: "posts", Kind: pinflow.Rows, Model: "posts", Keys: rows, Rows: "all"}, pinflow.RejectsTable()}}
	p.Views = []pinflow.View{
		{Name: "words", DuckDB: "SELECT word, sum(n)::BIGINT AS n, sum(total)::HUGEINT AS total FROM {gen}.words GROUP BY word", Postgres: "SELECT word, sum(n)::bigint AS n, sum(total) AS total FROM {gen}.words GROUP BY word"},
		{Name: "posts", DuckDB: show, Postgres: show}}
	return p
}

func queryBench(b *testing.B, fill ...string) (*postgres.Store, string, *files) {
	url, f := newDatabase(b), newFiles(b)
	s := openStore(b, postgres.Options{URL: url, Instance: f.instance})
	if err := s.Prepare(b.Context(), queryPlan()); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Claim(b.Context(), "g1", map[pinflow.TopicPartition]int64{{Topic: topic}: 0}); err != nil {
		b.Fatal(err)
	}
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	for _, statement := range fill {
		if _, err := conn.Exec(b.Context(), statement); err != nil {
			b.Fatalf("%s: %v", statement, err)
		}
	}
	return s, url, f
}

// BenchmarkMetricView reads a view of many groups over many periods, beside the bare SELECT.
func BenchmarkMetricView(b *testing.B) {
	s, url, _ := queryBench(b, fmt.Sprintf("INSERT INTO _gen_g1.words SELECT p * 86400000::bigint, 0, 'word ' || w, 1 + w %% 7, w * 1000000007::numeric FROM generate_series(0, %d) AS p, generate_series(1, %d) AS w", benchPeriods-1, benchGroups),
		"VACUUM ANALYZE _gen_g1.words")
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	bare := func(b *testing.B, query string) {
		for b.Loop() {
			rows, err := conn.Query(b.Context(), query)
			if err != nil {
				b.Fatal(err)
			}
			for rows.Next() {
			}
			if rows.Err() != nil {
				b.Fatal(rows.Err())
			}
		}
	}
	ask := func(b *testing.B, q pinflow.Query, want int) {
		for b.Loop() {
			result, err := s.Query(b.Context(), q)
			if err != nil || len(result.Rows) != want {
				b.Fatal(len(result.Rows), err)
			}
		}
	}
	top := []pinflow.Order{{Column: "n", Descending: true}, {Column: "word"}}
	one := []pinflow.Condition{{Column: "word", Op: "=", Value: "word 77"}}
	b.Run("bare/all", func(b *testing.B) { bare(b, "SELECT * FROM shop.words") })
	b.Run("query/all", func(b *testing.B) { ask(b, pinflow.Query{View: "words"}, benchGroups) })
	b.Run("bare/top", func(b *testing.B) { bare(b, `SELECT * FROM shop.words ORDER BY n DESC, word COLLATE "C" LIMIT 10`) })
	b.Run("query/top", func(b *testing.B) { ask(b, pinflow.Query{View: "words", Order: top, Limit: 10}, 10) })
	b.Run("bare/one", func(b *testing.B) { bare(b, "SELECT * FROM shop.words WHERE word = 'word 77'") })
	b.Run("query/one", func(b *testing.B) { ask(b, pinflow.Query{View: "words", Filter: one}, 1) })
	b.Run("where", func(b *testing.B) {
		ask(b, pinflow.Query{View: "words", Where: "n > 1 AND word LIKE '%77'", Order: top, Limit: 10}, 10)
	})
	b.Run("sql", func(b *testing.B) {
		ask(b, pinflow.Query{SQL: "SELECT n, count(*), sum(total) FROM words GROUP BY n"}, 7)
	})
}

// BenchmarkSQLOverRows reads a model's rows from the lake's files, and from PostgreSQL alone.
func BenchmarkSQLOverRows(b *testing.B) {
	const rows = `SELECT i AS id, 'category ' || (i %% 12) AS category, 'a title of post ' || i AS title, ['tag' || (i %% 3000), 'tag' || (i %% 77)] AS tags, (i %% 10000)::DECIMAL(18,2) AS price, to_timestamp(i) AS "at", 0 AS _partition, i AS _offset FROM range(%d) AS r(i)`
	for _, files := range []bool{true, false} {
		s, url, f := queryBench(b, fmt.Sprintf(`INSERT INTO _gen_g1.posts SELECT 0, '%s', i, 'category ' || (i %% 12), 'a title of post ' || i, ARRAY['tag' || (i %% 3000), 'tag' || (i %% 77)], i %% 10000, to_timestamp(i), 0, i FROM generate_series(0, %d) AS i`, topic, benchModel-1),
			fmt.Sprintf("UPDATE _pinflow.progress SET next_offset = %d", benchModel), "VACUUM ANALYZE _gen_g1.posts")
		name := "postgres"
		if files {
			name = "files"
			file := filepath.Join(f.instance.Dir(), "posts.parquet")
			until := benchModel - benchModel/100 // the rest came since
			if _, err := duck.WriteParquet(b.Context(), f.instance.DB, fmt.Sprintf(rows, until), queryPlan().Table("posts").Keys, file); err != nil {
				b.Fatal(err)
			}
			execute(b, url, fmt.Sprintf(`INSERT INTO _pinflow.installed VALUES ('g1', 0, now(), '[{"Topic":"%s","Partition":0,"Start":0,"End":%d,"Records":%d}]', '[{"kind":"clean","of":"posts","name":"x","rows":%d,"file":"%s"}]')`, topic, until, until, until, file))
		}
		for what, q := range map[string]pinflow.Query{
			"count":   {SQL: "SELECT count(*) FROM posts"},
			"group":   {SQL: "SELECT category, count(*), sum(price) FROM posts GROUP BY category"},
			"tags":    {SQL: "SELECT tag, count(*) FROM (SELECT unnest(tags) AS tag FROM posts) GROUP BY tag ORDER BY 2 DESC LIMIT 10"},
			"all":     {SQL: "SELECT * FROM posts ORDER BY title LIMIT 10"},
			"where":   {View: "posts", Where: "title LIKE '%777' AND price > 100", Limit: 100},
			"view":    {View: "posts", Filter: []pinflow.Condition{{Column: "_offset", Op: "=", Value: "777"}}},
			"view100": {View: "posts", Limit: 100},
		} {
			b.Run(name+"/"+what, func(b *testing.B) {
				for b.Loop() {
					if _, err := s.Query(b.Context(), q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
