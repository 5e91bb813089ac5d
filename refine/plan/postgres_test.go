package plan_test

import (
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/internal/realtest"
	"github.com/pinflow/pinflow/pipelines/pipelinetest"
)

// postgres is a real server, spoken to by way of its own psql.
type postgres struct {
	t      *testing.T
	script string
	dir    string
	schema string
}

func newPostgres(t *testing.T) *postgres {
	t.Helper()
	p := &postgres{t: t, script: realtest.Service(t, "postgres.sh", "start"), dir: t.TempDir(), schema: fmt.Sprintf("plan_test_%d", os.Getpid())}
	p.run("DROP SCHEMA IF EXISTS " + p.schema + " CASCADE; CREATE SCHEMA " + p.schema)
	t.Cleanup(func() { p.run("DROP SCHEMA IF EXISTS " + p.schema + " CASCADE") })
	return p
}

func (p *postgres) run(script string) {
	p.t.Helper()
	file := filepath.Join(p.dir, "script.sql")
	if err := os.WriteFile(file, []byte("SET client_min_messages = warning; SET timezone = 'UTC';\n"+script), 0o600); err != nil {
		p.t.Fatal(err)
	}
	// The context of a test has ended when its cleanup runs.
	if out, err := exec.Command("bash", p.script, "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", file).CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s\n%s", err, out, script)
	}
}

// rows returns a query's rows as w.rows does.
func (p *postgres) rows(query string, columns []pinflow.Column) (all [][]string) {
	p.t.Helper()
	var list []string
	for _, c := range columns {
		list = append(list, duck.Quote(c.Name)+"::text")
	}
	file := filepath.Join(p.dir, "rows.csv")
	p.run(`\copy (SELECT ` + strings.Join(list, ", ") + " FROM (" + query + ") AS q) TO '" + file + "' WITH (FORMAT csv, NULL '∅', FORCE_QUOTE *)")
	f, err := os.Open(file)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	all, err = csv.NewReader(f).ReadAll()
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

// postgresTypes is how a store would hold what the plan's tables hold, where the order of text is not that of its bytes.
var postgresTypes = strings.NewReplacer("HUGEINT", "numeric(39)", "VARCHAR", `text COLLATE "und-x-icu"`, "DOUBLE", "double precision")

// copyTable takes a table of a generation over from DuckDB.
func (p *postgres) copyTable(w *world, generation string, t *pinflow.Table) {
	p.t.Helper()
	columns := []string{`"_period" bigint`, `"_shard" integer`}
	for _, c := range t.Keys {
		columns = append(columns, duck.Quote(c.Name)+" "+postgresTypes.Replace(c.Type))
	}
	for _, c := range t.Measures {
		columns = append(columns, duck.Quote(c.Name)+" "+postgresTypes.Replace(c.Type))
	}
	file := filepath.Join(p.dir, "table.csv")
	w.exec("COPY " + generation + "." + duck.Quote(t.Name) + " TO " + duck.Literal(file) + " (FORMAT csv, HEADER false, NULLSTR '∅')")
	name := p.schema + "." + duck.Quote(t.Name)
	p.run("DROP TABLE IF EXISTS " + name + "; CREATE TABLE " + name + " (" + strings.Join(columns, ", ") + ");\n\\copy " + name + " FROM '" + file + "' WITH (FORMAT csv, NULL '∅')")
}

// TestPostgresShowsTheSameDigits evaluates every view over the same partials in both engines.
func TestPostgresShowsTheSameDigits(t *testing.T) {
	p := newPostgres(t)
	for _, d := range []*pinflow.Definition{shipped(t), pipelinetest.Definition(t)} {
		compiled := compile(t, d)
		w := newWorld(t, 5, compiled)
		w.fillRecords(func(s pinflow.PlannedSource) []pinflow.Record {
			if s.Name == "pin" {
				return repins(5, 300)
			}
			return pipelinetest.Posts(t, 5, s.Name, 300)
		})
		for _, m := range compiled.Metrics {
			generation := w.run(compiled, m)
			for _, part := range m.Partials {
				p.copyTable(w, generation, compiled.Table(part.Table))
			}
			want, err := w.view(compiled, m.Name, generation)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(compiled.Views, func(v pinflow.View) bool { return v.Name == m.Name })
			got := p.rows(strings.ReplaceAll(compiled.Views[i].Postgres, "{gen}", p.schema), m.Columns)
			sameDigits(t, m, got, want)
		}
	}
}

// TestPostgresShowsTheSameDigitsOfRandomMetrics does it for random expressions.
func TestPostgresShowsTheSameDigitsOfRandomMetrics(t *testing.T) {
	p := newPostgres(t)
	for _, of := range []leaves{salesLeaves, ordersLeaves} {
		d, _ := randomMetrics(2, 20, of, pipelinetest.Definition(t))
		compiled := compile(t, d)
		w := newTrialWorld(t, 8, compiled, 100)
		for _, m := range compiled.Metrics {
			generation := w.run(compiled, m)
			want, err := w.view(compiled, m.Name, generation)
			if tooLarge(err) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range m.Partials {
				p.copyTable(w, generation, compiled.Table(part.Table))
			}
			i := slices.IndexFunc(compiled.Views, func(v pinflow.View) bool { return v.Name == m.Name })
			sameDigits(t, m, p.rows(strings.ReplaceAll(compiled.Views[i].Postgres, "{gen}", p.schema), m.Columns), want)
		}
	}
}

// sameDigits compares rows in any order, as text; a DOUBLE by its value, since engines write it differently.
func sameDigits(t *testing.T, m pinflow.PlannedMetric, got, want [][]string) {
	t.Helper()
	lines := func(rows [][]string) (all []string) {
		for _, row := range rows {
			row = slices.Clone(row)
			for i, r := range rats(row) {
				if m.Columns[i].Type == "DOUBLE" && r != nil {
					row[i] = r.RatString()
				}
			}
			all = append(all, strings.Join(row, " | "))
		}
		slices.Sort(all)
		return all
	}
	g, x := lines(got), lines(want)
	for i := range max(len(g), len(x)) {
		if i >= len(g) || i >= len(x) || g[i] != x[i] {
			t.Errorf("%s: PostgreSQL shows %d rows, DuckDB %d, and they differ:\n%v\n%v", m.Name, len(g), len(x), g[min(i, len(g)-1)], x[min(i, len(x)-1)])
			return
		}
	}
}
