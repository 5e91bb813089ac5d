package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine/plan"
)

const trialSchema = `{"properties": {"id": {"type": "string"}, "n": {"type": "integer"}, "x": {"type": "number"}, "b": {"type": "boolean"},
	"tags": {"type": "array", "items": {"type": "string"}}, "o": {"type": "object"}, "ts": {"type": "string"}}}`

const trialModel = `SELECT id, n, x, b, tags, o, n::DECIMAL(10, 2) AS d, n::DECIMAL(38, 2) AS wide, n::HUGEINT AS huge, _timestamp AS ts FROM src`

// trial is a definition of one source, one model and one metric.
func trial(model, metric string) *pinflow.Definition {
	return &pinflow.Definition{Name: "trial",
		Sources: []pinflow.Source{{Name: "src", Topic: "t", Partitions: 1, Schema: []byte(trialSchema), SchemaFile: "src.json"}},
		Models:  []pinflow.ModelScript{{Script: pinflow.Script{Name: "m", File: "m.sql", SQL: model}, From: "src", Rows: "all"}},
		Metrics: []pinflow.Script{{Name: "k", File: "k.sql", SQL: metric}}}
}

// refusal is SQL and the fault that it must have.
type refusal struct {
	sql  string
	line int
	want string // in the message
	hint string // in the hint
}

// checkRefused compiles a definition in which each file, named by its number, must have just the fault that its case says.
func checkRefused(t *testing.T, d *pinflow.Definition, cases []refusal) {
	t.Helper()
	p, faults, err := plan.Compile(t.Context(), d)
	if err != nil || p != nil {
		t.Fatalf("compiled to %v: %v", p, err)
	}
	found := map[string][]pinflow.Fault{}
	for _, f := range faults {
		found[f.File] = append(found[f.File], f)
	}
	for i, c := range cases {
		switch got := found[fmt.Sprint(i)]; {
		case len(got) == 0:
			t.Errorf("%s\n was not refused", c.sql)
		case len(got) > 1:
			t.Errorf("%s\n more than one fault: %v", c.sql, got)
		case got[0].Line != c.line || !strings.Contains(got[0].Message, c.want) || !strings.Contains(got[0].Hint, c.hint):
			t.Errorf("%s\n got  %v\n want %d: …%s… (…%s…)", c.sql, got[0], c.line, c.want, c.hint)
		}
	}
}

func TestRefusedMetrics(t *testing.T) {
	cases := []refusal{
		// What cannot be read.
		{"", 0, "no statement", "one SELECT"},
		{"-- nothing", 0, "no statement", ""},
		{"SELECT\ncount(*) FRM m", 2, `syntax error at or near "m"`, ""},
		{"SELEC 1", 1, "syntax error", ""},
		{"SELECT count(*) AS c FROM m;\nSELECT 2 AS x FROM m", 2, "more than one statement", ""},
		{"DELETE FROM m", 1, "not a SELECT", ""},
		{"CREATE TABLE x AS SELECT 1", 1, "not a SELECT", ""},
		{"PRAGMA database_list", 1, "", ""},
		{"COPY m TO 'file'", 1, "not a SELECT", ""},
		// What it is over.
		{"SELECT 1 AS a, count(*) AS c", 1, "reads no model", ""},
		{"SELECT count(*) AS c\nFROM nope", 2, "there is no model nope", ""},
		{"SELECT count(*) AS c FROM src", 1, "there is no model src", "models"},
		{"SELECT count(*) AS c FROM main.m", 1, "there is no model m", ""},
		{"SELECT count(*) AS c FROM m,\n m AS o", 2, "a join is not possible", "report"},
		{"SELECT count(*) AS c FROM m\nJOIN m AS o ON m.id = o.id", 2, "a join is not possible", ""},
		{"SELECT count(*) AS c FROM m LEFT JOIN unnest(m.tags) AS t(x) ON true", 1, "a join is not possible", ""},
		{"SELECT count(*) AS c FROM m ASOF JOIN m o USING (id)", 1, "a join is not possible", ""},
		{"SELECT count(*) AS c FROM (SELECT * FROM m)", 1, "a subquery is not possible", "unnest"},
		{"SELECT count(*) AS c FROM m, (SELECT unnest(tags))", 1, "a subquery is not possible", ""},
		{"SELECT count(*) AS c FROM read_csv('/etc/passwd')", 1, "FROM holds read_csv", ""},
		{"SELECT count(*) AS c FROM '/etc/passwd'", 1, "there is no model /etc/passwd", ""},
		{"SELECT count(*) AS c FROM m, range(3)", 1, "FROM holds range", ""},
		{"SELECT count(*) AS c FROM duckdb_settings()", 1, "FROM holds duckdb_settings", ""},
		{"SELECT count(*) AS c FROM m TABLESAMPLE 10%", 1, "TABLESAMPLE", ""},
		{"SELECT count(*) AS c FROM m USING SAMPLE 10", 1, "USING SAMPLE", ""},
		{"SELECT count(*) AS c FROM (VALUES (1)) AS v", 1, "", ""},
		{"SELECT count(*) AS c FROM m PIVOT (count(*) FOR id IN ('a'))", 1, "", ""},
		// Its shape.
		{"WITH w AS (SELECT 1) SELECT count(*) AS c FROM m", 1, "WITH is not possible", ""},
		{"SELECT count(*) AS c FROM m UNION ALL SELECT count(*) FROM m", 1, "UNION", ""},
		{"SELECT id, count(*) AS c FROM m GROUP BY id\nHAVING count(*) > 1", 2, "HAVING", "next record"},
		{"SELECT id, count(*) AS c FROM m GROUP BY id\nORDER BY c", 2, "ORDER BY", "when you read"},
		{"SELECT id, count(*) AS c FROM m GROUP BY id\nLIMIT 3", 2, "LIMIT", ""},
		{"SELECT id, count(*) AS c FROM m GROUP BY id LIMIT 10%", 1, "LIMIT", ""},
		{"SELECT DISTINCT id FROM m", 1, "SELECT DISTINCT", "GROUP BY"},
		{"SELECT id, count(*) AS c FROM m GROUP BY id QUALIFY row_number() OVER () = 1", 1, "QUALIFY", ""},
		{"SELECT id, count(*) AS c FROM m GROUP BY ROLLUP (id)", 1, "ROLLUP", "each grouping"},
		{"SELECT id, count(*) AS c FROM m GROUP BY GROUPING SETS ((id), ())", 1, "ROLLUP", ""},
		{"SELECT id FROM m", 1, "nothing to group by", ""},
		{"SELECT 1 AS a FROM m", 1, "nothing to group by", ""},
		{"SELECT * FROM m", 1, "* and COLUMNS", ""},
		{"SELECT COLUMNS('n'), count(*) AS c FROM m GROUP BY ALL", 1, "* and COLUMNS", ""},
		{"SELECT id,\nx, count(*) AS c FROM m GROUP BY id", 2, `column "x" must appear in the GROUP BY`, ""},
		{"SELECT id, count(*) AS c FROM m GROUP BY 3", 1, "", ""},
		{"SELECT id, count(*) AS c FROM m GROUP BY c", 1, "", ""},
		{"SELECT id, (SELECT count(*) FROM m) AS c FROM m GROUP BY id", 1, "a subquery", ""},
		{"SELECT id, count(*) AS c FROM m WHERE id IN (SELECT id FROM m) GROUP BY id", 1, "a subquery", ""},
		{"SELECT id, row_number() OVER () AS c FROM m GROUP BY id", 1, "a window function", "batch"},
		{"SELECT id, count(*) OVER () AS c FROM m GROUP BY id", 1, "a window function", ""},
		{"SELECT id, count(*) AS c FROM m WHERE n = ? GROUP BY id", 1, "no parameter", ""},
		{"SELECT id, count(*) AS c FROM m WHERE #1 = 'a' GROUP BY id", 1, "", ""},
		// Its names.
		{"SELECT id, count(*) FROM m GROUP BY id", 1, "has no name", "AS name"},
		{`SELECT id, count(*) AS "a b" FROM m GROUP BY id`, 1, `"a b" is no name`, ""},
		{"SELECT id, count(*) AS _c FROM m GROUP BY id", 1, `"_c" is no name`, ""},
		{"SELECT id,\ncount(*) AS ID FROM m GROUP BY m.id", 2, "two columns are named ID", ""},
		{"SELECT nope, count(*) AS c FROM m GROUP BY ALL", 1, "there is no column nope", "id, n, x"},
		{"SELECT id, count(*) AS c FROM m WHERE _period > 0 GROUP BY id", 1, "there is no column _period", ""},
		{"SELECT id, count(*) AS c FROM m WHERE rowid > 0 GROUP BY id", 1, "there is no column rowid", ""},
		{"SELECT id, nope(n) AS c FROM m GROUP BY ALL", 1, "nope does not exist", ""},
		{"SELECT id, sum(id) AS c FROM m GROUP BY ALL", 1, "sum(VARCHAR)", ""},
		// What cannot be merged.
		{"SELECT id,\nmedian(n) AS c FROM m GROUP BY id", 2, "the aggregate median cannot be merged", "report"},
		{"SELECT id, string_agg(id) AS c FROM m GROUP BY id", 1, "string_agg cannot be merged", ""},
		{"SELECT id, arg_max(id, n) AS c FROM m GROUP BY id", 1, "arg_max cannot be merged", ""},
		{"SELECT id, first(n) AS c FROM m GROUP BY id", 1, "first cannot be merged", ""},
		{"SELECT id, any_value(n) AS c FROM m GROUP BY id", 1, "any_value cannot be merged", ""},
		{"SELECT id, list(n) AS c FROM m GROUP BY id", 1, "list cannot be merged", ""},
		{"SELECT id, stddev(n) AS c FROM m GROUP BY id", 1, "stddev cannot be merged", ""},
		{"SELECT id, quantile_cont(n, 0.5) AS c FROM m GROUP BY id", 1, "quantile_cont cannot be merged", ""},
		{"SELECT id, approx_count_distinct(n) AS c FROM m GROUP BY id", 1, "approx_count_distinct cannot be merged", ""},
		{"SELECT id, max(n, 2) AS c FROM m GROUP BY id", 1, "max cannot be merged", ""},
		{"SELECT id, sum(DISTINCT n) AS c FROM m GROUP BY id", 1, "sum(DISTINCT …) cannot be merged", ""},
		{"SELECT id, avg(DISTINCT n) AS c FROM m GROUP BY id", 1, "avg(DISTINCT …) cannot be merged", ""},
		{"SELECT id, sum(n ORDER BY n) AS c FROM m GROUP BY id", 1, "ORDER BY in an aggregate", ""},
		{"SELECT id, weighted_avg(n, n) AS c FROM m GROUP BY id", 1, "weighted_avg cannot be merged", ""},
		{"SELECT id, product(n) AS c FROM m GROUP BY id", 1, "product cannot be merged", ""},
		{"SELECT id, count(*) AS c FROM m\nWHERE b AND 'a' GROUP BY id", 1, "Could not convert string 'a' to BOOL", ""},
		// What is not exact.
		{"SELECT id,\nsum(x) AS c FROM m GROUP BY id", 2, "a sum over DOUBLE depends on the order", "DECIMAL"},
		{"SELECT id, avg(x) AS c FROM m GROUP BY id", 1, "a sum over DOUBLE", ""},
		{"SELECT id, sum(x::FLOAT) AS c FROM m GROUP BY id", 1, "a sum over FLOAT", ""},
		{"SELECT id, sum(n / 2) AS c FROM m GROUP BY id", 1, "a sum over DOUBLE", ""},
		{"SELECT id, sum(wide) AS c FROM m GROUP BY id", 1, "a sum over DECIMAL(38,2) can overflow", "DECIMAL(26,2)"},
		{"SELECT id, sum(huge) AS c FROM m GROUP BY id", 1, "a sum over HUGEINT can overflow", "BIGINT"},
		{"SELECT id, max(x) * 2 AS c FROM m GROUP BY id", 1, "arithmetic over DOUBLE is not exact", "DECIMAL"},
		{"SELECT id, count(*) * 1e-20 AS c FROM m GROUP BY id", 1, "is a DOUBLE", "decimal"},
		{"SELECT id, sqrt(count(*)) AS c FROM m GROUP BY id", 1, "sqrt over aggregates", "round"},
		{"SELECT id, count(*) || 'x' AS c FROM m GROUP BY id", 1, "|| over aggregates", ""},
		{"SELECT id, count(*)::VARCHAR AS c FROM m GROUP BY id", 1, "a cast to VARCHAR", ""},
		{"SELECT id, round(count(*) / 3, -1) AS c FROM m GROUP BY id", 1, "round to this many decimals", "0 to 18"},
		{"SELECT id, round(sum(n) / 3, count(*)) AS c FROM m GROUP BY id", 1, "No function matches", ""},
		{"SELECT id, sum(d) // 3 AS c FROM m GROUP BY id", 1, "// is for integers", "floor"},
		{"SELECT id, (sum(n) / 3) % 2 AS c FROM m GROUP BY id", 1, "the remainder of a quotient", ""},
		{"SELECT id, coalesce(max(id), count(*)) AS c FROM m GROUP BY id", 1, "", ""},
		{"SELECT id, max(ts) + INTERVAL 1 day AS c FROM m GROUP BY id", 1, "arithmetic over TIMESTAMPTZ", ""},
		{"SELECT id, CASE WHEN count(*) THEN 1 ELSE 0 END AS c FROM m GROUP BY id", 1, "is not a condition", ""},
		// What cannot be a dimension, a value of a set or an extreme.
		{"SELECT tags, count(*) AS c FROM m GROUP BY tags", 1, "the dimension is VARCHAR[]", "cast"},
		{"SELECT {'a': id} AS s, count(*) AS c FROM m GROUP BY ALL", 1, "the dimension is STRUCT", ""},
		{"SELECT count(*) AS c FROM m GROUP BY ts - ts", 1, "the dimension is INTERVAL", ""},
		{"SELECT id, count(DISTINCT tags) AS c FROM m GROUP BY id", 1, "what is counted is VARCHAR[]", ""},
		{"SELECT id, max(tags) AS c FROM m GROUP BY id", 1, "what max is of is VARCHAR[]", ""},
		{"SELECT id COLLATE nocase AS id, count(*) AS c FROM m GROUP BY ALL", 1, "COLLATE", "lower"},
		{"SELECT unnest(tags) AS t, count(*) AS c FROM m GROUP BY t", 1, "unnest makes several rows", "unnest(list) AS t(item)"},
		{"SELECT id, max(CAST(id AS ENUM('b', 'a'))) AS c FROM m GROUP BY id", 1, "is an ENUM", "VARCHAR"},
		{"SELECT id, count(*) AS c FROM m AS r(id) GROUP BY id", 1, "a list of column names", "select list"},
		// What is not a function of the records.
		{"SELECT id, count(*) AS c FROM m\nWHERE ts > now() GROUP BY id", 2, "now is not a function of the record", "_timestamp"},
		{"SELECT id, count(*) AS c FROM m WHERE ts > current_timestamp GROUP BY id", 1, "current_timestamp is not a function", ""},
		{"SELECT current_date AS d, count(*) AS c FROM m GROUP BY ALL", 1, "current_date is not a function", ""},
		{"SELECT today() AS d, count(*) AS c FROM m GROUP BY ALL", 1, "today is not a function", ""},
		{"SELECT age(ts) AS d, count(*) AS c FROM m GROUP BY ALL", 1, "age is not a function", ""},
		{"SELECT ago(INTERVAL 1 day) AS d, count(*) AS c FROM m GROUP BY ALL", 1, "ago is not a function", ""},
		{"SELECT id, count(*) FILTER (random() > 0.5) AS c FROM m GROUP BY id", 1, "random is not a function", ""},
		{"SELECT id, sum((random() * 10)::INTEGER) AS c FROM m GROUP BY id", 1, "random is not a function", ""},
		{"SELECT uuid() AS u, count(*) AS c FROM m GROUP BY ALL", 1, "uuid is not a function", ""},
		{"SELECT uuidv7() AS u, count(*) AS c FROM m GROUP BY ALL", 1, "uuidv7 is not a function", ""},
		{"SELECT nextval('s') AS u, count(*) AS c FROM m GROUP BY ALL", 1, "nextval is not a function", ""},
		{"SELECT current_setting('threads') AS u, count(*) AS c FROM m GROUP BY ALL", 1, "current_setting is not a function", ""},
		{"SELECT getvariable('v') AS u, count(*) AS c FROM m GROUP BY ALL", 1, "getvariable is not a function", ""},
		{"SELECT version() AS u, count(*) AS c FROM m GROUP BY ALL", 1, "version is not a function", ""},
		{"SELECT current_user AS u, count(*) AS c FROM m GROUP BY ALL", 1, "current_user is not a function", ""},
		{"SELECT list_transform(tags, lambda t: t || random())[1] AS u, count(*) AS c FROM m GROUP BY ALL", 1, "random is not a function", ""},
		{"SELECT error('x') AS u, count(*) AS c FROM m GROUP BY ALL", 1, "error is not a function", ""},
	}
	d := trial(trialModel, "")
	d.Metrics = nil
	for i, c := range cases {
		d.Metrics = append(d.Metrics, pinflow.Script{Name: fmt.Sprintf("k%d", i), File: fmt.Sprint(i), SQL: c.sql})
	}
	checkRefused(t, d, cases)
}

func TestRefusedModels(t *testing.T) {
	cases := []refusal{
		{"SELECT\nid FROM\nsrc WHERE (", 3, "syntax error", ""},
		{"SELECT id FROM src, src AS o", 1, "a join", ""},
		{"SELECT id FROM other", 1, "the model reads other", "FROM src"},
		{"SELECT id FROM read_json('x.json')", 1, "reads its source src and nothing else", ""},
		{"SELECT id FROM (SELECT * FROM src)", 1, "reads its source src and nothing else", ""},
		{"SELECT a FROM src AS s(a)", 1, "a list of column names", "select list"},
		{"SELECT 1 AS a", 1, "reads its source src and nothing else", ""},
		{"SELECT id FROM src\nWHERE n > 0", 2, "WHERE is not possible in a model", "_reject"},
		{"SELECT id FROM src\nGROUP BY id", 2, "GROUP BY is not possible in a model", ""},
		{"SELECT id FROM src GROUP BY ALL", 1, "GROUP BY is not possible in a model", ""},
		{"SELECT id, count(*) AS c FROM src", 1, "the aggregate count_star is not possible", "metric"},
		{"SELECT sum(n) AS s FROM src", 1, "the aggregate sum", ""},
		{"SELECT DISTINCT id FROM src", 1, "SELECT DISTINCT", ""},
		{"SELECT id FROM src ORDER BY id", 1, "ORDER BY", ""},
		{"SELECT id FROM src LIMIT 1", 1, "LIMIT", ""},
		{"SELECT id FROM src UNION ALL SELECT id FROM src", 1, "UNION", ""},
		{"WITH a AS (SELECT 1) SELECT id FROM src", 1, "WITH", ""},
		{"SELECT id,\nrow_number() OVER () AS r FROM src", 2, "a window function", ""},
		{"SELECT unnest(tags) AS t FROM src", 1, "unnest makes several rows", "keeps the list"},
		{"SELECT regexp_split_to_table(id, ',') AS t FROM src", 1, "regexp_split_to_table makes several rows", ""},
		{"SELECT (SELECT 1) AS a FROM src", 1, "a subquery", ""},
		{"SELECT id, now() AS t FROM src", 1, "now is not a function", ""},
		{"SELECT id, current_date AS t FROM src", 1, "current_date is not a function", ""},
		{"SELECT id, uuid() AS t FROM src", 1, "uuid is not a function", ""},
		{"SELECT id, n + 1 FROM src", 1, "has no name", ""},
		{"SELECT id, n AS ID FROM src", 1, "two columns are named ID", ""},
		{"SELECT id, n AS _period FROM src", 1, `"_period" is no name`, ""},
		{"SELECT id, n AS _offset FROM src", 1, "_offset is not the source's", ""},
		{"SELECT id, 0 AS _partition FROM src", 1, "_partition is not the source's", ""},
		{"SELECT id, nope FROM src", 1, "there is no column nope", "id, n, x, b, tags"},
		{"SELECT id, n + b AS c FROM src", 1, "", ""},
		{"SELECT id, CAST('one' AS INTEGER) AS c FROM src", 1, "Could not convert string 'one'", ""},
		{"SELECT id, {'a': n} AS c FROM src", 1, "the column c is STRUCT(a BIGINT)", "to_json"},
		{"SELECT id, INTERVAL 1 day AS c FROM src", 1, "the column c is INTERVAL", ""},
		{"SELECT id, n > 0 AS _reject FROM src", 1, "_reject is BOOLEAN", "reason"},
		{"SELECT COLUMNS('i.*') FROM src", 1, "this kind of *", ""},
		{"SELECT * REPLACE (1 AS n) FROM src", 1, "this kind of *", ""},
		{"SELECT id, ? AS c FROM src", 1, "no parameter", ""},
	}
	d := trial("", "")
	d.Models, d.Metrics = nil, nil
	for i, c := range cases {
		d.Models = append(d.Models, pinflow.ModelScript{Script: pinflow.Script{Name: fmt.Sprintf("m%d", i), File: fmt.Sprint(i), SQL: c.sql}, From: "src"})
	}
	checkRefused(t, d, cases)
}

// TestRefusedKeys: what makes a model an entity, and what its metrics cannot take back.
func TestRefusedKeys(t *testing.T) {
	type keyed struct {
		refusal
		from string // the source
		key  []string
		keep string
		rows string
	}
	cases := []keyed{
		{refusal{"SELECT id FROM src", 0, "the source src has no key", "partition"}, "src", []string{"id"}, "latest", ""},
		{refusal{"SELECT id, n FROM by_id", 0, "does not have the key id of its source", "name it in key too"}, "by_id", []string{"n"}, "latest", ""},
		{refusal{"SELECT lower(id) AS id, n FROM by_id", 0, "does not have the key id of its source", "as it is"}, "by_id", []string{"id"}, "latest", ""},
		{refusal{"SELECT id || '' AS id, n FROM by_id", 0, "does not have the key id of its source", "as it is"}, "by_id", []string{"id", "n"}, "first", ""},
		{refusal{"SELECT n FROM by_id", 0, "the key column id is no column of the model m4", "yields"}, "by_id", []string{"id"}, "latest", ""},
		{refusal{"SELECT id FROM by_id", 0, "the key of the model m5 has the column ID twice", ""}, "by_id", []string{"id", "ID"}, "latest", ""},
		{refusal{"SELECT id, NULL AS _reject FROM by_id", 0, "the key column _reject is no column", ""}, "by_id", []string{"id", "_reject"}, "latest", ""},
		{refusal{"SELECT id FROM by_id", 0, `keep of the model m7 cannot be "last"`, "latest"}, "by_id", []string{"id"}, "last", ""},
		{refusal{"SELECT id FROM by_id", 0, `keep of the model m8 cannot be ""`, "latest"}, "by_id", []string{"id"}, "", ""},
		{refusal{"SELECT id FROM by_id", 0, "the model m9 has keep but no key", ""}, "by_id", nil, "latest", ""},
		{refusal{"SELECT id FROM by_id", 0, "rows of the model m10, which has a key, cannot be recent", "Leave rows out"}, "by_id", []string{"id"}, "latest", "recent"},
		{refusal{"SELECT id,\n x FROM by_id", 2, "the key column x is DOUBLE", "cast"}, "by_id", []string{"id", "x"}, "latest", ""},
		{refusal{"SELECT id,\n tags FROM by_id", 2, "the key column tags is VARCHAR[]", "cast"}, "by_id", []string{"id", "tags"}, "latest", ""},
		{refusal{"SELECT x FROM by_x", 0, "the key x of source by_x is DOUBLE", "integer"}, "by_x", []string{"x"}, "latest", ""},
		{refusal{"SELECT o FROM by_o", 0, "the key o of source by_o is JSON", "integer"}, "by_o", []string{"o"}, "latest", ""},
		{refusal{"SELECT id,\n_home AS at FROM by_id", 2, "there is no column _home", "id, n"}, "by_id", []string{"id"}, "latest", ""},
		{refusal{"SELECT id,\nby_id._home AS home FROM by_id", 2, "there is no column by_id._home", ""}, "by_id", []string{"id"}, "latest", ""},
		{refusal{"SELECT id, 1 AS a, CASE WHEN\n _home > 1 THEN 'x' END AS _reject FROM by_id", 2, "there is no column _home", ""}, "by_id", nil, "", ""},
	}
	d := trial("", "")
	d.Models, d.Metrics = nil, nil
	for _, name := range []string{"id", "x", "o"} {
		s := d.Sources[0]
		s.Name, s.Topic, s.Key, s.Partitions = "by_"+name, name, name, 3
		d.Sources = append(d.Sources, s)
	}
	refusals := make([]refusal, len(cases))
	for i, c := range cases {
		refusals[i] = c.refusal
		d.Models = append(d.Models, pinflow.ModelScript{Script: pinflow.Script{Name: fmt.Sprintf("m%d", i), File: fmt.Sprint(i), SQL: c.sql}, From: c.from, Key: c.key, Keep: c.keep, Rows: c.rows})
	}
	checkRefused(t, d, refusals)

	metrics := []refusal{
		{"SELECT max(n) AS c FROM m", 1, "max over the model m cannot be taken back", "report"},
		{"SELECT id,\nround(min(n) / 2, 1) AS c FROM m GROUP BY id", 2, "min over the model m", "report"},
		{"SELECT bool_and(b) AS c FROM m", 1, "bool_and over the model m", "report"},
		{"SELECT bool_or(b) AS c FROM m AS r", 1, "bool_or over the model m", "report"},
		{"SELECT max(tag) AS c FROM m, unnest(tags) AS t(tag)", 1, "max over the model m", "report"},
		{"SELECT count(*) AS c FROM m WHERE _sign > 0", 1, "there is no column _sign", ""},
		{"SELECT count(*) AS c FROM m WHERE m._sign > 0", 1, "there is no column m._sign", ""},
		{"SELECT median(n) AS c FROM m", 1, "the aggregate median cannot be merged", "report"},
		{"SELECT sum(x) AS c FROM m", 1, "a sum over DOUBLE", ""},
	}
	d = trial(trialModel, "")
	d.Sources[0].Key, d.Models[0].Key, d.Models[0].Keep, d.Metrics = "id", []string{"id"}, "first", nil
	for i, c := range metrics {
		d.Metrics = append(d.Metrics, pinflow.Script{Name: fmt.Sprintf("k%d", i), File: fmt.Sprint(i), SQL: c.sql})
	}
	checkRefused(t, d, metrics)
}

// TestHiddenColumnIsNobodysProperty: a source's hidden column cannot be the schema's too.
func TestHiddenColumnIsNobodysProperty(t *testing.T) {
	d := trial("SELECT id FROM src", "SELECT count(*) AS c FROM m")
	d.Sources[0].Schema = []byte(strings.Replace(trialSchema, `"id"`, `"_Home": {"type": "integer"}, "id"`, 1))
	_, faults, err := plan.Compile(t.Context(), d)
	if err != nil || len(faults) != 1 || !strings.Contains(faults[0].Message, "the property _Home") {
		t.Errorf("%v %v", faults, err)
	}
}

func TestAcceptedMetrics(t *testing.T) {
	d := trial(trialModel, "")
	d.Metrics = nil
	for i, sql := range []string{
		"SELECT id, count(*) AS c FROM m GROUP BY 1",
		"SELECT upper(id) AS id, count(*) AS c FROM m GROUP BY upper(id)",
		"SELECT id AS who, count(*) AS c FROM m AS r WHERE r.n > 0 GROUP BY who",
		"select M.ID, COUNT(*) as C from M group by all;",
		"SELECT count(*) AS c FROM m GROUP BY id",
		"SELECT id, n % 2 AS odd FROM m GROUP BY ALL",
		"SELECT count(*) AS c, c * 2 AS twice, round(twice / 3, 1) AS rounded FROM m",
		"SELECT id, upper(id) AS up, length(id) * count(*) AS letters FROM m GROUP BY id",
		"SELECT id, ts::DATE AS day, extract(hour FROM ts) AS hour, count(*) AS c FROM m GROUP BY ALL",
		"SELECT t.tag, s.other, count(*) AS c FROM m, unnest(tags) AS t(tag), unnest(list_distinct(m.tags)) AS s(other) GROUP BY ALL",
		"SELECT tag, count(*) AS c FROM m CROSS JOIN unnest(tags) AS tag GROUP BY tag",
		"SELECT x, count(*) AS c, max(x) AS top, coalesce(max(x), min(x)) AS any FROM m GROUP BY x",
		"SELECT b, CASE WHEN b THEN 'yes' ELSE 'no' END AS said, CASE WHEN b THEN count(*) END AS c FROM m GROUP BY b",
		"SELECT id, CASE count(*) WHEN 1 THEN 'one' WHEN 2 THEN 'two' END AS c FROM m GROUP BY id",
		"SELECT id, max(ts) > '2026-01-01' AS late, max(id) NOT IN ('a', 'b') AS other FROM m GROUP BY id",
		"SELECT id, count(*) FILTER (n > 0) FILTER_ME FROM m GROUP BY id",
		"SELECT list_transform(tags, lambda t: upper(t))[1] AS first_tag, count(*) AS c FROM m GROUP BY ALL",
		"SELECT o ->> 'a' AS a, o->'b'->>'c' AS c, count(*) AS n FROM m GROUP BY ALL",
		"SELECT _partition, max(_offset) AS last FROM m GROUP BY _partition",
		"SELECT id, nullif(count(*), 0) AS c, greatest(count(*), sum(n), 1.5) AS g, least(max(id), 'z') AS l FROM m GROUP BY id",
		"SELECT id, NULL AS nothing, 'x' AS label, 1.50 AS price, count(*) AS c FROM m GROUP BY id",
		"SELECT id, min(DISTINCT n) AS c, mean(n) AS d, count() AS e FROM m GROUP BY id",
		"SELECT id, sum(n) IS NULL AS none, sum(n) IS NOT DISTINCT FROM 1 AS one FROM m GROUP BY id",
		"SELECT id, sum(CASE WHEN b THEN n ELSE 0 END) AS c, sum(n::DECIMAL(12, 4) * 2) AS d FROM m GROUP BY id",
	} {
		d.Metrics = append(d.Metrics, pinflow.Script{Name: fmt.Sprintf("k%d", i), File: sql, SQL: sql})
	}
	compile(t, d)
}

// TestEveryFaultAtOnce: each file's faults are told, and what reads a broken one is not told of for that.
func TestEveryFaultAtOnce(t *testing.T) {
	d := trial(trialModel, "SELECT median(n) AS a, string_agg(id) AS b FROM m GROUP BY nope")
	d.Sources = append(d.Sources, pinflow.Source{Name: "broken", Schema: []byte("{\n}"), SchemaFile: "broken.json"}, pinflow.Source{Name: "none", SchemaFile: "none.json"})
	script := func(name, sql string) pinflow.Script {
		return pinflow.Script{Name: name, File: name + ".sql", SQL: sql}
	}
	d.Models = append(d.Models,
		pinflow.ModelScript{Script: script("over_broken", "SELECT a FROM broken"), From: "broken"},
		pinflow.ModelScript{Script: script("where_broken", "SELECT a FROM none\nWHERE a"), From: "none"},
		pinflow.ModelScript{Script: script("two", "-- ünïcödé: ÄÖÜäöü\nSELECT random() AS r,\nnow() AS n,\n nope FROM src"), From: "src"},
		pinflow.ModelScript{Script: script("nowhere", "SELECT 1"), From: "nowhere"},
		pinflow.ModelScript{Script: script("keyed", "SELECT id FROM src"), From: "src", Key: []string{"id"}, Keep: "latest"})
	d.Metrics = append(d.Metrics, script("fine", "SELECT count(*) AS c FROM m"), script("over_two", "SELECT count(nope) AS c FROM two"),
		script("m", "SELECT count(*) AS c FROM m"), script("Bad__Name", "SELECT count(*) AS c FROM m"), script("rejects", "SELECT count(*) AS c FROM m"))
	_, faults, err := plan.Compile(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range faults {
		text, _, _ := strings.Cut(f.String(), " (")
		got = append(got, text)
	}
	want := []string{
		"broken.json:1: the schema has no properties", "none.json: the source none has no schema",
		"m.sql: the name m is taken", "Bad__Name.sql: Bad__Name is no name for a metric", "rejects.sql: the name rejects is taken",
		"where_broken.sql:2: WHERE is not possible in a model",
		"two.sql:2: random is not a function of the record", "two.sql:3: now is not a function of the record", "two.sql:4: there is no column nope",
		"nowhere.sql: there is no source nowhere", "keyed.sql: the source src has no key",
		"k.sql:1: there is no column nope",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\n\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestReports(t *testing.T) {
	d := trial(trialModel, "SELECT id, count(*) AS c FROM m GROUP BY id")
	d.Models = append(d.Models, pinflow.ModelScript{Script: pinflow.Script{Name: "gone", File: "gone.sql", SQL: "SELECT id FROM src"}, From: "src", Rows: "none"},
		pinflow.ModelScript{Script: pinflow.Script{Name: "kept", File: "kept.sql", SQL: "SELECT id FROM src"}, From: "src", Rows: "recent"})
	report := func(name, sql string) {
		d.Reports = append(d.Reports, pinflow.Script{Name: name, File: name + ".sql", SQL: sql, Description: "What " + name + " says."})
	}
	good := map[string]string{
		"fine":     "WITH w AS (SELECT median(n) AS n FROM m) SELECT k.id, r.reason FROM k, w, rejects AS r ORDER BY k.c DESC LIMIT 3",
		"named":    "WITH gone AS (SELECT id FROM kept) SELECT id FROM gone ORDER BY id",
		"nested":   "SELECT n FROM (WITH Gone AS (SELECT 1 AS n) SELECT n FROM gone) ORDER BY n",
		"from":     "FROM k SELECT id",
		"combined": "SELECT id FROM m UNION SELECT id FROM kept ORDER BY id",
	}
	for name, sql := range good {
		report(name, sql)
	}
	report("cut", "-- Cut.\nSELECT ';' AS a, count(*)::UBIGINT AS big, '1'::JSON AS j FROM m; -- and; more\n")
	p := compile(t, d)
	for _, r := range p.Reports {
		if r.Description != "What "+r.Name+" says." {
			t.Errorf("%+v", r)
		}
		if want, ok := good[r.Name]; ok && r.SQL != want {
			t.Errorf("%s has become %s", want, r.SQL)
		}
	}
	cut := p.Reports[len(p.Reports)-1]
	if want := []pinflow.Column{{Name: "a", Type: "VARCHAR"}, {Name: "big", Type: "HUGEINT"}, {Name: "j", Type: "VARCHAR"}}; !slices.Equal(cut.Columns, want) {
		t.Errorf("%v", cut.Columns)
	}
	w := newWorld(t, 0, p)
	w.exec("CREATE TABLE m (id VARCHAR)")
	if got := w.mustRows("SELECT *, typeof(big), typeof(j) FROM (" + cut.SQL + "\n)"); !slices.Equal(got[0], []string{";", "0", "1", "HUGEINT", "VARCHAR"}) {
		t.Errorf("%s: %v", cut.SQL, got)
	}

	d.Reports = nil
	report("source", "SELECT id\nFROM src")
	report("column", "SELECT nope FROM k")
	report("write", "DELETE FROM m")
	report("m", "SELECT 1")
	_, faults, err := plan.Compile(t.Context(), d)
	if err != nil || len(faults) != 2 || faults[0].File != "m.sql" || faults[1].File != "write.sql" {
		t.Errorf("%v %v", faults, err)
	}
	d.Reports = d.Reports[:2]
	report("none", "SELECT id FROM m WHERE id IN (SELECT id\nFROM Gone)")
	report("unnamed", "SELECT count(*) FROM m")
	report("twice", "SELECT id, id AS ID FROM m")
	report("struct", "SELECT {'a': id} AS s FROM m")
	_, faults, err = plan.Compile(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"source.sql:2: Table with name src", "column.sql:1: ", "none.sql:2: the model gone keeps no rows", `unnamed.sql:1: "count_star()" is no name`, "twice.sql:1: two columns are named ID", "struct.sql:1: the column s is STRUCT"} {
		if len(faults) != 6 || !strings.HasPrefix(faults[i].String(), want) {
			t.Errorf("got %v, want %s", faults, want)
		}
	}
}

// TestFaultsOfSharedCleaningAreToldOnce: two models of one file have its faults in common.
func TestFaultsOfSharedCleaningAreToldOnce(t *testing.T) {
	d := trial("SELECT id,\nnope FROM src", "SELECT count(*) AS c FROM m")
	other := d.Models[0]
	other.Name = "other"
	d.Models = append(d.Models, other)
	_, faults, err := plan.Compile(t.Context(), d)
	if err != nil || len(faults) != 1 {
		t.Errorf("%v %v", faults, err)
	}
}

// TestGenerationNamesWhatDecidesNumbers: not comments, layout or descriptions.
func TestGenerationNamesWhatDecidesNumbers(t *testing.T) {
	of := func(change func(*pinflow.Definition)) string {
		d := trial(trialModel, "SELECT id, count(*) AS c FROM m GROUP BY id")
		change(d)
		return compile(t, d).Generation
	}
	base := of(func(*pinflow.Definition) {})
	for name, change := range map[string]func(*pinflow.Definition){
		"comment": func(d *pinflow.Definition) {
			d.Metrics[0].SQL = "-- Counts.\nselect  id, count(*)  as c\nfrom m group by all;"
		},
		"description": func(d *pinflow.Definition) { d.Metrics[0].Description, d.Sources[0].Description = "x", "y" },
		"reports": func(d *pinflow.Definition) {
			d.Reports = []pinflow.Script{{Name: "r", File: "r.sql", SQL: "SELECT id FROM m"}}
		},
		"files": func(d *pinflow.Definition) {
			d.Metrics[0].File, d.Models[0].File, d.Sources[0].SchemaFile = "x", "y", "z"
		},
		"route": func(d *pinflow.Definition) { d.Sources[0].Route, d.Sources[0].Operation = "/x/", "Post it" },
		"layout": func(d *pinflow.Definition) {
			d.Sources[0].Schema = []byte(strings.ReplaceAll(trialSchema, ", ", ",\n  "))
		},
	} {
		if got := of(change); got != base {
			t.Errorf("%s changes the generation from %s to %s", name, base, got)
		}
	}
	seen := map[string]string{base: "base"}
	for name, change := range map[string]func(*pinflow.Definition){
		"metric": func(d *pinflow.Definition) { d.Metrics[0].SQL = "SELECT id, count(n) AS c FROM m GROUP BY id" },
		"name":   func(d *pinflow.Definition) { d.Metrics[0].Name = "other" },
		"model": func(d *pinflow.Definition) {
			d.Models[0].SQL = strings.Replace(trialModel, "id, n, ", "id, n + 1 AS n, ", 1)
		},
		"rows":       func(d *pinflow.Definition) { d.Models[0].Rows = "recent" },
		"topic":      func(d *pinflow.Definition) { d.Sources[0].Topic = "u" },
		"partitions": func(d *pinflow.Definition) { d.Sources[0].Partitions = 2 },
		"key":        func(d *pinflow.Definition) { d.Sources[0].Key = "id" },
		"entity": func(d *pinflow.Definition) {
			d.Sources[0].Key, d.Models[0].Key, d.Models[0].Keep = "id", []string{"id"}, "latest"
		},
		"keep": func(d *pinflow.Definition) {
			d.Sources[0].Key, d.Models[0].Key, d.Models[0].Keep = "id", []string{"id"}, "first"
		},
		"schema": func(d *pinflow.Definition) {
			d.Sources[0].Schema = []byte(strings.Replace(trialSchema, `{"properties"`, `{"required": ["id"], "properties"`, 1))
		},
		"pipeline": func(d *pinflow.Definition) { d.Name = "other" },
	} {
		got := of(change)
		if other, ok := seen[got]; ok {
			t.Errorf("%s has the generation of %s", name, other)
		}
		seen[got] = name
	}
}
