package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

const metricShape = "A metric is SELECT … FROM model [, unnest(list) AS t(item)] [WHERE …] GROUP BY …; anything else is a report."

// metric is the compilation of one metric.
type metric struct {
	*compilation
	file     *file
	name     string
	model    *pinflow.PlannedModel
	relation string // how the statement names the model
	scope    *scope
	from     string // text
	where    string // text, "" for all rows
	items    []item
	keys     []key
	measures []measure
	sets     []set
	taken    map[string]bool // names of columns
}

// key is a dimension, or what depends on the dimensions only.
type key struct {
	signature string
	column    pinflow.Column
	text      string
}

// measure is a partial value.
type measure struct {
	text    string // the aggregate over a batch of rows
	measure pinflow.Measure
	counts  bool   // never NULL: nothing is 0
	known   string // of a signed sum: the measure that counts what was summed; the sum of nothing is NULL
}

// set is the distinct values of an expression.
type set struct {
	value, filter string // texts
	table         string
	typ           string
	column        string // in the view: how many they are
}

// metric compiles a metric and adds it to the plan.
func (c *compilation) metric(f *file, s pinflow.Script) {
	tree := c.parse(f)
	if tree == nil || !c.checkShape(f, tree, metricShape) {
		return
	}
	m := &metric{compilation: c, file: f, name: s.Name, taken: map[string]bool{"_period": true, "_shard": true, "_partition": true, "_value": true}}
	if !m.readFrom(tree.child("from_table")) {
		return
	}
	if m.signed() {
		m.count("", "", rowsMeasure)
	}
	groups := m.resolveAll(tree)
	if f.failed() || !c.binds(f) {
		return
	}
	c.checkConstants(f, tree)
	m.nameItems()
	for _, g := range groups {
		m.key(g)
	}
	shown := make([]value, len(m.items))
	for i, it := range m.items {
		shown[i] = m.value(it.expr)
	}
	if !f.failed() && c.err == nil {
		m.add(s, shown)
	}
}

// resolveAll gives names their meaning in all of the statement and returns what it groups by.
func (m *metric) resolveAll(tree node) (groups []node) {
	for _, n := range tree.list("select_list") {
		m.checkExpr(m.file, n, true)
		it := item{name: n.text("alias"), at: n}
		if names := n.names("column_names"); it.name == "" && len(names) > 0 {
			it.name = names[len(names)-1]
		}
		if !n.is("STAR") {
			it.expr = m.scope.resolve(n)
		}
		m.items = append(m.items, it)
		m.scope.aliases[strings.ToLower(it.name)] = it.expr
	}
	if where := tree.child("where_clause"); where != nil {
		m.checkExpr(m.file, where, false)
		m.where = m.condition(m.scope.resolve(where))
	}
	if sets, _ := tree["group_sets"].([]any); len(sets) > 1 {
		m.file.fault(tree.list("group_expressions")[0], "Write a metric for each grouping.", "ROLLUP, CUBE and GROUPING SETS are not possible here")
	}
	if m.file.failed() {
		return nil
	}
	if tree.text("aggregate_handling") == "FORCE_AGGREGATES" {
		return m.groupAll()
	}
	summed := slices.ContainsFunc(m.items, func(it item) bool { return m.aggregates(it.expr) })
	if !summed && len(tree.list("group_expressions")) == 0 {
		m.file.faultAt(m.file.start, metricShape, "there is nothing to group by and no aggregate")
	}
	for _, n := range tree.list("group_expressions") {
		m.checkExpr(m.file, n, false)
		groups = append(groups, m.groupBy(n))
	}
	return groups
}

// groupAll is GROUP BY ALL: by every column without an aggregate.
func (m *metric) groupAll() (groups []node) {
	for _, it := range m.items {
		if !m.aggregates(it.expr) && it.expr.any(node.isColumn) {
			groups = append(groups, it.expr)
		}
	}
	return groups
}

// groupBy is one expression of GROUP BY: a position, an alias or an expression.
func (m *metric) groupBy(n node) node {
	if n.is("CONSTANT") && strings.HasSuffix(n.child("value").child("type").text("id"), "INTEGER") {
		i, err := strconv.Atoi(number64(n.child("value")["value"]))
		if err == nil && i >= 1 && i <= len(m.items) {
			return m.items[i-1].expr
		}
	}
	return m.scope.resolve(n)
}

// nameItems notes columns without a usable name.
func (m *metric) nameItems() {
	seen := map[string]bool{}
	for _, it := range m.items {
		name := strings.ToLower(it.name)
		switch {
		case it.name == "":
			m.file.fault(it.at, "Write … AS name.", "the column has no name")
		case !isIdentifier(it.name) && name != "_partition" && name != "_offset":
			m.file.fault(it.at, "Use letters, digits and underscores, at most 60, and a letter first: … AS name.", "%q is no name for a column", it.name)
		case seen[name]:
			m.file.fault(it.at, "Name one of them otherwise.", "two columns are named %s", it.name)
		}
		seen[name] = true
	}
}

// aggregates tells whether an aggregate is in the expression.
func (m *metric) aggregates(n node) bool {
	return n.any(func(n node) bool {
		if !n.isFunction() {
			return false
		}
		t, err := m.catalog.trait(n.function())
		if err != nil {
			m.fail(err)
		}
		return t == aggregate
	})
}

// row returns the text of an expression over a row's columns that is NULL where it fails.
func (m *metric) row(n node) string {
	text, err := m.engine.expr(n)
	if err != nil {
		m.fail(err)
	}
	if n.isColumn() || n.is("CONSTANT") {
		return text
	}
	return try(text, m.relation)
}

// condition is row for what must be true: what DuckDB would cast to a boolean, and may fail to, is cast under TRY.
func (m *metric) condition(n node) string {
	text := m.row(n)
	if m.file.failed() || m.typeOf(text) == "BOOLEAN" {
		return text
	}
	bare, err := m.engine.expr(n)
	if err != nil {
		m.fail(err)
	}
	return try(castText(bare, "BOOLEAN"), m.relation)
}

// try is NULL where an expression over a row of the relation fails. DuckDB takes expressions that occur twice
// out of TRY, where they then fail, but not out of CASE; its condition always holds and costs nothing.
func try(text, relation string) string {
	return "CASE WHEN " + duck.Quote(relation) + `."_offset" IS NOT NULL THEN TRY(` + text + ") END"
}

// typeOf returns the DuckDB type of a text over a row's columns.
func (m *metric) typeOf(text string) string {
	columns, err := m.engine.describe("SELECT " + text + " FROM " + m.from)
	if err != nil {
		m.file.engineFault(err)
		return ""
	}
	return columns[0].Type
}

// storable returns text as a stored type that can be grouped, ordered and compared; both are empty with a fault if it can't.
func (m *metric) storable(n node, what string) (text, typ string) {
	text = m.row(n)
	from := m.typeOf(text)
	if m.file.failed() {
		return "", ""
	}
	typ, ok := storedType(from)
	switch {
	case !ok || !isKey(typ):
		m.file.fault(n, "Use a number, text, a boolean, a date or a time, or cast to one.", "%s is %s", what, from)
		return "", ""
	case typ != from:
		text = castText(text, typ)
	}
	if typ == "DOUBLE" {
		text = "(" + text + " + 0.0)" // the two zeros are one
	}
	return text, typ
}

// key returns the value of a dimension, which is added if it is not one yet.
func (m *metric) key(n node) value {
	signature := n.signature()
	i := slices.IndexFunc(m.keys, func(k key) bool { return k.signature == signature })
	if i < 0 {
		text, typ := m.storable(n, "the dimension")
		name := "key"
		for _, it := range m.items {
			if it.expr.signature() == signature {
				name = it.name
				break
			}
		}
		i = len(m.keys)
		m.keys = append(m.keys, key{signature, pinflow.Column{Name: m.unique(name), Type: typ}, text})
	}
	k := m.keys[i].column
	return stored(columnTerm(k.Name), columnTerm(k.Name), k.Type, false)
}

// unique returns a name for a column that no other has.
func (m *metric) unique(name string) string {
	name = name[:min(len(name), 50)]
	for i := 1; ; i++ {
		candidate := name
		if i > 1 {
			candidate += "_" + strconv.Itoa(i)
		}
		if !m.taken[strings.ToLower(candidate)] {
			m.taken[strings.ToLower(candidate)] = true
			return candidate
		}
	}
}

func quoted(columns []pinflow.Column) []string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = duck.Quote(c.Name)
	}
	return list
}
