package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

const modelShape = "A model is one SELECT over its source, row by row: SELECT … FROM source."

// engineColumns are what the engine gives behind a source's own columns. _headers is JSON: a list
// of objects with key and value, NULL for a record without headers.
func engineColumns() []pinflow.Column {
	return []pinflow.Column{{Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"},
		{Name: "_timestamp", Type: "TIMESTAMPTZ"}, {Name: "_key", Type: "VARCHAR"}, {Name: "_headers", Type: "JSON"}}
}

// item is a column of a model: a resolved expression and its name.
type item struct {
	name string
	expr node
	at   node // where it stands
	text string
}

// model compiles cleaning. Without faults it returns the planned model.
func (c *compilation) model(f *file, m pinflow.ModelScript) *pinflow.PlannedModel {
	source, ok := c.sources[m.From]
	if !ok {
		f.declared(m, "from", "Name one of the pipeline's sources in from.", "there is no source %s", m.From)
		return nil
	}
	tree := c.parse(f)
	if tree == nil || !c.checkShape(f, tree, modelShape) {
		return nil
	}
	c.checkRowByRow(f, tree)
	if c.broken[m.From] {
		return nil
	}
	rel := c.modelFrom(f, tree, source)
	if rel == nil {
		return nil
	}
	items := c.modelItems(f, tree, rel)
	keys := c.keyItems(f, m, source, rel, items)
	if f.failed() || !c.binds(f) {
		return nil
	}
	for _, it := range items {
		c.checkConstants(f, it.expr)
	}
	return c.plannedModel(f, m, tree, rel.name, items, keys)
}

func (c *compilation) checkRowByRow(f *file, tree node) {
	if where := tree.child("where_clause"); where != nil {
		f.fault(where, "Every record is accepted or rejected: yield a column _reject with the reason, NULL for an accepted row, or put the condition into the metrics.", "WHERE is not possible in a model")
	}
	if groups := tree.list("group_expressions"); len(groups) > 0 {
		f.fault(groups[0], "A model works row by row: group in a metric over it.", "GROUP BY is not possible in a model")
	} else if tree.text("aggregate_handling") == "FORCE_AGGREGATES" {
		f.faultAt(f.start, "A model works row by row: group in a metric over it.", "GROUP BY is not possible in a model")
	}
}

// modelFrom returns the source as the statement names it.
func (c *compilation) modelFrom(f *file, tree node, source *pinflow.PlannedSource) *relation {
	from := tree.child("from_table")
	columns := slices.Concat(source.Columns, engineColumns())
	switch {
	case from.text("type") == "JOIN":
		f.fault(from, modelShape, "a join is not possible in a model")
	case from.text("type") != "BASE_TABLE":
		f.fault(from, modelShape, "a model reads its source %s and nothing else", source.Name)
	case from.text("schema_name") != "" || !sameName(from.text("table_name"), source.Name):
		f.fault(from, "Write FROM "+source.Name+".", "the model reads %s, not its source", from.text("table_name"))
	case len(from.names("column_name_alias")) > 0:
		f.fault(from, "Name the columns in the select list.", "a list of column names is not possible here")
	case from.child("sample") != nil:
		f.fault(from, modelShape, "TABLESAMPLE is not possible here")
	default:
		name := from.text("alias")
		if name == "" {
			name = source.Name
		}
		return &relation{name: name, columns: columns}
	}
	return nil
}

// modelItems resolves the select list.
func (c *compilation) modelItems(f *file, tree node, rel *relation) []item {
	s := &scope{file: f, relations: []relation{*rel}, aliases: map[string]node{}}
	var items []item
	for _, n := range tree.list("select_list") {
		if n.is("STAR") {
			items = append(items, starItems(f, n, rel)...)
			continue
		}
		c.checkExpr(f, n, false)
		resolved := s.resolve(n)
		it := item{name: n.text("alias"), expr: resolved, at: n}
		if names := n.names("column_names"); it.name == "" && len(names) > 0 {
			it.name = names[len(names)-1]
		}
		if it.name == "" {
			f.fault(n, "Write … AS name.", "the column has no name")
		}
		items = append(items, it)
		s.aliases[strings.ToLower(it.name)] = resolved
	}
	for _, own := range []string{"_partition", "_offset"} {
		if !slices.ContainsFunc(items, func(it item) bool { return sameName(it.name, own) }) {
			items = append(items, item{name: own, expr: column(rel.name, own), at: tree})
		}
	}
	checkItems(f, items, rel)
	return items
}

// starItems are the source's own columns, without those that EXCLUDE names.
func starItems(f *file, star node, rel *relation) []item {
	if star.flag("columns") || star.child("expr") != nil || len(star.list("replace_list")) > 0 || len(star.list("rename_list")) > 0 ||
		star.text("relation_name") != "" && !sameName(star.text("relation_name"), rel.name) {
		f.fault(star, "Write * or * EXCLUDE (…), and name the others.", "this kind of * is not possible here")
		return nil
	}
	var items []item
	for _, c := range rel.columns {
		left := slices.ContainsFunc(star.names("exclude_list"), func(name string) bool { return sameName(name, c.Name) })
		if !left && !strings.HasPrefix(c.Name, "_") {
			items = append(items, item{name: c.Name, expr: column(rel.name, c.Name), at: star})
		}
	}
	return items
}

// checkItems notes names that a model's columns may not have.
func checkItems(f *file, items []item, rel *relation) {
	seen := map[string]bool{}
	for _, it := range items {
		name := strings.ToLower(it.name)
		switch {
		case name == "":
		case seen[name]:
			f.fault(it.at, "Name one of them otherwise.", "two columns are named %s", it.name)
		case name == "_partition" || name == "_offset":
			if it.expr.signature() != column(rel.name, name).signature() {
				f.fault(it.at, "These two say which record the row is of: leave them out, or take the source's own.", "%s is not the source's", name)
			}
		case name == "_timestamp" || name == "_key" || name == "_headers" || name == "_reject":
		case !isIdentifier(it.name):
			f.fault(it.at, "Use letters, digits and underscores, at most 60, and a letter first.", "%q is no name for a column", it.name)
		}
		seen[name] = true
	}
}

// plannedModel tells the types and writes the SQL.
func (c *compilation) plannedModel(f *file, m pinflow.ModelScript, tree node, relation string, items []item, keys []string) *pinflow.PlannedModel {
	from, err := c.engine.from(tree.child("from_table"))
	if err != nil {
		return c.failModel(err)
	}
	for i := range items {
		if items[i].text, err = c.engine.expr(items[i].expr); err != nil {
			return c.failModel(err)
		}
	}
	reject := slices.IndexFunc(items, func(it item) bool { return sameName(it.name, "_reject") })
	if reject < 0 {
		items = append(items, item{name: "_reject", text: "NULL", at: tree})
	} else { // it comes last
		last := items[reject]
		items = append(slices.Delete(items, reject, reject+1), last)
	}
	if len(keys) > 0 {
		last := &items[len(items)-1]
		last.text = keyedReject(last.text, relation, items, keys)
	}
	typed, err := c.engine.describe("SELECT " + selectList(items, nil) + " FROM " + from)
	if err != nil {
		f.engineFault(err)
		return nil
	}
	p := &pinflow.PlannedModel{Name: m.Name, Source: m.From, File: m.File, Rows: m.Rows, Key: keys, Keep: m.Keep}
	casts := make([]string, len(items))
	for i, it := range items {
		stored := c.modelType(f, it, typed[i].Type)
		if stored != typed[i].Type {
			casts[i] = stored
		}
		c.checkKeyType(f, it, typed[i].Type, keys)
		if i < len(items)-1 {
			p.Columns = append(p.Columns, pinflow.Column{Name: it.name, Type: stored})
		}
	}
	if p.Rows == "" {
		p.Rows = "all"
	}
	if p.Rows != "none" {
		p.Table = m.Name
	}
	p.Accepted = accepted(m.Name)
	p.SQL = "SELECT " + selectList(items, casts) + " FROM " + from
	p.Careful = "SELECT " + carefulList(items, casts, relation) + " FROM " + from
	if f.failed() || !c.runs(f, p.SQL) || !c.runs(f, p.Careful) {
		return nil
	}
	return p
}

func (c *compilation) failModel(err error) *pinflow.PlannedModel {
	c.fail(err)
	return nil
}

// modelType returns the type in which a column is stored.
func (c *compilation) modelType(f *file, it item, typ string) string {
	stored, ok := storedType(typ)
	if sameName(it.name, "_reject") {
		if stored != "VARCHAR" && typ != `"NULL"` && it.text != "NULL" {
			f.fault(it.at, "Yield the reason as text, NULL for an accepted row.", "_reject is %s", typ)
		}
		return "VARCHAR"
	}
	if !ok {
		f.fault(it.at, "Make columns of its parts, or text: CAST(to_json(…) AS VARCHAR).", "the column %s is %s, which not every store can hold", it.name, typ)
	}
	return stored
}

// selectList writes items, cast where a type is given.
func selectList(items []item, casts []string) string {
	list := make([]string, len(items))
	for i, it := range items {
		text := it.text
		if casts != nil {
			text = castText(text, casts[i])
		}
		list[i] = text + " AS " + duck.Quote(it.name)
	}
	return strings.Join(list, ", ")
}

func castText(text, typ string) string {
	if typ == "" {
		return text
	}
	return "CAST(" + text + " AS " + typ + ")"
}

// carefulList is selectList where nothing fails: a row for which a column cannot be computed is rejected. A
// hash is never NULL, so it is NULL under TRY only if what it is of has failed.
func carefulList(items []item, casts []string, relation string) string {
	var list, failed []string
	for i, it := range items {
		text := castText(it.text, casts[i])
		failed = append(failed, fmt.Sprintf("WHEN TRY(hash(%s)) IS NULL THEN %s", text, duck.Literal("the column "+it.name+" cannot be computed")))
		if i < len(items)-1 {
			list = append(list, try(text, relation)+" AS "+duck.Quote(it.name))
			continue
		}
		list = append(list, fmt.Sprintf(`CASE %s ELSE TRY(%s) END AS "_reject"`, strings.Join(failed, " "), text))
	}
	return strings.Join(list, ", ")
}
