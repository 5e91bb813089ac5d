package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/pipelines/pipelinetest"
)

const batches = 5

func quotedList(names []string) string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = duck.Quote(n)
	}
	return strings.Join(list, ", ")
}

// cut gives the rows of a model with a key batches and periods that never go back in a partition, each cut at random.
func (w *world) cut(full string) {
	w.t.Helper()
	for _, row := range w.mustRows("SELECT DISTINCT _partition FROM " + full) {
		for column, most := range map[string]int{"_batch": batches, "_period": 3} {
			var cuts []string
			for range most - 1 {
				cuts = append(cuts, fmt.Sprintf("(_offset >= (SELECT quantile_disc(_offset, %v) FROM %s WHERE _partition = %s))::INTEGER", w.r.Float64(), full, row[0]))
			}
			unit := map[string]string{"_batch": "1", "_period": "86400000"}[column]
			w.exec("UPDATE " + full + " SET " + column + " = " + unit + " * (" + strings.Join(cuts, " + ") + ") WHERE _partition = " + row[0])
		}
	}
}

// changes returns the relation of what each batch does to an entity: it is computed anew, for the batches as they are.
func (w *world) changes(m *pinflow.PlannedModel) string {
	w.t.Helper()
	name := "changes_" + m.Name
	if exists := w.mustRows("SELECT count(*) FROM duckdb_tables() WHERE table_name = '" + name + "'"); exists[0][0] == "0" {
		w.history(m, name)
	}
	return name
}

// history works through the batches as the contract of pinflow.Change says.
func (w *world) history(m *pinflow.PlannedModel, into string) {
	w.t.Helper()
	full, held, key := "full_"+m.Name, "held_"+m.Name, quotedList(m.Key)
	w.exec("CREATE OR REPLACE TABLE " + held + " AS SELECT * FROM " + full + " WHERE false")
	w.exec("CREATE OR REPLACE TABLE " + into + " AS SELECT *, 1::INTEGER AS _sign FROM " + full + " WHERE false")
	for batch := range batches {
		rows := fmt.Sprintf("SELECT * FROM %s WHERE _batch = %d", full, batch)
		if m.Keep == "first" {
			w.exec(fmt.Sprintf("CREATE OR REPLACE TABLE came AS SELECT * FROM (%s) r ANTI JOIN %s h USING (%s) QUALIFY row_number() OVER (PARTITION BY %[3]s ORDER BY _offset) = 1", rows, held, key))
			w.exec("INSERT INTO " + into + " SELECT *, 1 FROM came")
			w.exec("INSERT INTO " + held + " SELECT * FROM came")
			continue
		}
		w.exec(fmt.Sprintf("CREATE OR REPLACE TABLE came AS %s QUALIFY row_number() OVER (PARTITION BY %s, _period ORDER BY _offset DESC) = 1", rows, key))
		w.exec("INSERT INTO " + into + " SELECT *, 1 FROM came")
		w.exec(fmt.Sprintf(`INSERT INTO %s SELECT * EXCLUDE (next) REPLACE (next AS _period, %d AS _batch), -1 FROM (
			SELECT *, lead(_period) OVER (PARTITION BY %s ORDER BY _offset) AS next FROM (FROM came UNION ALL FROM %s SEMI JOIN came USING (%[3]s))) WHERE next IS NOT NULL`, into, batch, key, held))
		w.exec("DELETE FROM " + held + " USING came WHERE " + on(held, m.Key))
		w.exec("INSERT INTO " + held + " SELECT * FROM came QUALIFY row_number() OVER (PARTITION BY " + key + " ORDER BY _offset DESC) = 1")
	}
}

func on(table string, key []string) string {
	var list []string
	for _, k := range key {
		list = append(list, table+"."+duck.Quote(k)+" = came."+duck.Quote(k))
	}
	return strings.Join(list, " AND ")
}

// TestPeriodsOfEntitiesDoNotDependOnBatches: the partials of each period are the same whatever the batches were, and if a period is one batch,
// which is how a closed one is computed: what stands at its end, minus what stood before it.
func TestPeriodsOfEntitiesDoNotDependOnBatches(t *testing.T) {
	d := pipelinetest.Definition(t)
	p := compile(t, d)
	compared := 0
	for seed := range uint64(3) {
		w := newWorld(t, seed, p)
		w.fillRecords(func(s pinflow.PlannedSource) []pinflow.Record { return pipelinetest.Posts(t, seed, s.Name, 400) })
		for _, m := range p.Metrics {
			model := w.model(m.Model)
			if len(model.Key) == 0 {
				continue
			}
			w.history(model, "changes_"+m.Model)
			live := w.run(p, m)
			w.exec("CREATE OR REPLACE TABLE whole AS SELECT * REPLACE (_period // 86400000 AS _batch) FROM full_" + m.Model)
			w.netOfPeriods(model)
			batch := w.run(p, m)
			for _, part := range m.Partials {
				table := p.Table(part.Table)
				w.compact(live, table)
				w.compact(batch, table)
				name := duck.Quote(table.Name)
				differ := w.mustRows(fmt.Sprintf("SELECT count(*) FROM (((FROM %[1]s.%[3]s EXCEPT ALL FROM %[2]s.%[3]s) UNION ALL (FROM %[2]s.%[3]s EXCEPT ALL FROM %[1]s.%[3]s))) WHERE %[4]s",
					live, batch, name, someNotZero(table)))
				if differ[0][0] != "0" {
					t.Errorf("seed %d, %s: %s rows differ", seed, table.Name, differ[0][0])
				}
				if !table.Signed {
					t.Errorf("%s is not signed", table.Name)
				}
				compared += len(w.mustRows("FROM " + live + "." + name))
			}
		}
	}
	if compared < 500 {
		t.Errorf("the test tells little: it compared %d rows", compared)
	}
}

// netOfPeriods makes the changes of a model be those of whole periods, computed from the state at the end of each.
func (w *world) netOfPeriods(m *pinflow.PlannedModel) {
	w.t.Helper()
	into, key := "changes_"+m.Name, quotedList(m.Key)
	order := map[string]string{"latest": "DESC", "first": "ASC"}[m.Keep]
	w.exec("CREATE OR REPLACE TABLE " + into + " AS SELECT *, 1::INTEGER AS _sign FROM whole WHERE false")
	for period := range 3 {
		state := func(last int) string {
			return fmt.Sprintf("SELECT * FROM whole WHERE _batch <= %d QUALIFY row_number() OVER (PARTITION BY %s ORDER BY _offset %s) = 1", last, key, order)
		}
		w.exec("CREATE OR REPLACE TABLE before AS " + state(period-1))
		w.exec("CREATE OR REPLACE TABLE after AS " + state(period))
		for sign, text := range map[string]string{"1": "FROM after ANTI JOIN before USING (_partition, _offset)", "-1": "FROM before ANTI JOIN after USING (_partition, _offset)"} {
			w.exec(fmt.Sprintf("INSERT INTO %s SELECT * REPLACE (%d AS _batch, 86400000 * %[2]d AS _period), %s %s", into, period, sign, text))
		}
	}
}

// someNotZero tells a row from one that is no row.
func someNotZero(t *pinflow.Table) string {
	var list []string
	for _, m := range t.Measures {
		list = append(list, "coalesce("+duck.Quote(m.Name)+", 0) <> 0")
	}
	return strings.Join(list, " OR ")
}

// TestKeyedModelsReject tells what a model with a key rejects beyond its own reasons, in both of its texts.
func TestKeyedModelsReject(t *testing.T) {
	d := trial(`SELECT id, n, upper(tags[1]) AS tag, CASE WHEN n = 7 THEN 'seven' END AS _reject FROM src AS s`, "SELECT count(*) AS c FROM m")
	d.Sources[0].Key, d.Sources[0].Partitions = "id", 4
	d.Models[0].Key, d.Models[0].Keep = []string{"ID", "tag"}, "latest"
	p := compile(t, d)
	if m := p.Models[0]; !slices.Equal(m.Key, []string{"id", "tag"}) || m.Keep != "latest" || m.Rows != "all" || m.Table != "m" {
		t.Errorf("%+v", m)
	}
	w := newWorld(t, 1, p)
	w.exec("CREATE TABLE src (id VARCHAR, n BIGINT, tags VARCHAR[], _partition INTEGER, _offset BIGINT, _home INTEGER)")
	w.exec("INSERT INTO src VALUES ('a', 1, ['x'], 2, 0, 2), ('a', 1, ['x'], 1, 1, 2), ('a', 1, [], 2, 2, 2), (NULL, 1, ['x'], 2, 3, NULL), ('a', 7, ['x'], 0, 4, 2), (NULL, 1, NULL, 1, 5, 2)")
	want := []string{"∅", "the record is in partition 1, records of its key belong in partition 2", "the key column tag is NULL", "the key column id is NULL", "seven", "the key column id is NULL"}
	for _, text := range []string{p.Models[0].SQL, p.Models[0].Careful} {
		for i, row := range w.mustRows("SELECT _reject FROM (" + text + ") ORDER BY _offset") {
			if row[0] != want[i] {
				t.Errorf("record %d: %s, want %s", i, row[0], want[i])
			}
		}
	}
}
