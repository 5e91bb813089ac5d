package readonly

import (
	"database/sql"
	"slices"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
)

// TestReads holds what is found to be read against what DuckDB needs: with the columns that were found, and no others, a statement
// binds, to the same columns.
func TestReads(t *testing.T) {
	columns := []pinflow.Column{{Name: "a", Type: "INTEGER"}, {Name: "b", Type: "INTEGER"}, {Name: "C d", Type: "VARCHAR"}}
	for statement, want := range map[string]string{
		"SELECT a FROM t":                                  "t(a)",
		"SELECT count(*) FROM t":                           "t()",
		"SELECT A + \"c D\"::INT FROM t":                   "t(a,C d)",
		"SELECT * FROM t":                                  "t(a,b,C d)",
		"FROM t":                                           "t(a,b,C d)",
		"TABLE t":                                          "t(a,b,C d)",
		"SELECT t FROM t":                                  "t(a,b,C d)",
		"SELECT x FROM t AS x":                             "t(a,b,C d)",
		"SELECT x.a FROM t AS x":                           "t(a)",
		"SELECT COLUMNS('a') FROM t":                       "t(a,b,C d)",
		"SELECT x FROM t AS r(x)":                          "t(a,b,C d)",
		"SELECT #1 FROM t":                                 "t(a,b,C d)",
		"SELECT t.a FROM main.t JOIN u USING (b)":          "t(a,b) u(a,b)",
		"SELECT 1 FROM t NATURAL JOIN u":                   "t(a,b,C d) u(a,b,C d)",
		"SELECT u.* FROM t JOIN u ON t.a = u.b":            "t(a,b,C d) u(a,b,C d)",
		"SELECT * FROM (SELECT a FROM t)":                  "t(a)",
		"WITH x AS (SELECT a FROM t) SELECT * FROM x":      "t(a)",
		"SELECT * FROM (SELECT a FROM t) JOIN u USING (a)": "t(a) u(a,b,C d)",
		"SELECT a FROM t WHERE EXISTS (SELECT * FROM u WHERE u.a = t.b)":       "t(a,b) u(a,b,C d)",
		"SELECT a FROM t UNION BY NAME SELECT b FROM u ORDER BY b":             "t(a,b) u(a,b)",
		"SELECT (SELECT max(b) FROM u) FROM t":                                 "t(b) u(b)",
		"SELECT sum(a) OVER (PARTITION BY b ORDER BY \"c d\") FROM t":          "t(a,b,C d)",
		"SELECT a FROM t QUALIFY row_number() OVER (ORDER BY b) = 1":           "t(a,b)",
		"SELECT a FROM t GROUP BY ALL HAVING max(b) > 1 ORDER BY max(\"C d\")": "t(a,b,C d)",
		"SELECT list_transform([1], lambda z: z + b) FROM t":                   "t(b)",
		"SELECT a FROM t, LATERAL (SELECT b + 1 AS z) AS l":                    "t(a,b)",
		"SUMMARIZE t":                           "t(a,b,C d)",
		"DESCRIBE t":                            "catalog",
		"SHOW TABLES":                           "catalog",
		"SELECT count(*) FROM duckdb_columns()": "catalog",
		"SELECT count(*) FROM information_schema.tables": "catalog",
		"SELECT 1":                          "",
		"SELECT * FROM (UNPIVOT t ON a, b)": "t(a,b,C d)",
		"SELECT * FROM (PIVOT t ON a IN (1, 2) USING sum(b))":                                                       "t(a,b,C d)",
		"WITH RECURSIVE r AS (SELECT a FROM t UNION ALL SELECT r.a + 1 FROM r JOIN u ON u.b = r.a) SELECT a FROM r": "t(a,b) u(a,b)",
	} {
		db, err := sql.Open("duckdb", "")
		if err != nil {
			t.Fatal(err)
		}
		_, reads, err := Select(t.Context(), db, statement)
		if err != nil {
			t.Errorf("%s: %v", statement, err)
			continue
		}
		got := ""
		make := func(table string, columns []pinflow.Column) {
			list := "nothing BOOLEAN"
			for _, c := range columns {
				list += `, "` + c.Name + `" ` + c.Type
			}
			if _, err := db.Exec("CREATE TABLE " + table + " (" + list + ")"); err != nil {
				t.Fatal(err)
			}
		}
		for _, table := range []string{"t", "u"} {
			if !reads.Table(table) {
				continue
			}
			found := reads.Columns(table, columns)
			names := ""
			for _, c := range found {
				names += "," + c.Name
			}
			got += " " + table + "(" + names[min(1, len(names)):] + ")"
			if !slices.Equal(found, columns) {
				make(table, found)
			} else if _, err := db.Exec(`CREATE TABLE ` + table + ` (a INTEGER, b INTEGER, "C d" VARCHAR)`); err != nil {
				t.Fatal(err)
			}
		}
		if reads.Catalog {
			got += " catalog"
			make("t", columns)
		}
		if got[min(1, len(got)):] != want {
			t.Errorf("%s reads%s, want %s", statement, got, want)
		}
		if _, err := Describe(t.Context(), db, "("+statement+") AS q"); err != nil {
			t.Errorf("%s with no other columns: %v", statement, err)
		}
		_ = db.Close()
	}
}
