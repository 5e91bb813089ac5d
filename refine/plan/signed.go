package plan

import (
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// A metric over an entity reads each row that came to stand with the sign 1 and each one that it replaced with -1, so that
// everything it holds is a sum. That a group has no rows left, and that a sum is of no values, is told by counts beside them.

// rowsMeasure counts a signed metric's rows: a group without one is not shown.
const rowsMeasure = "_rows"

// timesMeasure is how often a value of a signed set stands.
const timesMeasure = "_n"

// signed tells whether the metric is over an entity.
func (m *metric) signed() bool { return m.model != nil && len(m.model.Key) > 0 }

func (m *metric) sign() string { return duck.Quote(m.relation) + "." + duck.Quote(signColumn) }

// counting is how many rows there are in which text is not NULL, all of them if it is "".
func (m *metric) counting(text, filter string) string {
	if !m.signed() {
		if text == "" {
			text = "*"
		}
		return filtered("count("+text+")", filter)
	}
	if text != "" {
		text += " IS NOT NULL"
	}
	return "CAST(coalesce(" + filtered("sum("+m.sign()+")", all(filter, text)) + ", 0) AS BIGINT)"
}

// all is the condition that all of some hold; empty ones do.
func all(conditions ...string) string {
	var list []string
	for _, c := range conditions {
		if c != "" {
			list = append(list, "("+c+")")
		}
	}
	return strings.Join(list, " AND ")
}

// summed returns the column of a sum over what is called arg, which is NULL where there is nothing to sum.
func (m *metric) summed(text, filter, kind, arg, typ string) term {
	name := kind + arg
	if !m.signed() {
		return m.measure(measure{text: filtered("sum("+text+")", filter)}, name, typ, pinflow.Sum)
	}
	counted := m.measure(measure{text: m.counting(text, filter), counts: true}, "count_"+arg, "BIGINT", pinflow.Sum)
	half := func(sign string) string {
		return "coalesce(" + filtered("sum("+text+")", all(filter, m.sign()+sign)) + ", 0)"
	}
	// A value is never negated: of the least integer there is no opposite.
	return m.measure(measure{text: "CAST(" + half(" > 0") + " - " + half(" < 0") + " AS " + typ + ")", known: counted.text}, name, typ, pinflow.Sum)
}

// standing reads the values of a signed set that stand, once each.
func (m *metric) standing(x set) string {
	var list []string
	for _, k := range m.keys {
		list = append(list, duck.Quote(k.column.Name))
	}
	list = append(list, `"_value"`)
	return "(SELECT " + strings.Join(list, ", ") + " FROM {gen}." + duck.Quote(x.table) + " GROUP BY " + positions(1, len(list)) +
		" HAVING sum(" + duck.Quote(timesMeasure) + ") > 0) AS standing"
}
