package plan

import (
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// reports compiles reports: each is one SELECT over the stable views, of any kind. They are bound only if everything
// that they may read has been compiled.
func (c *compilation) reports(reports []pinflow.Script, views bool) {
	if views && len(reports) > 0 {
		c.makeViews()
	}
	for _, r := range reports {
		f := &file{name: r.File, sql: r.SQL}
		if tree := c.parse(f); tree != nil && views && c.err == nil {
			c.report(f, r, tree)
		}
		c.faults = append(c.faults, f.faults...)
	}
}

// makeViews makes the stable views where the compiler's own relations were.
func (c *compilation) makeViews() {
	schema := duck.Quote(c.plan.Generation)
	for _, s := range c.plan.Sources {
		c.run("DROP TABLE " + duck.Quote(s.Name))
	}
	for _, m := range c.plan.Models {
		c.run("DROP TABLE " + duck.Quote(m.Name))
	}
	for _, v := range c.plan.Views {
		c.run("CREATE VIEW " + duck.Quote(v.Name) + " AS " + strings.ReplaceAll(v.DuckDB, "{gen}", schema))
	}
}

// run runs a statement of the compiler's own unless one has failed.
func (c *compilation) run(statement string) {
	if c.err == nil {
		if err := c.engine.exec(statement); err != nil {
			c.fail(err)
		}
	}
}

// report adds a report to the plan.
func (c *compilation) report(f *file, r pinflow.Script, tree node) {
	c.checkKept(f, tree)
	if f.failed() || !c.binds(f) {
		return
	}
	text := c.statement(f.sql)
	columns, err := c.engine.describe(text)
	if err != nil {
		f.engineFault(err)
		return
	}
	planned := pinflow.PlannedReport{Name: r.Name, Description: r.Description, SQL: text}
	seen, casts := map[string]bool{}, false
	var list []string
	for _, column := range columns {
		stored, ok := storedType(column.Type)
		name := strings.ToLower(column.Name)
		switch {
		case !isIdentifier(column.Name) && name != "_partition" && name != "_offset":
			f.faultAt(f.start, "Use letters, digits and underscores, at most 60, and a letter first: … AS name.", "%q is no name for a column", column.Name)
		case seen[name]:
			f.faultAt(f.start, "Name one of them otherwise.", "two columns are named %s", column.Name)
		case !ok:
			f.faultAt(f.start, "Make columns of its parts, or text: CAST(to_json(…) AS VARCHAR).", "the column %s is %s, which not every store can hold", column.Name, column.Type)
		}
		seen[name] = true
		casts = casts || stored != column.Type
		planned.Columns = append(planned.Columns, pinflow.Column{Name: column.Name, Type: stored})
		list = append(list, castText(duck.Quote(column.Name), stored)+" AS "+duck.Quote(column.Name))
	}
	if casts { // the order of the rows stays
		planned.SQL = "SELECT " + strings.Join(list, ", ") + " FROM (\n" + text + "\n) AS report"
	}
	c.plan.Reports = append(c.plan.Reports, planned)
}

// checkKept notes models that a report reads and of which there are no rows.
func (c *compilation) checkKept(f *file, tree node) {
	var defined []string // by WITH
	tree.walk(func(n node) bool {
		for _, entry := range n.child("cte_map").list("map") {
			defined = append(defined, entry.text("key"))
		}
		return true
	})
	tree.walk(func(n node) bool {
		name := n.text("table_name")
		isName := func(other string) bool { return sameName(name, other) }
		if n.text("type") != "BASE_TABLE" || slices.ContainsFunc(defined, isName) {
			return true
		}
		for i := range c.plan.Models {
			if m := &c.plan.Models[i]; m.Table == "" && isName(m.Name) {
				f.fault(n, "Write rows: all or rows: recent for the model in pipeline.yaml, or read a metric over it.", "the model %s keeps no rows", m.Name)
			}
		}
		return true
	})
}

// statement returns a script's one statement without the semicolon, and what there may be behind it.
func (c *compilation) statement(script string) string {
	for head := script; ; {
		// What cannot stand between brackets is cut off further.
		_, refused, err := c.engine.parse("SELECT * FROM (\n" + head + "\n) AS report")
		if err != nil {
			c.fail(err)
		}
		last := strings.LastIndexByte(head, ';')
		if refused == nil || last < 0 {
			return strings.TrimSpace(head)
		}
		head = head[:last]
	}
}
