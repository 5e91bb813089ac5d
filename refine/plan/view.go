package plan

import (
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// add puts a compiled metric into the plan: its tables, what fills them, and its view.
func (m *metric) add(s pinflow.Script, shown []value) {
	planned := pinflow.PlannedMetric{Name: m.name, Description: s.Description, Model: m.model.Name}
	keys := make([]pinflow.Column, len(m.keys))
	for i := range m.keys {
		keys[i] = m.keys[i].column
	}
	if len(keys) > 0 || len(m.measures) > 0 {
		t := pinflow.Table{Name: m.name, Kind: pinflow.Partials, Model: m.model.Name, Keys: keys, Signed: m.signed()}
		for _, x := range m.measures {
			t.Measures = append(t.Measures, x.measure)
		}
		m.plan.Tables = append(m.plan.Tables, t)
		planned.Partials = append(planned.Partials, pinflow.Partial{Table: t.Name, SQL: m.partialSQL()})
	}
	for _, x := range m.sets {
		t := pinflow.Table{Name: x.table, Kind: pinflow.Partials, Model: m.model.Name, Signed: m.signed(),
			Keys: append(slices.Clip(keys), pinflow.Column{Name: "_value", Type: x.typ})}
		if t.Signed {
			t.Measures = []pinflow.Measure{{Column: pinflow.Column{Name: timesMeasure, Type: "BIGINT"}, Merge: pinflow.Sum}}
		}
		m.plan.Tables = append(m.plan.Tables, t)
		planned.Partials = append(planned.Partials, pinflow.Partial{Table: t.Name, SQL: m.setSQL(x)})
	}
	view := pinflow.View{Name: m.name}
	terms := make([]term, len(shown))
	for i, v := range shown {
		t, typ, ok := v.show()
		if !ok {
			m.file.fault(m.items[i].at, "Round it to fewer decimals.", "the column %s has more decimals than a DECIMAL holds", m.items[i].name)
		}
		terms[i] = t
		view.Columns = append(view.Columns, pinflow.Column{Name: m.items[i].name, Type: typ})
	}
	view.DuckDB, view.Postgres = m.viewSQL(duckDialect(), terms), m.viewSQL(postgresDialect(), terms)
	planned.Columns = view.Columns
	for _, part := range planned.Partials {
		if !m.file.failed() {
			m.runs(m.file, part.SQL)
		}
	}
	m.plan.Metrics = append(m.plan.Metrics, planned)
	m.plan.Views = append(m.plan.Views, view)
}

// partialSQL is the metric over a batch of rows, per period and partition.
func (m *metric) partialSQL() string {
	list := m.groupList()
	grouped := len(list)
	for _, x := range m.measures {
		list = append(list, x.text+" AS "+duck.Quote(x.measure.Name))
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM " + m.from + m.whereText() + " GROUP BY " + positions(1, grouped)
}

// groupList is what partials are grouped by.
func (m *metric) groupList() []string {
	list := []string{duck.Quote(m.relation) + `."_period" AS "_period"`, duck.Quote(m.relation) + `."_partition" AS "_partition"`}
	for _, k := range m.keys {
		list = append(list, k.text+" AS "+duck.Quote(k.column.Name))
	}
	return list
}

func (m *metric) whereText() string {
	if m.where == "" {
		return ""
	}
	return " WHERE " + m.where
}

// setSQL is the distinct values over a batch of rows, per period and partition; of an entity, with how often each came to stand.
func (m *metric) setSQL(x set) string {
	list := append(m.groupList(), x.value+` AS "_value"`)
	if m.signed() {
		list = append(list, m.sign()+" AS "+duck.Quote(signColumn))
	}
	where := m.whereText()
	if x.filter != "" && where == "" {
		where = " WHERE " + x.filter
	} else if x.filter != "" {
		where += " AND " + x.filter
	}
	rows := " FROM (SELECT " + strings.Join(list, ", ") + " FROM " + m.from + where + `) WHERE "_value" IS NOT NULL`
	if !m.signed() {
		return "SELECT DISTINCT *" + rows
	}
	sign := duck.Quote(signColumn)
	return "SELECT * EXCLUDE (" + sign + "), CAST(sum(" + sign + ") AS BIGINT) AS " + duck.Quote(timesMeasure) + rows + " GROUP BY ALL"
}

// viewSQL merges the partials of all periods and partitions: the rows of all its tables in one list, then
// one group per key. A set's values stand in a column of their own, NULL elsewhere.
func (m *metric) viewSQL(d dialect, terms []term) string {
	var list []string
	for i, t := range terms {
		list = append(list, d.write(t)+" AS "+duck.Quote(m.items[i].name))
	}
	var merged []string
	keys := make([]pinflow.Column, len(m.keys))
	for i := range m.keys {
		keys[i] = m.keys[i].column
	}
	merged = append(merged, quoted(keys)...)
	for _, x := range m.measures {
		name := duck.Quote(x.measure.Name)
		text := d.merge(string(x.measure.Merge), name, x.measure.Type)
		switch {
		case x.counts:
			text = "coalesce(" + text + ", 0)"
		case x.known != "":
			text = "CASE WHEN " + d.merge(string(pinflow.Sum), duck.Quote(x.known), "BIGINT") + " > 0 THEN " + text + " END"
		}
		merged = append(merged, text+" AS "+name)
	}
	for _, x := range m.sets {
		distinct := "DISTINCT "
		if m.signed() {
			distinct = "" // each is there once
		}
		merged = append(merged, "count("+distinct+duck.Quote(x.column)+") AS "+duck.Quote(x.column))
	}
	inner := "SELECT " + strings.Join(merged, ", ") + " FROM (" + strings.Join(m.parts(d), " UNION ALL ") + ") AS partials"
	if len(keys) > 0 {
		inner += " GROUP BY " + positions(1, len(keys))
		if m.signed() {
			inner += " HAVING sum(" + duck.Quote(rowsMeasure) + ") > 0"
		}
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM (" + inner + ") AS merged"
}

// parts reads each of the metric's tables into the same columns.
func (m *metric) parts(d dialect) (parts []string) {
	part := func(from string, set int) {
		var list []string
		for _, k := range m.keys {
			list = append(list, duck.Quote(k.column.Name))
		}
		for _, x := range m.measures {
			text := duck.Quote(x.measure.Name)
			if set >= 0 {
				text = "CAST(NULL AS " + d.typ(x.measure.Type) + ") AS " + text
			}
			list = append(list, text)
		}
		for i, x := range m.sets {
			text := `"_value"`
			if i != set {
				text = "CAST(NULL AS " + d.typ(x.typ) + ")"
			}
			list = append(list, text+" AS "+duck.Quote(x.column))
		}
		parts = append(parts, "SELECT "+strings.Join(list, ", ")+" FROM "+from)
	}
	if len(m.keys) > 0 || len(m.measures) > 0 {
		part("{gen}."+duck.Quote(m.name), -1)
	}
	for i, x := range m.sets {
		if m.signed() {
			part(m.standing(x), i)
			continue
		}
		part("{gen}."+duck.Quote(x.table), i)
	}
	return parts
}

// rowsView shows a table's rows as they are.
func rowsView(name string, columns []pinflow.Column) pinflow.View {
	text := "SELECT " + strings.Join(quoted(columns), ", ") + " FROM {gen}." + duck.Quote(name)
	return pinflow.View{Name: name, Columns: columns, DuckDB: text, Postgres: text}
}

// positions writes from, from+1, …, to.
func positions(from, to int) string {
	var list []string
	for i := from; i <= to; i++ {
		list = append(list, number64(i))
	}
	return strings.Join(list, ", ")
}
