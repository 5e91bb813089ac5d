package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
)

func query(t testing.TB, s Store, q pinflow.Query) *pinflow.Result {
	t.Helper()
	result, err := s.Query(t.Context(), q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	for _, row := range result.Rows {
		if len(row) != len(result.Columns) {
			t.Fatalf("%+v: a row of %d values under %d columns", q, len(row), len(result.Columns))
		}
	}
	if _, err := json.Marshal(result.Rows); err != nil {
		t.Errorf("%+v: rows that do not encode: %v", q, err)
	}
	return result
}

// filled is a store with ten things whose ids are 0, 1000, … 9000, and their sales.
func filled(t *testing.T, env Env) Store {
	p := plan("g1")
	s := open(t, env, p, 0)
	var things, sales, totals [][]any
	for i := range int64(10) {
		name := any(fmt.Sprintf("it's %d", i%5))
		if i == 9 {
			name = nil
		}
		things = append(things, []any{int64(0), topic, i * 1000, int32(i), name, []any{"a", "b"}, []byte("x"), fmt.Sprintf("%d.5000000000", i), float64(i) / 2,
			day(0).Add(time.Duration(i) * time.Hour), day(int(i)), nil, i%2 == 0, int32(0), i})
		sales = append(sales, []any{int64(0), int32(0), name, i, day(0), day(0), true, int64(1), nil, "1.10", i, nil, nil, nil, nil, nil, nil, nil, nil})
		totals = append(totals, []any{int64(0), int32(0), int64(1)})
	}
	d := pinflow.Delta{Generation: p.Generation, Close: func() {}, Advances: []pinflow.Advance{{TopicPartition: partition(0), Start: 0, End: 10, Period: 0}},
		Added: []pinflow.Addition{{Table: "things", Rows: rows(things)}, {Table: "sales", Rows: rows(sales)}, {Table: "totals", Rows: rows(totals)}}}
	must(t, s.Commit(t.Context(), d))
	return s
}

func where(column, op, value string) []pinflow.Condition {
	return []pinflow.Condition{{Column: column, Op: op, Value: value}}
}

// ids are the thousands of the id column, in order.
func ids(t testing.TB, s Store, q pinflow.Query) []int64 {
	t.Helper()
	result := query(t, s, q)
	i := slices.IndexFunc(result.Columns, func(c pinflow.Column) bool { return c.Name == "id" })
	found := []int64{}
	for _, row := range result.Rows {
		found = append(found, row[i].(int64)/1000)
	}
	return found
}

func testViewQueries(t *testing.T, env Env) {
	s := filled(t, env)
	up := []pinflow.Order{{Column: "id"}}
	for _, c := range []struct {
		name string
		q    pinflow.Query
		want []int64
	}{
		{"all", pinflow.Query{}, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"limit", pinflow.Query{Limit: 3}, []int64{0, 1, 2}},
		{"limit within the rows allowed", pinflow.Query{Limit: 3, MaxRows: 3}, []int64{0, 1, 2}},
		{"as many rows as allowed", pinflow.Query{MaxRows: 10}, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"order", pinflow.Query{Order: []pinflow.Order{{Column: "flag", Descending: true}, {Column: "ID", Descending: true}}}, []int64{8, 6, 4, 2, 0, 9, 7, 5, 3, 1}},
		{"NULL is last", pinflow.Query{Order: []pinflow.Order{{Column: "name", Descending: true}, {Column: "id"}}}, []int64{4, 3, 8, 2, 7, 1, 6, 0, 5, 9}},
		{"where", pinflow.Query{Where: "small >= 3 AND name = 'it''s 3'"}, []int64{3, 8}},
		{"where with a comment", pinflow.Query{Where: "small = 3 -- three"}, []int64{3}},
		{"where with OR stays one", pinflow.Query{Where: "small = 4 OR small = 3", Filter: where("small", "<", "4")}, []int64{3}},
		{"where over lists", pinflow.Query{Where: "len(list_filter(tags, lambda x: x = 'a')) = 1 AND small < 2"}, []int64{0, 1}},
		{"text", pinflow.Query{Filter: where("name", "=", "it's 2")}, []int64{2, 7}},
		{"text not", pinflow.Query{Filter: where("name", "!=", "it's 2")}, []int64{0, 1, 3, 4, 5, 6, 8}},
		{"text is no SQL", pinflow.Query{Filter: where("name", "=", "' OR ''='")}, []int64{}},
		{"integer", pinflow.Query{Filter: where("id", ">=", "8000")}, []int64{8, 9}},
		{"decimal", pinflow.Query{Filter: where("price", "<=", "1.5")}, []int64{0, 1}},
		{"double", pinflow.Query{Filter: where("ratio", ">", "4")}, []int64{9}},
		{"time", pinflow.Query{Filter: where("moment", "<", "2026-11-22T02:00:00.000Z")}, []int64{0, 1}},
		{"time elsewhere", pinflow.Query{Filter: where("moment", "<", "2026-11-22T04:00:00+02:00")}, []int64{0, 1}},
		{"day", pinflow.Query{Filter: where("day", "=", "2026-11-24")}, []int64{2}},
		{"boolean", pinflow.Query{Filter: where("flag", "=", "false"), Limit: 2}, []int64{1, 3}},
		{"several", pinflow.Query{Filter: append(where("id", ">", "2000"), where("Small", "<", "5")...)}, []int64{3, 4}},
	} {
		c.q.View = "things"
		if c.q.Order == nil {
			c.q.Order = up
		}
		if got := ids(t, s, c.q); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	result := query(t, s, pinflow.Query{View: "things", Limit: 1})
	want := plan("g1").Table("things").Keys
	if !slices.Equal(result.Columns, want) {
		t.Errorf("columns are %v, want %v", result.Columns, want)
	}
	if at := result.Positions[partition(0)]; at != (pinflow.Progress{NextOffset: 10, Period: 0}) {
		t.Errorf("exact for %+v", result.Positions)
	}
	result = query(t, s, pinflow.Query{View: "sales", Filter: where("number", "=", "3")})
	if _, ok := result.Rows[0][7].(json.Number); !ok || result.Rows[0][7].(json.Number) != "1.10" {
		t.Errorf("a DECIMAL came as %#v", result.Rows[0][7])
	}
}

func testViewRefusals(t *testing.T, env Env) {
	s := filled(t, env)
	for _, expression := range []string{
		"1=1) UNION SELECT * FROM things WHERE (1=1", "1=1; DROP VIEW things", "1=1;", "true) OR (true", "true ORDER BY id", "true LIMIT 1", "true GROUP BY ALL", "id = 1 AS x", "id = 1 x",
		"id, id", "*", "true FROM things", "true FROM things WHERE true", "EXISTS (SELECT 1)", "id IN (SELECT id FROM things)", "(SELECT true)", "/* true", "'", "true) -- ", "id = ?", "id = $1", "", " ", "--",
		"SELECT true", "getenv('HOME') = ''", "DISTINCT true", "nonsense(id)", "no_such_column = 1", "true UNION SELECT false", "true) UNION (SELECT true", "true WINDOW w AS ()", "true HAVING true", "true QUALIFY true",
	} {
		if expression == "" {
			continue
		}
		_, err := s.Query(t.Context(), pinflow.Query{View: "things", Where: expression, Filter: where("id", "=", "-1")})
		wantKind(t, "where "+expression, err, pinflow.Invalid)
	}
	for _, c := range []struct {
		q    pinflow.Query
		kind pinflow.Kind
		says string
	}{
		{pinflow.Query{Filter: where("id", "=", "many")}, pinflow.Invalid, "id"},
		{pinflow.Query{Filter: where("id", "=", "1.5")}, pinflow.Invalid, "id"},
		{pinflow.Query{Filter: where("id", "=", "")}, pinflow.Invalid, "id"},
		{pinflow.Query{Filter: where("small", "=", "3000000000")}, pinflow.Invalid, "small"},
		{pinflow.Query{Filter: where("price", "=", "1.00000000001")}, pinflow.Invalid, "price"},
		{pinflow.Query{Filter: where("moment", "=", "yesterday-ish")}, pinflow.Invalid, "moment"},
		{pinflow.Query{Filter: where("flag", "=", "perhaps")}, pinflow.Invalid, "flag"},
		{pinflow.Query{Filter: where("nothing", "=", "1")}, pinflow.Invalid, "nothing"},
		{pinflow.Query{Filter: where(`id" = 1 OR "id`, "=", "1")}, pinflow.Invalid, "no such column"},
		{pinflow.Query{Filter: where("id", "= 1 OR id =", "1")}, pinflow.Invalid, "operator"},
		{pinflow.Query{Filter: where("id", "LIKE", "1")}, pinflow.Invalid, "operator"},
		{pinflow.Query{Order: []pinflow.Order{{Column: "id; DROP VIEW things"}}}, pinflow.Invalid, "no such column"},
		{pinflow.Query{View: "thing"}, pinflow.NotFound, "things"},
		{pinflow.Query{View: `things" WHERE false --`}, pinflow.NotFound, "things"},
		{pinflow.Query{View: "things", SQL: "SELECT 1"}, pinflow.Invalid, ""},
		{pinflow.Query{View: "things", MaxRows: 9}, pinflow.TooLarge, "9"},
		{pinflow.Query{View: "things", MaxRows: 9, Limit: 10}, pinflow.TooLarge, "9"},
	} {
		if c.q.View == "" {
			c.q.View = "things"
		}
		_, err := s.Query(t.Context(), c.q)
		wantKind(t, fmt.Sprintf("%+v", c.q), err, c.kind, c.says)
	}
	_, err := s.Query(t.Context(), pinflow.Query{})
	wantKind(t, "nothing asked", err, pinflow.Invalid)
	if got := ids(t, s, pinflow.Query{View: "things"}); len(got) != 10 {
		t.Errorf("after the refusals there are %v", got)
	}
}

func testSQLQueries(t *testing.T, env Env) {
	s := filled(t, env)
	for sql, want := range map[string]string{
		"SELECT count(*) AS n FROM things":                                           "n BIGINT = 10",
		"SELECT count(*) AS n FROM shop.things;":                                     "n BIGINT = 10",
		"WITH t AS (SELECT * FROM things WHERE flag) SELECT count(*) AS n FROM t":    "n BIGINT = 5",
		"SELECT 1 AS a; -- that is all; really":                                      "a INTEGER = 1",
		"SELECT ';' AS a -- ;":                                                       `a VARCHAR = ";"`,
		"/* one */ SELECT 'it''s' AS a /* ; */ ;\n":                                  `a VARCHAR = "it's"`,
		"FROM things SELECT max(id) AS id":                                           "id BIGINT = 9000",
		"VALUES (1)":                                                                 "col0 INTEGER = 1",
		"SELECT sum(x) AS s FROM range(4) AS r(x)":                                   "s HUGEINT = 6",
		"SELECT 170141183460469231731687303715884105727::HUGEINT AS h":               "h HUGEINT = 170141183460469231731687303715884105727",
		"SELECT -1.05::DECIMAL(38,2) AS d":                                           "d DECIMAL(38,2) = -1.05",
		"SELECT TIMESTAMPTZ '2026-11-22 10:00:00+02' AS t":                           "t TIMESTAMPTZ = 2026-11-22T08:00:00Z",
		`SELECT '{"b":1.10,"a":12345678901234567890}'::JSON AS j`:                    `j JSON = {"b":1.10,"a":12345678901234567890}`,
		"SELECT {'a': 1, 'b': [1.5]} AS s":                                           `s STRUCT(a INTEGER, b DECIMAL(2,1)[]) = {"a":1,"b":[1.5]}`,
		"SELECT 'NaN'::DOUBLE AS d":                                                  `d DOUBLE = "NaN"`,
		"SELECT [1.50, NULL] AS l":                                                   "l DECIMAL(3,2)[] = [1.50 | <nil>]",
		"SELECT uuid '00000000-0000-0000-0000-000000000001' AS u":                    `u UUID = "00000000-0000-0000-0000-000000000001"`,
		"SELECT x FROM (SELECT unnest([3, 1, 2]) AS x) ORDER BY x DESC LIMIT 1":      "x INTEGER = 3",
		"SELECT string_agg(name, ',' ORDER BY id) AS s FROM things WHERE small > 6":  `s VARCHAR = "it's 2,it's 3"`,
		"SELECT count(*) AS n FROM (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3)": "n BIGINT = 3",
	} {
		result := query(t, s, pinflow.Query{SQL: sql})
		got := ""
		if len(result.Rows) == 1 && len(result.Columns) == 1 {
			got = fmt.Sprintf("%s %s = %s", result.Columns[0].Name, result.Columns[0].Type, text(result.Rows[0]))
		}
		if got != want && strings.ReplaceAll(got, `\"`, `"`) != strings.Replace(want, "= {", `= "{`, 1)+`"` {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
	for _, sql := range []string{"SHOW TABLES", "DESCRIBE things", "SUMMARIZE things"} {
		if len(query(t, s, pinflow.Query{SQL: sql}).Rows) < 4 {
			t.Errorf("%s tells nothing", sql)
		}
	}
	result := query(t, s, pinflow.Query{SQL: "SELECT i, i AS i FROM range(50000) AS r(i) ORDER BY i DESC", MaxRows: 60000})
	for n, row := range result.Rows {
		if row[0] != int64(49999-n) {
			t.Fatalf("row %d is %v: the order is lost", n, row)
		}
	}
	if len(result.Rows) != 50000 || result.Columns[0].Name == result.Columns[1].Name {
		t.Errorf("%d rows of %v", len(result.Rows), result.Columns)
	}
}

func testSQLRefusals(t *testing.T, env Env) {
	s := filled(t, env)
	for _, sql := range []string{
		"DELETE FROM things", "DROP VIEW things", "CREATE TABLE x AS SELECT 1", "INSERT INTO things SELECT * FROM things", "UPDATE things SET id = 1", "SET threads = 1", "RESET threads", "USE main", "PRAGMA version",
		"SELECT 1; SELECT 2", "SELECT 1; DROP VIEW things", "CALL force_checkpoint()", "SELECT * FROM force_checkpoint()", "SELECT * FROM checkpoint()", "COPY things TO '/tmp/x'", "ATTACH ':memory:' AS x", "INSTALL httpfs",
		"LOAD json", "EXPLAIN SELECT 1", "BEGIN", "COMMIT", "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM '/etc/passwd'", "SELECT * FROM 'x.csv'", "SELECT * FROM glob('*')", "SELECT * FROM query('DROP VIEW things')",
		"SELECT (SELECT count(*) FROM read_text('/etc/passwd'))", "WITH x AS (SELECT * FROM read_csv('/etc/passwd')) SELECT * FROM x", "SELECT nextval('x')", "SELECT getenv('HOME')", "SELECT ?", "SELECT $1",
		"SELECT 1) UNION SELECT (2", "SELECT 1 /*", "SELECT '", "", ";", "--", "nonsense", "SELECT * FROM nothing", "SELECT no_such_column FROM things", "SELECT 'x'::INTEGER", "SELECT error('boom')",
		"WITH x AS (DELETE FROM things RETURNING 1) SELECT * FROM x", "EXECUTE x", "PREPARE x AS SELECT 1", "VACUUM", "CHECKPOINT", "EXPORT DATABASE '/tmp/x'", "MERGE INTO things USING things ON true",
		"SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 5000), "SELECT " + strings.Repeat("NOT ", 4000) + "true",
	} {
		name := sql
		if len(name) > 80 {
			name = name[:80]
		}
		_, err := s.Query(t.Context(), pinflow.Query{SQL: sql})
		wantKind(t, name, err, pinflow.Invalid)
	}
	if got := ids(t, s, pinflow.Query{View: "things"}); len(got) != 10 {
		t.Errorf("after the refusals there are %v", got)
	}
}

// testLimits has queries run into their limits while a commit goes on.
func testLimits(t *testing.T, env Env) {
	s := filled(t, env)
	const endless = "SELECT count(*) FROM range(1000000000000) AS a(i), range(1000) AS b(j) WHERE i * j % 7 = 3"
	ended := make(chan error, 1)
	go func() {
		_, err := s.Query(t.Context(), pinflow.Query{SQL: endless, Timeout: 700 * time.Millisecond})
		ended <- err
	}()
	d := pinflow.Delta{Generation: "g1", Close: func() {}, Advances: []pinflow.Advance{{TopicPartition: partition(0), Start: 10, End: 11, Period: 1}},
		Added: []pinflow.Addition{{Table: "totals", Rows: rows{{int64(1), int32(0), int64(1)}}}}}
	must(t, s.Commit(t.Context(), d))
	start := time.Now()
	wantKind(t, "a query without end", <-ended, pinflow.Unavailable, "longer than")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it went on for %s", took)
	}
	for _, q := range []pinflow.Query{
		{SQL: "SELECT * FROM range(100)", MaxRows: 99},
		{SQL: "SELECT * FROM range(1000000000000)", MaxRows: 1000},
	} {
		_, err := s.Query(t.Context(), q)
		wantKind(t, q.SQL, err, pinflow.TooLarge)
	}
	query(t, s, pinflow.Query{View: "totals"})
}
