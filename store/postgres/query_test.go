package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/store/duckdb"
	"github.com/pinflow/pinflow/store/postgres"
)

const topic = "shop.things"

// given are rows as a relation.
type given [][]any

func (g given) Scan(ctx context.Context, f func(row []any) error) error {
	for _, row := range g {
		if err := f(slices.Clone(row)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// typed are columns of each type that a table can have, scalars and lists.
var typed = []pinflow.Column{
	{Name: "flag", Type: "BOOLEAN"}, {Name: "small", Type: "INTEGER"}, {Name: "number", Type: "BIGINT"}, {Name: "huge", Type: "HUGEINT"}, {Name: "ratio", Type: "DOUBLE"},
	{Name: "word", Type: "VARCHAR"}, {Name: "data", Type: "BLOB"}, {Name: "day", Type: "DATE"}, {Name: "moment", Type: "TIMESTAMPTZ"}, {Name: "clock", Type: "TIMESTAMP"},
	{Name: "price", Type: "DECIMAL(38,4)"}, {Name: "tiny", Type: "DECIMAL(4,1)"}, {Name: "Order by", Type: "DECIMAL(18,0)"},
	{Name: "tags", Type: "VARCHAR[]"}, {Name: "numbers", Type: "BIGINT[]"}, {Name: "prices", Type: "DECIMAL(10,2)[]"}, {Name: "hugs", Type: "HUGEINT[]"}, {Name: "days", Type: "DATE[]"},
	{Name: "ratios", Type: "DOUBLE[]"}, {Name: "flags", Type: "BOOLEAN[]"}, {Name: "moments", Type: "TIMESTAMPTZ[]"},
}

func bigInt(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		panic(s)
	}
	return n
}

// values of the types, from the ordinary to the ends.
var values = map[string][]any{
	"BOOLEAN": {true, false},
	"INTEGER": {int32(0), int32(1), int32(-1), int32(7), int32(math.MaxInt32), int32(math.MinInt32)},
	"BIGINT":  {int64(0), int64(1), int64(-10000), int64(10000), int64(math.MaxInt64), int64(math.MinInt64)},
	"HUGEINT": {big.NewInt(0), big.NewInt(9999), big.NewInt(10000), big.NewInt(-100000000), big.NewInt(1e18), bigInt("9223372036854775808"), bigInt("-170141183460469231731687303715884105727"),
		bigInt("170141183460469231731687303715884105727"), bigInt("100000000000000000000000000000000000000")},
	"DOUBLE": {0.0, 1.5, -2.25, 0.1, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, 5e-324, 1e21, 123456789.123},
	"VARCHAR": {"", "a", "A", "b", "ab", "a b", "é", "z", "Z", "_", "🙂", "a\x01", "\x01", "\x02", "\x00", "a\x00", "a\x00b", "\x00\x01", "it's", `back\slash "quoted"`, "{a,NULL}", "NULL", "null", "\n\t", "ß", "ss", "100%", "日本",
		"\u00a0", "\uffff", strings.Repeat("long ", 50)},
	"BLOB":          {[]byte{}, []byte{0}, []byte{0, 255}, []byte("abc"), []byte("ab"), []byte{1, 2}},
	"DATE":          {date(2026, 11, 22), date(1969, 12, 31), date(1970, 1, 1), date(2000, 1, 1), date(1, 1, 1), date(9999, 12, 31), date(1600, 2, 29), "infinity", "-infinity", "0044-03-15 (BC)"},
	"TIMESTAMPTZ":   {date(2026, 11, 22), date(2026, 11, 22).Add(time.Microsecond), date(1969, 12, 31).Add(23 * time.Hour), date(1, 1, 1), date(9999, 12, 31).Add(time.Millisecond), date(2000, 1, 1).Add(-time.Microsecond), "infinity", "-infinity", "294247-01-10 04:00:54.775806+00", "0044-03-15 (BC)"},
	"TIMESTAMP":     {date(2026, 11, 22), date(1999, 12, 31).Add(86399999999 * time.Microsecond), date(1600, 2, 29), "infinity", "-infinity"},
	"DECIMAL(38,4)": {"0.0000", "1.0000", "-0.0001", "9999999999999999999999999999999999.9999", "-9999999999999999999999999999999999.9999", "10000.0000", "0.1000", "123456789012.3456"},
	"DECIMAL(4,1)":  {"0.0", "0.1", "-0.5", "999.9", "-999.9", "10.0"},
	"DECIMAL(18,0)": {"0", "999999999999999999", "-999999999999999999", "42"},
	"DECIMAL(10,2)": {"0.00", "1.10", "-99999999.99", "99999999.99"},
}

func date(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }

// randomValue is NULL now and then.
func randomValue(r *rand.Rand, columnType string) any {
	if r.IntN(6) == 0 {
		return nil
	}
	if element, ok := strings.CutSuffix(columnType, "[]"); ok {
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = randomValue(r, element)
		}
		return list
	}
	of := values[columnType]
	return of[r.IntN(len(of))]
}

// peers are two stores of the same rows.
type peers struct {
	duck pinflow.StoreReader
	pg   *postgres.Store
}

// typedPlan has a model with rows, one with a key, a metric, and a model that keeps recent rows.
func typedPlan() *pinflow.Plan {
	at := []pinflow.Column{{Name: "id", Type: "BIGINT"}, {Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"}}
	all := slices.Concat(at[:1], typed, at[1:])
	category, n := pinflow.Column{Name: "category", Type: "VARCHAR"}, pinflow.Measure{Column: pinflow.Column{Name: "n", Type: "BIGINT"}, Merge: pinflow.Sum}
	total := pinflow.Measure{Column: pinflow.Column{Name: "total", Type: "DECIMAL(38,4)"}, Merge: pinflow.Sum}
	huge := pinflow.Measure{Column: pinflow.Column{Name: "huge", Type: "HUGEINT"}, Merge: pinflow.Max}
	p := &pinflow.Plan{Pipeline: "shop", Generation: "g1", Sources: []pinflow.PlannedSource{{Source: pinflow.Source{Name: "shop_things", Topic: topic}}},
		Tables: []pinflow.Table{
			{Name: "things", Kind: pinflow.Rows, Model: "things", Keys: all, Rows: "all"},
			{Name: "recent", Kind: pinflow.Rows, Model: "recent", Keys: all, Rows: "recent"},
			{Name: "latest", Kind: pinflow.Entities, Model: "latest", Keys: all, Key: []string{"id"}, Keep: "latest"},
			{Name: "sales", Kind: pinflow.Partials, Model: "things", Keys: []pinflow.Column{category}, Measures: []pinflow.Measure{n, total, huge}},
			pinflow.RejectsTable(),
		},
		Views: []pinflow.View{{Name: "sales", DuckDB: "SELECT category, sum(n)::BIGINT AS n, sum(total)::DECIMAL(38,4) AS total, max(huge) AS huge FROM {gen}.sales GROUP BY category",
			Postgres: `SELECT category COLLATE "und-x-icu" AS category, sum(n)::bigint AS n, sum(total)::numeric(38,4) AS total, max(huge) AS huge FROM {gen}.sales GROUP BY 1`}},
	}
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = duck.Quote(c.Name)
	}
	for _, m := range []string{"things", "recent", "latest"} {
		text := "SELECT " + strings.Join(names, ", ") + " FROM {gen}." + m
		p.Views = append(p.Views, pinflow.View{Name: m, Columns: all, DuckDB: text, Postgres: text})
		p.Models = append(p.Models, pinflow.PlannedModel{Name: m, Source: "shop_things", Table: m, Columns: all})
	}
	return p
}

func newPeers(t *testing.T, r *rand.Rand, rows int) (*peers, [][]any) {
	i, err := duck.Open(t.Context(), duck.Options{Path: filepath.Join(t.TempDir(), "shop.duckdb"), Dir: t.TempDir(), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	scratch, err := i.Scratch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := duckdb.Open(t.Context(), duckdb.Options{Instance: i})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Close(); _ = i.Close() })
	ours := openStore(t, postgres.Options{URL: newDatabase(t), Instance: newFiles(t).instance})
	p := typedPlan()
	added := map[string][][]any{}
	for n := range rows {
		row := []any{int64(0), topic, int64(n)}
		for _, c := range typed {
			row = append(row, randomValue(r, c.Type))
		}
		row = append(row, int32(0), int64(n))
		for _, table := range []string{"things", "recent", "latest"} {
			added[table] = append(added[table], row)
		}
		added["sales"] = append(added["sales"], []any{int64(0), int32(0), randomValue(r, "VARCHAR"), int64(1), values["DECIMAL(10,2)"][r.IntN(4)].(string) + "00", randomValue(r, "HUGEINT")})
	}
	tp := pinflow.TopicPartition{Topic: topic}
	relations := map[string]pinflow.Relation{}
	for name, all := range added {
		table := &duck.Table{Instance: i, Name: scratch + "." + name, Columns: columnsOf(p.Table(name))}
		make := "CREATE TABLE " + table.Name + " AS "
		for some := range slices.Chunk(all, 20) {
			if _, err := i.DB.ExecContext(t.Context(), make+selectRows(table.Columns, some)); err != nil {
				t.Fatal(err)
			}
			make = "INSERT INTO " + table.Name + " "
		}
		relations[name] = table
	}
	for _, s := range []pinflow.LiveStore{theirs, ours} {
		d := pinflow.Delta{Generation: p.Generation, Close: func() {}, Advances: []pinflow.Advance{{TopicPartition: tp, End: int64(rows)}}}
		for _, table := range []string{"things", "recent", "sales"} {
			d.Added = append(d.Added, pinflow.Addition{Table: table, Rows: relations[table]})
		}
		d.Changes = []pinflow.Change{{Table: "latest", Rows: relations["latest"], Single: true, Before: p.Table("latest").Keys[:1],
			Deltas: func(context.Context, pinflow.Relation) ([]pinflow.Addition, error) { return nil, nil }}}
		if err := s.Prepare(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Claim(t.Context(), p.Generation, map[pinflow.TopicPartition]int64{tp: 0}); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	return &peers{theirs, ours}, added["things"]
}

// columnsOf are all columns of a table.
func columnsOf(t *pinflow.Table) []pinflow.Column {
	columns := []pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_topic", Type: "VARCHAR"}}
	if t.Kind == pinflow.Partials {
		columns[1] = pinflow.Column{Name: "_shard", Type: "INTEGER"}
	}
	columns = append(columns, t.Keys...)
	for _, m := range t.Measures {
		columns = append(columns, m.Column)
	}
	return columns
}

// printed is a result to the last digit and Go type.
func printed(t *testing.T, result *pinflow.Result) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, result.Columns, result.Positions, result.Generation)
	for _, row := range result.Rows {
		text, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
		for _, v := range row {
			fmt.Fprintf(&b, " %T", v)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// same asks both stores, and returns how many rows they agree on; -1 if both refuse.
func (p *peers) same(t *testing.T, q pinflow.Query) int {
	t.Helper()
	want, theirs := p.duck.Query(t.Context(), q)
	got, ours := p.pg.Query(t.Context(), q)
	if theirs != nil || ours != nil {
		if theirs == nil || ours == nil || pinflow.KindOf(theirs) != pinflow.KindOf(ours) || pinflow.HintOf(theirs) != pinflow.HintOf(ours) {
			t.Errorf("%+v\nDuckDB:     %v\nPostgreSQL: %v", q, theirs, ours)
		}
		return -1
	}
	a, b := strings.Split(printed(t, got), "\n"), strings.Split(printed(t, want), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Errorf("%+v: line %d of %d\nDuckDB:     %s\nPostgreSQL: %s", q, i, len(b), b[i], a[i])
			return 0
		}
	}
	if len(a) != len(b) {
		t.Errorf("%+v: DuckDB has %d rows, PostgreSQL %d", q, len(want.Rows), len(got.Rows))
	}
	return len(got.Rows)
}

// filterText is a value as somebody would write it into a filter.
func filterText(r *rand.Rand, v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		var b strings.Builder
		for _, c := range v {
			fmt.Fprintf(&b, `\x%02X`, c)
		}
		return b.String()
	case time.Time:
		return v.In(time.FixedZone("", []int{0, 7200, -19800}[r.IntN(3)])).Format("2006-01-02 15:04:05.999999Z07:00")
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			if parts[i] = "NULL"; e != nil {
				parts[i] = "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(filterText(r, e)) + "'"
			}
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// TestViewQueriesAsDuckDB asks random questions of views.
func TestViewQueriesAsDuckDB(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	p, rows := newPeers(t, r, 400)
	columns := typedPlan().Table("things").Keys
	matched, refused := 0, 0
	for n := range 600 {
		q := pinflow.Query{View: []string{"things", "latest", "recent"}[n%3], Limit: []int{0, 0, 1, 10}[r.IntN(4)]}
		for range r.IntN(3) {
			c := columns[r.IntN(len(columns))]
			v := rows[r.IntN(len(rows))][2+slices.Index(columns, c)]
			text := filterText(r, v)
			if r.IntN(10) == 0 {
				text = []string{"", "nan", "infinity", "-infinity", "[]", "1.5", "99999999999999999999999999999999999999999", "x", "\x00", "a\x00b", "0044-03-15 (BC)", "[NULL]"}[r.IntN(12)]
			}
			name := c.Name
			if r.IntN(4) == 0 {
				name = strings.ToUpper(name)
			}
			q.Filter = append(q.Filter, pinflow.Condition{Column: name, Op: []string{"=", "!=", "<", "<=", ">", ">="}[r.IntN(6)], Value: text})
		}
		for range r.IntN(3) {
			q.Order = append(q.Order, pinflow.Order{Column: columns[r.IntN(len(columns))].Name, Descending: r.IntN(2) == 0})
		}
		q.Order = append(q.Order, pinflow.Order{Column: "id"})
		if r.IntN(4) == 0 {
			q.Where = []string{"id % 2 = 0", "len(tags) > 1 OR word > 'a'", "huge > 0 -- more", "list_contains(tags, '')", "moment > '2000-01-01'::TIMESTAMPTZ", "price::DOUBLE > 1.5"}[r.IntN(6)]
		}
		switch got := p.same(t, q); {
		case got < 0:
			refused++
		case got > 0:
			matched++
		}
		if t.Failed() && n > 50 {
			break
		}
	}
	t.Logf("%d found rows, %d were refused", matched, refused)
	if matched < 200 || refused < 5 {
		t.Error("the test tells little")
	}
	for _, order := range [][]pinflow.Order{{{Column: "category"}}, {{Column: "total", Descending: true}, {Column: "category"}}, {{Column: "huge"}, {Column: "category", Descending: true}}} {
		p.same(t, pinflow.Query{View: "sales", Order: order})
		p.same(t, pinflow.Query{View: "sales", Order: order, Filter: []pinflow.Condition{{Column: "category", Op: ">", Value: "A"}}, Limit: 5})
	}
}

// TestSQLAsDuckDB runs statements over all kinds of views.
func TestSQLAsDuckDB(t *testing.T) {
	p, _ := newPeers(t, rand.New(rand.NewPCG(6, 6)), 500)
	for _, statement := range []string{
		"SELECT * FROM things ORDER BY id", "SELECT * FROM shop.latest ORDER BY ALL", "SELECT * FROM recent ORDER BY id DESC", "SELECT * FROM sales ORDER BY category", "SELECT * FROM rejects",
		"SELECT count(*) FROM things", "SELECT count(*), count(word), count(DISTINCT word) FROM main.things", "SELECT 1 + 1 AS two", "FROM sales SELECT sum(n)",
		"SELECT t.word, s.n, s.total FROM things t JOIN sales s ON s.category = t.word ORDER BY t.id",
		"SELECT word, number FROM things LEFT JOIN (SELECT category AS word, huge AS h FROM sales) USING (word) ORDER BY id",
		"SELECT a.id, b.id FROM things a JOIN latest b ON a.id = b.id + 1 AND a.flag IS NOT DISTINCT FROM b.flag ORDER BY ALL",
		"SELECT a.id FROM things a ANTI JOIN things b ON a.small = b.small AND a.id <> b.id ORDER BY 1",
		"WITH t AS (SELECT *, row_number() OVER (PARTITION BY flag ORDER BY number DESC, id) AS r FROM things) SELECT id, r FROM t WHERE r <= 3 ORDER BY ALL",
		"SELECT id, sum(price) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s, lag(word) OVER (ORDER BY id) AS before FROM things ORDER BY id",
		"SELECT id, moment AT TIME ZONE 'Asia/Tokyo' AS there, date_trunc('month', moment) AS month, epoch_us(moment) AS us, clock + INTERVAL 1 DAY AS later FROM things WHERE isfinite(moment) ORDER BY id",
		"SELECT tag, count(*) AS n FROM (SELECT unnest(tags) AS tag FROM things) GROUP BY tag ORDER BY n DESC, tag", "SELECT id, x FROM things, unnest(numbers) AS u(x) ORDER BY ALL",
		"SELECT id, len(tags), tags[1], list_sort(prices), list_sum(hugs) FROM things WHERE abs(coalesce(list_max(hugs), 0)::DOUBLE) < 1e30 ORDER BY id",
		"SELECT tags, numbers, ratios FROM latest ORDER BY tags, numbers, ratios, id", "SELECT tags FROM latest ORDER BY tags DESC, id", "SELECT days FROM latest ORDER BY days DESC NULLS FIRST, id",
		"SELECT word, word < 'b' AS less, length(word), strlen(word), md5(word), upper(word) FROM things ORDER BY word, id", "SELECT octet_length(data), hex(data), data FROM things ORDER BY data NULLS FIRST, id",
		"SELECT ratio, ratio = 'nan', ratio > 1 FROM things ORDER BY ratio DESC, id", "SELECT DISTINCT ratio FROM things ORDER BY ALL", "SELECT min(ratio), max(ratio), min(word), max(word), min(huge), max(huge), min(data), max(days) FROM things",
		"SELECT sum(number::HUGEINT), sum(price / 1e10), avg(small), median(number), quantile_disc(price, 0.9), stddev(small) FROM things WHERE abs(price) < 1e20",
		"SELECT sum(tiny), sum(\"order by\"), avg(tiny) FROM things", "SELECT price * 2 AS double, price::VARCHAR AS t, tiny::DOUBLE AS d FROM things WHERE abs(price) < 1e20 ORDER BY id",
		"SELECT flag, list(id ORDER BY id) AS ids, string_agg(word, '|' ORDER BY id) AS words FROM latest GROUP BY flag ORDER BY flag", "SELECT day, count(*) FROM things GROUP BY day HAVING count(*) > 1 ORDER BY day",
		"SELECT * FROM (PIVOT (SELECT flag, small % 2 AS parity, id FROM things) ON parity IN (0, 1) USING count(id) GROUP BY flag) ORDER BY flag", "SELECT word FROM things UNION SELECT category FROM sales ORDER BY 1", "SELECT id FROM things EXCEPT SELECT id + 10 FROM latest ORDER BY 1",
		"WITH RECURSIVE r(i) AS (SELECT min(id) FROM things UNION ALL SELECT i + 1 FROM r WHERE i < 5) SELECT r.i, t.word FROM r JOIN things t ON t.id = r.i ORDER BY 1", "SELECT t FROM latest AS t WHERE id < 5 ORDER BY id", "SELECT COLUMNS('^(id|number)$') FROM things ORDER BY id LIMIT 20",
		"SELECT (SELECT count(*) FROM sales) AS a, (SELECT max(id) FROM recent) AS b", "SELECT id FROM things WHERE word IN (SELECT category FROM sales WHERE n > 20) ORDER BY id", "SELECT things.* EXCLUDE (data, tags) REPLACE (id + 1 AS id) FROM things ORDER BY id",
		"SELECT to_json(t) AS j FROM (SELECT id, word, prices, moment FROM things WHERE id < 40) t ORDER BY t.id", "SELECT {'a': huge, 'b': tags} AS s, map([id], [price]) AS m FROM things ORDER BY id", "SELECT x.a FROM things AS x(a) ORDER BY 1 LIMIT 7",
		"SELECT quantile_cont(ratio, 0.5) FROM things WHERE isfinite(ratio)", "SELECT approx_count_distinct(flag) FROM things", "SELECT id FROM things POSITIONAL JOIN (SELECT 1 AS one) ORDER BY id LIMIT 3", "SELECT count(*) FROM things NATURAL JOIN latest",
		"DESCRIBE things", "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = 'latest' ORDER BY ordinal_position",
		"SELECT id FROM things ORDER BY nothing", "SELECT word::INTEGER FROM things", "SELECT * FROM _gen_g1.things", "SELECT * FROM _rows.things", "SELECT rowid FROM things", "SELECT * FROM scratch_1.main.things", "SELECT * FROM things, nothing", "SELECT sum(word) FROM things",
	} {
		if strings.Contains(statement, "_gen_g1") {
			continue // the tables behind the views are the store's own affair
		}
		p.same(t, pinflow.Query{SQL: statement})
	}
}
