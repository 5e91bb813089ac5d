package plan_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/pipelines/pipelinetest"
	"github.com/pinflow/pinflow/protocol"
	"github.com/pinflow/pinflow/value"
)

// world is a DuckDB that holds a plan's rows, and runs them through its partials in random pieces.
type world struct {
	t    testing.TB
	r    *rand.Rand
	conn *sql.Conn
	plan *pinflow.Plan
}

func newWorld(t testing.TB, seed uint64, p *pinflow.Plan) *world {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = conn.Close(), db.Close() })
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 1)), conn: conn, plan: p}
	w.exec("SET TimeZone = 'UTC'")
	w.exec("SET threads = 1")
	return w
}

func (w *world) exec(statement string, args ...any) {
	w.t.Helper()
	if _, err := w.conn.ExecContext(w.t.Context(), statement, args...); err != nil {
		w.t.Fatalf("%v\n%s", err, statement)
	}
}

// rows returns a query's rows, each value as text, NULL as ∅; false if the query fails.
func (w *world) rows(query string) ([][]string, error) {
	result, err := w.conn.QueryContext(w.t.Context(), "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ("+query+")")
	if err != nil {
		return nil, err
	}
	defer func() { _ = result.Close() }()
	names, err := result.Columns()
	if err != nil {
		return nil, err
	}
	var all [][]string
	for result.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := result.Scan(into...); err != nil {
			return nil, err
		}
		row := make([]string, len(names))
		for i, v := range values {
			if row[i] = v.String; !v.Valid {
				row[i] = "∅"
			}
		}
		all = append(all, row)
	}
	return all, result.Err()
}

func (w *world) mustRows(query string) [][]string {
	w.t.Helper()
	all, err := w.rows(query)
	if err != nil {
		w.t.Fatalf("%v\n%s", err, query)
	}
	return all
}

// fill posts values to every source, in random partitions.
func (w *world) fill(posts func(source string) [][]byte) {
	w.t.Helper()
	w.fillRecords(func(s pinflow.PlannedSource) (records []pinflow.Record) {
		for _, v := range posts(s.Name) {
			key, _ := schemaOf(w.t, s).KeyOf(v, s.Key)
			records = append(records, pinflow.Record{Partition: int32(w.r.IntN(s.Partitions)), Key: key, Value: v})
		}
		return records
	})
}

// fillRecords gives every source its records, cleans them and gives each accepted row a period and a batch: of a model with a key
// in the order of offsets, of others any.
func (w *world) fillRecords(records func(s pinflow.PlannedSource) []pinflow.Record) {
	w.t.Helper()
	for _, s := range w.plan.Sources {
		file := filepath.Join(w.t.TempDir(), s.Name+".json")
		if err := os.WriteFile(file, w.lines(s, records(s)), 0o600); err != nil {
			w.t.Fatal(err)
		}
		var columns []string
		for _, c := range slices.Concat(s.Columns, []pinflow.Column{{Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"},
			{Name: "_timestamp", Type: "TIMESTAMPTZ"}, {Name: "_key", Type: "VARCHAR"}, {Name: "_headers", Type: "JSON"}, {Name: "_home", Type: "INTEGER"}}) {
			columns = append(columns, duck.Literal(c.Name)+": "+duck.Literal(c.Type))
		}
		w.exec("CREATE TABLE " + s.Name + " AS SELECT * FROM read_json(" + duck.Literal(file) + ", format = 'newline_delimited', columns = {" + strings.Join(columns, ", ") + "})")
	}
	for i := range w.plan.Models {
		m := &w.plan.Models[i]
		full := "full_" + m.Name
		if _, err := w.conn.ExecContext(w.t.Context(), "CREATE TABLE "+full+" AS "+m.SQL); err != nil {
			w.exec("CREATE TABLE " + full + " AS " + m.Careful)
		}
		w.exec("DELETE FROM " + full + " WHERE _reject IS NOT NULL")
		w.exec("ALTER TABLE " + full + " DROP COLUMN _reject")
		w.exec(fmt.Sprintf("ALTER TABLE %s ADD COLUMN _period BIGINT", full))
		w.exec(fmt.Sprintf("ALTER TABLE %s ADD COLUMN _batch BIGINT", full))
		if len(m.Key) > 0 {
			w.cut(full)
			continue
		}
		w.exec(fmt.Sprintf("UPDATE %s SET _period = 86400000 * (hash(_partition, _offset, %d) %% 3), _batch = hash(_offset, _partition, %[2]d) %% 5", full, w.r.Uint32()))
	}
}

func schemaOf(t testing.TB, s pinflow.PlannedSource) *value.Schema {
	t.Helper()
	schema, faults := value.CompileSchema(s.SchemaFile, s.Schema)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return schema
}

// lines are the lake's lines of the records whose values the source's schema accepts, each with its home.
func (w *world) lines(s pinflow.PlannedSource, records []pinflow.Record) (lines []byte) {
	schema := schemaOf(w.t, s)
	for i, record := range records {
		if schema.Check(record.Value) != nil {
			continue
		}
		record.Offset, record.Timestamp = int64(i), 1767225600000+int64(w.r.IntN(3_600_000))
		lines = value.AppendLine(lines, &record)
		if key, ok := schema.KeyOf(record.Value, s.Key); ok {
			lines = fmt.Appendf(bytes.TrimSuffix(lines, []byte("}\n")), `,"_home":%d}`+"\n", protocol.Home(key, s.Partitions))
		}
	}
	return lines
}

// show makes the relation of a model be one batch: of a model with a key, what the batch changes.
func (w *world) show(m *pinflow.PlannedModel, batch int) {
	from := "full_" + m.Name
	if len(m.Key) > 0 {
		from = w.changes(m)
	}
	w.exec(fmt.Sprintf("CREATE OR REPLACE VIEW %s AS SELECT * EXCLUDE (_batch) FROM %s WHERE _batch = %d", m.Name, from, batch))
}

// showAll makes the relation of a model be all of its rows, of a model with a key those that stand.
func (w *world) showAll(model string) {
	text := "CREATE OR REPLACE VIEW " + model + " AS SELECT * EXCLUDE (_batch) FROM full_" + model
	if m := w.model(model); len(m.Key) > 0 {
		order := map[string]string{"latest": "DESC", "first": "ASC"}[m.Keep]
		text += " QUALIFY row_number() OVER (PARTITION BY " + quotedList(m.Key) + " ORDER BY _offset " + order + ") = 1"
	}
	w.exec(text)
}

func (w *world) model(name string) *pinflow.PlannedModel {
	i := slices.IndexFunc(w.plan.Models, func(m pinflow.PlannedModel) bool { return m.Name == name })
	return &w.plan.Models[i]
}

// run puts every batch's partials of a metric into fresh tables of a generation and returns its name.
func (w *world) run(p *pinflow.Plan, m pinflow.PlannedMetric) (generation string) {
	generation = fmt.Sprintf("g%d", w.r.Uint64())
	w.exec("CREATE SCHEMA " + generation)
	model := w.model(m.Model)
	for _, part := range m.Partials {
		t := p.Table(part.Table)
		columns := []string{`"_period" BIGINT`, `"_shard" INTEGER`}
		for _, c := range t.Keys {
			columns = append(columns, duck.Quote(c.Name)+" "+c.Type)
		}
		for _, c := range t.Measures {
			columns = append(columns, duck.Quote(c.Name)+" "+c.Type)
		}
		w.exec("CREATE TABLE " + generation + "." + duck.Quote(t.Name) + " (" + strings.Join(columns, ", ") + ")")
		for batch := range batches {
			w.show(model, batch)
			w.exec("INSERT INTO " + generation + "." + duck.Quote(t.Name) + " " + part.SQL)
		}
		if w.r.IntN(2) == 0 {
			w.compact(generation, t)
		}
	}
	return generation
}

// compact merges rows of the same keys, as a store does that updates them.
func (w *world) compact(generation string, t *pinflow.Table) {
	list := []string{"_period", "_shard"}
	for _, c := range t.Keys {
		list = append(list, duck.Quote(c.Name))
	}
	groups := strings.Join(list, ", ")
	for _, c := range t.Measures {
		list = append(list, string(c.Merge)+"("+duck.Quote(c.Name)+")::"+c.Type+" AS "+duck.Quote(c.Name))
	}
	name := generation + "." + duck.Quote(t.Name)
	w.exec("CREATE OR REPLACE TABLE " + name + " AS SELECT " + strings.Join(list, ", ") + " FROM " + name + " GROUP BY " + groups)
}

func (w *world) view(p *pinflow.Plan, name, generation string) ([][]string, error) {
	i := slices.IndexFunc(p.Views, func(v pinflow.View) bool { return v.Name == name })
	return w.rows(strings.ReplaceAll(p.Views[i].DuckDB, "{gen}", generation))
}

// exact says what an exact column is: numerator and denominator as the engine can count them, and the rest in Go.
type exact struct {
	num, den string
	finish   func(*big.Rat, exactParts) string
}

// exactParts are numerator and denominator as integers.
type exactParts struct{ num, den *big.Int }

func rounded(n int) func(*big.Rat, exactParts) string {
	return func(r *big.Rat, _ exactParts) string { return r.FloatString(n) }
}

// quotient is the DOUBLE nearest to an exact number, as long as its integers are DOUBLEs themselves;
// larger ones are the nearest DOUBLEs before they are divided.
func quotient(r *big.Rat, of exactParts) string {
	f, _ := r.Float64()
	if of.num.BitLen() > 53 || of.den.BitLen() > 53 {
		n, _ := new(big.Float).SetInt(of.num).Float64()
		d, _ := new(big.Float).SetInt(of.den).Float64()
		f = n / d
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func whole(ceil bool) func(*big.Rat, exactParts) string {
	return func(r *big.Rat, _ exactParts) string {
		q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
		if ceil && m.Sign() != 0 {
			q.Add(q, big.NewInt(1))
		}
		return q.String()
	}
}

// exacts are the columns for which DuckDB computes a DOUBLE.
var exacts = map[string]exact{
	"posts_per_window.percentage_of_images":         {"100 * count(*) FILTER (media = 'image')", "count(*)", rounded(2)},
	"posts_per_window.avg_follower_count":           {"sum(follower_count)", "count(follower_count)", rounded(0)},
	"category_popularity.average_follower_count":    {"sum(follower_count)", "count(follower_count)", rounded(2)},
	"category_per_half_hour.average_follower_count": {"sum(follower_count)", "count(follower_count)", rounded(2)},
	"sales_by_country.average_quantity":             {"sum(quantity)", "count(quantity)", quotient},
	"sales_by_country.average_amount":               {"sum(amount)", "count(amount)", quotient},
	"sales_by_country.average_price":                {"sum(price)", "count(price)", rounded(3)},
	"sales_per_day.express_percent":                 {"100 * sum(amount) FILTER (WHERE express)", "sum(amount)", rounded(1)},
	"sales_per_day.per_sale":                        {"sum(amount)", "count(*)", quotient},
	"sales_per_day.whole_per_item":                  {"sum(amount)", "sum(quantity)", whole(false)},
	"sales_per_day.negative_per_item":               {"-sum(amount)", "sum(quantity)", whole(true)},
	"sales_per_day.nothing":                         {"0 * sum(amount)", "1", rounded(2)},
	"sales_per_day.notes_missing":                   {"count(note) - count(*)", "3", rounded(1)},
	"sales_per_day.per_other":                       {"CASE WHEN count(*) > 1 THEN sum(amount) ELSE -1 END", "greatest(count(*) - 1, 1)", rounded(2)},
	"sales_per_day.third":                           {"sum(quantity)", "3", quotient},
	"sales_per_day.half_or_least":                   {"CASE WHEN sum(amount) < 1000000 THEN least(2 * count(amount) * min(amount), sum(amount)) END", "2 * count(amount)", rounded(3)},
	"size_range.average":                            {"sum(size)", "count(size)", rounded(2)},
	"totals.average_quantity":                       {"sum(quantity)", "count(quantity)", rounded(4)},
	"sensor_levels.ok_share":                        {"count_if(ok)", "count(*)", rounded(4)},
	"pins_by_category.average_follower_count":       {"sum(follower_count)", "count(follower_count)", rounded(2)},
	"orders_by_country.average_quantity":            {"sum(quantity)", "count(quantity)", quotient},
	"orders_by_country.average_price":               {"sum(price)", "count(price)", rounded(3)},
	"orders_by_country.express_percent":             {"100 * sum(amount) FILTER (WHERE express)", "sum(amount)", rounded(1)},
	"order_totals.average_quantity":                 {"sum(quantity)", "count(quantity)", rounded(4)},
	"order_sizes.average":                           {"sum(size)", "count(size)", rounded(2)},
	"requests_by_channel.average_amount":            {"sum(amount)", "count(amount)", rounded(2)},
	"sensor_states.flagged":                         {"count(flags)", "count(*)", rounded(2)},
}

// reference runs the metric as it is written, once over all rows. Where DuckDB would compute with DOUBLE the
// expected value is computed here, from sums and counts.
func (w *world) reference(script pinflow.Script, m pinflow.PlannedMetric) [][]string {
	w.t.Helper()
	w.showAll(m.Model)
	var pieces []string
	for _, c := range m.Columns {
		if e, ok := exacts[m.Name+"."+c.Name]; ok {
			pieces = append(pieces, e.num, e.den)
		}
	}
	text := script.SQL
	if len(pieces) > 0 {
		head, tail, ok := strings.Cut(text, "FROM "+m.Model)
		if !ok {
			w.t.Fatalf("%s has no FROM %s", m.Name, m.Model)
		}
		text = head + ", " + strings.Join(pieces, ", ") + " FROM " + m.Model + tail
	}
	all := w.mustRows(text)
	for i, row := range all {
		at := len(m.Columns)
		for j, c := range m.Columns {
			if e, ok := exacts[m.Name+"."+c.Name]; ok {
				row[j] = e.of(row[at], row[at+1])
				at += 2
			}
		}
		all[i] = row[:len(m.Columns)]
	}
	return all
}

func (e exact) of(num, den string) string {
	n, ok := new(big.Rat).SetString(num)
	d, also := new(big.Rat).SetString(den)
	if !ok || !also || d.Sign() == 0 {
		return "∅"
	}
	decimals := 0
	for _, text := range []string{num, den} {
		if _, behind, ok := strings.Cut(text, "."); ok {
			decimals = max(decimals, len(behind))
		}
	}
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil))
	of := exactParts{new(big.Rat).Mul(n, scale).Num(), new(big.Rat).Mul(d, scale).Num()}
	return e.finish(n.Quo(n, d), of)
}

// same compares rows in any order, numbers by value.
func (w *world) same(what string, columns []pinflow.Column, got, want [][]string) {
	w.t.Helper()
	lines := func(rows [][]string) (all []string) {
		for _, row := range rows {
			canonical := make([]string, len(row))
			for i, v := range row {
				canonical[i] = v
				if r, ok := new(big.Rat).SetString(v); ok && columns[i].Type != "VARCHAR" && !strings.ContainsAny(v, "/:") {
					canonical[i] = r.RatString()
				}
			}
			all = append(all, strings.Join(canonical, " | "))
		}
		slices.Sort(all)
		return all
	}
	g, x := lines(got), lines(want)
	if slices.Equal(g, x) {
		return
	}
	for i := range max(len(g), len(x)) {
		switch {
		case i >= len(g):
			w.t.Errorf("%s: missing %s", what, x[i])
		case i >= len(x):
			w.t.Errorf("%s: too much %s", what, g[i])
		case g[i] != x[i]:
			w.t.Errorf("%s:\n got  %s\n want %s", what, g[i], x[i])
		}
		if i > 100 || w.t.Failed() && i > 20 {
			return
		}
	}
}

// check compares every metric of a definition.
func (w *world) check(d *pinflow.Definition) {
	w.t.Helper()
	for i, m := range w.plan.Metrics {
		generation := w.run(w.plan, m)
		got, err := w.view(w.plan, m.Name, generation)
		if err != nil {
			w.t.Errorf("%s: %v", m.Name, err)
			continue
		}
		w.same(m.Name, m.Columns, got, w.reference(d.Metrics[i], m))
	}
}

func TestMergedPartialsAreTheMetric(t *testing.T) {
	d := pipelinetest.Definition(t)
	p := compile(t, d)
	for seed := range uint64(4) {
		for _, n := range []int{0, 1, 40, 400} {
			t.Run(fmt.Sprintf("seed %d, %d records", seed, n), func(t *testing.T) {
				w := newWorld(t, seed, p)
				w.fillRecords(func(s pinflow.PlannedSource) []pinflow.Record { return pipelinetest.Posts(t, seed, s.Name, n) })
				w.check(d)
			})
		}
	}
}

// TestWhatFailsForARowIsNull: whatever a record holds, no partial fails, and where nothing fails the metric is what it says.
func TestWhatFailsForARowIsNull(t *testing.T) {
	sql := `SELECT CAST(id AS INTEGER) AS number, sum(CAST(id AS INTEGER)) AS total, count(CAST(id AS INTEGER)) AS numbers, sum(CAST(id AS INTEGER) + 1) AS more,
		count(*) FILTER (WHERE id) AS truths, count_if(CAST(id AS BOOLEAN)) AS also, count(*) FILTER (WHERE CAST(id AS INTEGER) > 1) AS large,
		count(DISTINCT CAST(id AS INTEGER) * 2) FILTER (WHERE id) AS twice, max(n + 1) AS next FROM m GROUP BY 1`
	d := trial("SELECT id, n FROM src", sql)
	d.Metrics = append(d.Metrics, pinflow.Script{Name: "true_ones", File: "true_ones.sql", SQL: "SELECT count(*) AS c FROM m WHERE id"},
		pinflow.Script{Name: "items", File: "items.sql", SQL: "SELECT count(*) AS c FROM m, unnest(list_transform([id], lambda i: CAST(i AS INTEGER))) AS l(item)"})
	p := compile(t, d)
	w := newWorld(t, 0, p)
	w.fill(func(string) [][]byte {
		return [][]byte{[]byte(`{"id": "1", "n": 1}`), []byte(`{"id": "1", "n": 9223372036854775807}`), []byte(`{"id": "7"}`), []byte(`{"id": "x", "n": 3}`), []byte(`{"id": "", "n": 3}`)}
	})
	got, err := w.view(p, "k", w.run(p, p.Metrics[0]))
	if err != nil {
		t.Fatal(err)
	}
	w.same("k", p.Metrics[0].Columns, got, [][]string{{"1", "2", "2", "4", "2", "2", "0", "1", "2"}, {"7", "7", "1", "8", "0", "∅", "1", "0", "∅"}, {"∅", "∅", "0", "∅", "0", "∅", "0", "0", "4"}})
	for i, want := range map[int]string{1: "2", 2: "3"} {
		got, err = w.view(p, d.Metrics[i].Name, w.run(p, p.Metrics[i]))
		if err != nil || got[0][0] != want {
			t.Errorf("%s: got %v %v, want %s", d.Metrics[i].SQL, got, err, want)
		}
	}
}

// TestWhatFailsForARowOfAnEntityIsNull does it where rows are replaced: what failed for the row held is taken back as nothing.
func TestWhatFailsForARowOfAnEntityIsNull(t *testing.T) {
	d := trial("SELECT id, n, x::VARCHAR AS text, b FROM src", `SELECT b, sum(CAST(text AS INTEGER)) AS total, count(CAST(text AS INTEGER)) AS numbers, avg(100 // (n - 1)) AS mean,
		count(*) FILTER (WHERE CAST(text AS INTEGER) > 1) AS large, count_if(CAST(text AS BOOLEAN)) AS truths, count(DISTINCT CAST(text AS INTEGER) * 2) AS twice FROM m GROUP BY b`)
	d.Sources[0].Key, d.Models[0].Key, d.Models[0].Keep = "id", []string{"id"}, "latest"
	p := compile(t, d)
	w := newWorld(t, 0, p)
	w.fill(func(string) [][]byte {
		return [][]byte{[]byte(`{"id": "a", "n": 1, "x": 1e300, "b": true}`), []byte(`{"id": "b", "n": 3, "x": 7, "b": true}`), []byte(`{"id": "a", "n": 9223372036854775807, "x": 2, "b": false}`),
			[]byte(`{"id": "b", "n": 1, "x": 1e300, "b": true}`), []byte(`{"id": "c", "x": -1e300, "b": false}`), []byte(`{"id": "d", "n": 1, "x": 1, "b": false}`), []byte(`{"id": "d", "n": 2, "b": false}`)}
	})
	got, err := w.view(p, "k", w.run(p, p.Metrics[0]))
	if err != nil {
		t.Fatal(err)
	}
	w.same("k", p.Metrics[0].Columns, got, [][]string{{"true", "∅", "0", "∅", "0", "∅", "0"}, {"false", "2", "1", "50", "1", "∅", "1"}})
}

// TestOverNothing: without GROUP BY, and by constants in GROUP BY ALL, there is one row of no records; else none.
func TestOverNothing(t *testing.T) {
	d := trial(trialModel, "")
	d.Metrics = nil
	for i, sql := range []string{"SELECT count(*) AS c, sum(n) AS s, count(DISTINCT id) AS i FROM m", "SELECT count(DISTINCT id) AS i FROM m", "SELECT 1 AS one, count(*) AS c FROM m GROUP BY ALL",
		"SELECT 1 AS one, count(*) AS c FROM m GROUP BY 1", "SELECT id, count(*) AS c FROM m GROUP BY id", "SELECT count(*) AS c FROM m GROUP BY id"} {
		d.Metrics = append(d.Metrics, pinflow.Script{Name: fmt.Sprintf("k%d", i), File: sql, SQL: sql})
	}
	w := newWorld(t, 0, compile(t, d))
	w.fill(func(string) [][]byte { return nil })
	w.check(d)
}
