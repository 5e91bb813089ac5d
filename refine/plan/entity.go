package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// homeColumn is a source's hidden column: the partition in which the value of the source's key belongs.
const homeColumn = "_home"

// signColumn is the hidden column of an entity's relation: 1 for a row that came to stand, -1 for one that it replaced.
const signColumn = "_sign"

// keyItems checks what makes a model an entity, and returns the key's columns as the model names them.
func (c *compilation) keyItems(f *file, m pinflow.ModelScript, source *pinflow.PlannedSource, rel *relation, items []item) []string {
	if len(m.Key) == 0 {
		if m.Keep != "" {
			f.declared(m, "keep", "Name the columns that make a row's key, or leave keep out.", "the model %s has keep but no key", m.Name)
		}
		return nil
	}
	if m.Keep != "latest" && m.Keep != "first" {
		f.declared(m, "keep", "Write keep: latest or keep: first.", "keep of the model %s cannot be %q", m.Name, m.Keep)
	}
	if m.Rows != "" && m.Rows != "all" {
		f.declared(m, "rows", "Leave rows out: the row of each key is kept.", "rows of the model %s, which has a key, cannot be %s", m.Name, m.Rows)
	}
	if !c.checkSourceKey(f, m, source) {
		return nil
	}
	var keys []string
	home := false
	for _, name := range m.Key {
		i := slices.IndexFunc(items, func(it item) bool { return sameName(it.name, name) && !sameName(name, "_reject") })
		switch {
		case i < 0:
			f.declared(m, "key", "Name columns that the model yields.", "the key column %s is no column of the model %s", name, m.Name)
		case slices.Contains(keys, items[i].name):
			f.declared(m, "key", "Name each column once.", "the key of the model %s has the column %s twice", m.Name, name)
		default:
			keys = append(keys, items[i].name)
			home = home || items[i].expr.signature() == column(rel.name, sourceColumn(source, source.Key)).signature()
		}
	}
	if !home && !f.failed() {
		f.declared(m, "key", "Yield "+source.Key+" as it is and name it in key too: one partition must hold all records of a key.",
			"the key of the model %s does not have the key %s of its source", m.Name, source.Key)
	}
	return keys
}

// checkSourceKey tells whether all records of a key value lie in one partition: the source has a key, and one text for each value of it.
func (c *compilation) checkSourceKey(f *file, m pinflow.ModelScript, source *pinflow.PlannedSource) bool {
	i := slices.IndexFunc(source.Columns, func(col pinflow.Column) bool { return col.Name == source.Key })
	switch {
	case source.Key == "":
		f.declared(m, "key", "Give the source a key in pipeline.yaml, one of the columns of the model's key: one partition must hold all records of a key.",
			"the source %s has no key", source.Name)
	case i < 0: // told of as the source's fault
	case !slices.Contains([]string{"VARCHAR", "BIGINT", "BOOLEAN"}, source.Columns[i].Type):
		f.declared(m, "key", "Let the schema say that it is a string or an integer: anything else is written in several ways, which lead to several partitions.",
			"the key %s of source %s is %s", source.Key, source.Name, source.Columns[i].Type)
	default:
		return true
	}
	return false
}

// sourceColumn is a column's name as the source writes it.
func sourceColumn(source *pinflow.PlannedSource, name string) string {
	return relation{columns: source.Columns}.column(name)
}

// checkKeyType notes a key column whose values are not equal just when they look the same.
func (c *compilation) checkKeyType(f *file, it item, typ string, keys []string) {
	if !slices.Contains(keys, it.name) {
		return
	}
	if stored, ok := storedType(typ); ok && (!isKey(stored) || stored == "DOUBLE") {
		f.fault(it.at, "Use text, an integer, a DECIMAL, a boolean, a date or a time, or cast to one.", "the key column %s is %s", it.name, typ)
	}
}

// keyedReject is the reason for which a row of an entity is rejected: that of the model, a key that is not whole, or a
// partition in which the key's other rows are not.
func keyedReject(reject, relation string, items []item, keys []string) string {
	var reasons []string
	for _, it := range items {
		if slices.Contains(keys, it.name) {
			reasons = append(reasons, fmt.Sprintf("WHEN (%s) IS NULL THEN %s", it.text, duck.Literal("the key column "+it.name+" is NULL")))
		}
	}
	at, home := duck.Quote(relation)+`."_partition"`, duck.Quote(relation)+"."+duck.Quote(homeColumn)
	reasons = append(reasons, fmt.Sprintf("WHEN %s <> %s THEN concat('the record is in partition ', %s, ', records of its key belong in partition ', %s)", at, home, at, home))
	misplaced := "CASE " + strings.Join(reasons, " ") + " END"
	if reject == "NULL" {
		return misplaced
	}
	return "coalesce(" + reject + ", " + misplaced + ")"
}

// accepted counts a model's accepted rows.
func accepted(model string) pinflow.Partial {
	return pinflow.Partial{Table: model + "__accepted",
		SQL: `SELECT "_period", "_partition", count(*) AS "n" FROM ` + duck.Quote(model) + " GROUP BY 1, 2"}
}

// modelTables are the tables of a model: its rows, and how many records were accepted.
func modelTables(m *pinflow.PlannedModel) (tables []pinflow.Table) {
	switch {
	case len(m.Key) > 0:
		tables = append(tables, pinflow.Table{Name: m.Table, Kind: pinflow.Entities, Model: m.Name, Keys: m.Columns, Key: m.Key, Keep: m.Keep})
	case m.Table != "":
		tables = append(tables, pinflow.Table{Name: m.Table, Kind: pinflow.Rows, Model: m.Name, Keys: m.Columns, Rows: m.Rows})
	}
	return append(tables, pinflow.Table{Name: m.Accepted.Table, Kind: pinflow.Partials, Model: m.Name,
		Measures: []pinflow.Measure{{Column: pinflow.Column{Name: "n", Type: "BIGINT"}, Merge: pinflow.Sum}}})
}
