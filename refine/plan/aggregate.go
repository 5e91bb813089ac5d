package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
)

const mergeable = "count, sum, min, max, avg, count(DISTINCT …), count_if, bool_and and bool_or merge, and expressions over them; anything else is a report."

// sumDigits is how wide a DECIMAL may be so that no number of records that fits a disk overflows its sum.
const sumDigits = 26

// aggregate returns the value of an aggregate over a group, adding the partials that it needs.
func (m *metric) aggregate(n node) value {
	name, args, filter := n.function(), n.list("children"), m.filter(n)
	extreme := slices.Contains([]string{"min", "max", "bool_and", "bool_or"}, name)
	distinct := n.flag("distinct") && name != "min" && name != "max"
	orders := n.child("order_bys").list("orders")
	switch {
	case len(orders) > 0:
		m.file.fault(n, "Leave it out: the order of records does not tell in a metric.", "ORDER BY in an aggregate is not possible here")
	case name == "count" && distinct && len(args) == 1:
		return m.countDistinct(args[0], filter)
	case distinct:
		m.file.fault(n, mergeable, "%s(DISTINCT …) cannot be merged from partials", name)
	case name == "count_star" || name == "count" && len(args) == 0:
		return m.count("", filter, "count")
	case len(args) != 1:
		m.file.fault(n, mergeable, "the aggregate %s cannot be merged from partials", name)
	case name == "count":
		return m.count(m.row(args[0]), filter, "count_"+argName(args[0]))
	case name == "count_if" || name == "countif":
		return m.countIf(args[0], filter)
	case name == "sum":
		return m.sum(n, args[0], filter)
	case name == "avg" || name == "mean":
		total := m.sum(n, args[0], filter)
		if m.file.failed() {
			return nothing()
		}
		counted := m.count(m.row(args[0]), filter, "count_"+argName(args[0]))
		return computed(total.number.over(counted.number))
	case extreme && m.signed():
		m.file.fault(n, "Write a report; or put the metric over a model without a key, where rows are never replaced.",
			"%s over the model %s cannot be taken back when a row of it is replaced", name, m.model.Name)
	case name == "min" || name == "bool_and":
		return m.extreme(args[0], "min", pinflow.Min, filter)
	case name == "max" || name == "bool_or":
		return m.extreme(args[0], "max", pinflow.Max, filter)
	default:
		m.file.fault(n, mergeable, "the aggregate %s cannot be merged from partials", name)
	}
	return nothing()
}

// filter returns the condition of FILTER (WHERE …), "" if there is none.
func (m *metric) filter(n node) string {
	if f := n.child("filter"); f != nil {
		return m.condition(f)
	}
	return ""
}

// filtered is an aggregate over the rows for which the condition holds, "" for all.
func filtered(aggregate, condition string) string {
	if condition == "" {
		return aggregate
	}
	return aggregate + " FILTER (WHERE " + condition + ")"
}

// argName is a name for what is aggregated.
func argName(n node) string {
	if names := n.names("column_names"); n.isColumn() && len(names) == 2 && isIdentifier(names[1]) {
		return names[1]
	}
	return "expr"
}

// count counts the rows in which text is not NULL, all of them if it is "".
func (m *metric) count(text, filter, name string) value {
	c := m.measure(measure{text: m.counting(text, filter), counts: true}, name, "BIGINT", pinflow.Sum)
	return stored(c, castTerm(c, "BIGINT"), "BIGINT", true)
}

// countIf is NULL, as in DuckDB, where there is no row or the condition is never known.
func (m *metric) countIf(arg node, filter string) value {
	c := m.summed("CAST("+m.condition(arg)+" AS INTEGER)", filter, "count_if_", argName(arg), "HUGEINT")
	return stored(c, castTerm(c, "HUGEINT"), "HUGEINT", true)
}

func (m *metric) sum(n, arg node, filter string) value {
	text := m.row(arg)
	from := m.typeOf(text)
	width, scale, isDecimal := decimal(from)
	typ := "HUGEINT"
	switch {
	case m.file.failed():
		return nothing()
	case isDecimal && width > sumDigits:
		m.file.fault(n, "Cast it: "+n.function()+"(CAST(… AS DECIMAL("+strconv.Itoa(sumDigits)+","+strconv.Itoa(min(scale, sumDigits))+"))).",
			"a sum over %s can overflow", from)
		return nothing()
	case isDecimal:
		typ = decimalType(scale)
	case from == "HUGEINT" || from == "UHUGEINT" || from == "BIGNUM":
		m.file.fault(n, "Cast it: "+n.function()+"(CAST(… AS BIGINT)).", "a sum over %s can overflow", from)
		return nothing()
	case from == "DOUBLE" || from == "FLOAT":
		m.file.fault(n, "Cast it: "+n.function()+"(CAST(… AS DECIMAL(18,2))).", "a sum over %s depends on the order of the records", from)
		return nothing()
	case !slices.Contains([]string{"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}, from):
		m.file.fault(n, "Cast it to a number.", "%s over %s is not possible here", n.function(), from)
		return nothing()
	}
	if from == "BOOLEAN" || from == "UBIGINT" {
		text = castText(text, map[string]string{"BOOLEAN": "INTEGER", "UBIGINT": "DECIMAL(20,0)"}[from])
	}
	if from == "UBIGINT" {
		typ = decimalType(0)
	}
	c := m.summed(text, filter, "sum_", argName(arg), typ)
	return stored(c, castTerm(c, typ), typ, false)
}

func (m *metric) extreme(arg node, name string, merge pinflow.Merge, filter string) value {
	text, typ := m.storable(arg, "what "+name+" is of")
	if m.file.failed() {
		return nothing()
	}
	if strings.HasPrefix(m.typeOf(m.row(arg)), "ENUM(") {
		m.file.fault(arg, "Cast it to VARCHAR, or to a number that says its rank.", "what %s is of is an ENUM, whose order is lost when it is stored", name)
		return nothing()
	}
	c := m.measure(measure{text: filtered(name+"("+text+")", filter)}, name+"_"+argName(arg), typ, merge)
	return stored(c, c, typ, false)
}

// measure returns the column of a partial value, which is added if it is not there yet.
func (m *metric) measure(x measure, name, typ string, merge pinflow.Merge) term {
	i := slices.IndexFunc(m.measures, func(known measure) bool { return known.text == x.text })
	if i < 0 {
		i = len(m.measures)
		x.measure = pinflow.Measure{Column: pinflow.Column{Name: m.unique(name), Type: typ}, Merge: merge}
		m.measures = append(m.measures, x)
	}
	return columnTerm(m.measures[i].measure.Name)
}

// countDistinct counts the values of a set, which has a table of its own.
func (m *metric) countDistinct(arg node, filter string) value {
	text, typ := m.storable(arg, "what is counted")
	if m.file.failed() {
		return nothing()
	}
	i := slices.IndexFunc(m.sets, func(s set) bool { return s.value == text && s.filter == filter })
	if i < 0 {
		i = len(m.sets)
		m.sets = append(m.sets, set{value: text, filter: filter, typ: typ, table: m.name + "__distinct_" + strconv.Itoa(i+1), column: m.unique("distinct_" + argName(arg))})
	}
	c := columnTerm(m.sets[i].column)
	return stored(c, c, "BIGINT", true)
}
