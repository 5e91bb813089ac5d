package plan

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
	posted "github.com/pinflow/pinflow/value"
)

// compilation is the work on one definition.
type compilation struct {
	engine  *engine
	catalog *catalog
	sources map[string]*pinflow.PlannedSource
	models  map[string]*pinflow.PlannedModel
	broken  map[string]bool // models and sources whose faults are told already
	plan    *pinflow.Plan
	faults  []pinflow.Fault
	err     error // what is not the definition's fault
}

// Compile compiles a definition. It returns every fault that it finds, in the order of the files, and no
// plan if there is one. The error is what went wrong with the compiler itself.
func Compile(ctx context.Context, d *pinflow.Definition) (*pinflow.Plan, []pinflow.Fault, error) {
	e, err := openEngine(ctx)
	if err != nil {
		return nil, nil, err
	}
	c := &compilation{engine: e, sources: map[string]*pinflow.PlannedSource{}, models: map[string]*pinflow.PlannedModel{},
		broken: map[string]bool{}, plan: &pinflow.Plan{Pipeline: d.Name}}
	if c.catalog, err = e.catalog(); err == nil {
		c.compile(d)
		err = c.err
	}
	if closing := e.close(); err == nil && closing != nil {
		err = engineError("close DuckDB", closing)
	}
	switch {
	case err != nil:
		return nil, nil, err
	case len(c.faults) > 0:
		return nil, once(c.faults), nil
	}
	return c.plan, nil, nil
}

// once drops what was said before: models that share a file share its faults.
func once(faults []pinflow.Fault) []pinflow.Fault {
	seen := map[pinflow.Fault]bool{}
	return slices.DeleteFunc(faults, func(f pinflow.Fault) bool {
		known := seen[f]
		seen[f] = true
		return known
	})
}

// fail keeps the first error that is not the definition's fault.
func (c *compilation) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *compilation) compile(d *pinflow.Definition) {
	for _, s := range d.Sources {
		c.source(s)
	}
	c.checkNames(d)
	for _, m := range d.Models {
		f := &file{name: m.File, sql: m.SQL}
		planned := c.model(f, m)
		c.faults = append(c.faults, f.faults...)
		if planned == nil || f.failed() {
			c.broken[m.Name] = true
			continue
		}
		c.addModel(planned)
	}
	for _, m := range d.Metrics {
		f := &file{name: m.File, sql: m.SQL}
		c.metric(f, m)
		c.faults = append(c.faults, f.faults...)
	}
	if c.err != nil || len(c.faults) > 0 {
		c.reports(d.Reports, false)
		return
	}
	c.plan.Tables = append(c.plan.Tables, pinflow.RejectsTable())
	c.plan.Views = append(c.plan.Views, rowsView("rejects", pinflow.RejectsTable().Keys))
	c.plan.Generation = generation(c.plan)
	if err := c.engine.verify(c.plan); err != nil {
		c.fail(err)
	}
	c.reports(d.Reports, true)
}

func (c *compilation) source(s pinflow.Source) {
	schema, faults := posted.CompileSchema(s.SchemaFile, s.Schema)
	if len(s.Schema) == 0 {
		faults = []pinflow.Fault{{File: s.SchemaFile, Message: "the source " + s.Name + " has no schema", Hint: "Write a JSON Schema of its records into the file."}}
	}
	c.faults = append(c.faults, faults...)
	if len(faults) > 0 {
		c.broken[s.Name] = true
		c.sources[s.Name] = &pinflow.PlannedSource{Source: s}
		return
	}
	p := pinflow.PlannedSource{Source: s, Columns: schema.Columns()}
	if s.Key != "" && !slices.ContainsFunc(p.Columns, func(col pinflow.Column) bool { return col.Name == s.Key }) {
		c.faults = append(c.faults, pinflow.Fault{File: s.SchemaFile, Message: "the key " + s.Key + " of source " + s.Name + " is no property of its schema",
			Hint: "Name one of the schema's properties in key."})
	}
	c.plan.Sources = append(c.plan.Sources, p)
	c.sources[s.Name] = &p
	if i := slices.IndexFunc(p.Columns, func(col pinflow.Column) bool { return sameName(col.Name, homeColumn) }); i >= 0 {
		c.faults = append(c.faults, pinflow.Fault{File: s.SchemaFile, Message: "the property " + p.Columns[i].Name + " of source " + s.Name + " has a name of Pinflow's own",
			Hint: "Name it otherwise."})
		c.broken[s.Name] = true
		c.sources[s.Name] = &pinflow.PlannedSource{Source: s}
		return
	}
	columns := slices.Concat(p.Columns, engineColumns(), []pinflow.Column{{Name: homeColumn, Type: "INTEGER"}})
	if err := c.engine.createTable(s.Name, columns); err != nil {
		c.fail(err)
	}
}

// checkNames notes names that would meet in the store.
func (c *compilation) checkNames(d *pinflow.Definition) {
	seen := map[string]bool{"rejects": true}
	check := func(s pinflow.Script, what string) {
		name := strings.ToLower(s.Name)
		hint := "Name it otherwise."
		switch {
		case !isIdentifier(s.Name) || s.Name != name || strings.Contains(name, "__") || strings.HasPrefix(name, "_"):
			hint = "Use lower-case letters, digits and single underscores, at most 40, and a letter first."
			c.faults = append(c.faults, pinflow.Fault{File: s.File, Message: s.Name + " is no name for a " + what, Hint: hint})
		case seen[name]:
			c.faults = append(c.faults, pinflow.Fault{File: s.File, Message: "the name " + s.Name + " is taken", Hint: hint})
		}
		seen[name] = true
	}
	for _, s := range d.Sources {
		check(pinflow.Script{Name: s.Name, File: s.SchemaFile}, "source")
	}
	for _, m := range d.Models {
		check(m.Script, "model")
	}
	for _, m := range d.Metrics {
		check(m, "metric")
	}
	for _, r := range d.Reports {
		check(r, "report")
	}
}

// isIdentifier tells whether a name needs no quotes and is short enough for PostgreSQL.
func isIdentifier(name string) bool {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r != '_' && (r < '0' || r > '9')) {
			return false
		}
	}
	return name != "" && len(name) <= 60
}

// parse returns the statement of a script, nil with its fault noted if it cannot be read.
func (c *compilation) parse(f *file) node {
	tree, refused, err := c.engine.parse(f.sql)
	switch {
	case err != nil:
		c.fail(err)
	case refused != nil:
		f.faultAt(refused.offset, "Write one SELECT, in DuckDB's SQL.", "%s", refused.message)
	default:
		f.start = max(0, tree.offset())
	}
	return tree
}

// binds tells whether DuckDB takes the script as it is written; if not, its fault is noted.
func (c *compilation) binds(f *file) bool {
	_, err := c.engine.describe(f.sql)
	if err != nil {
		f.engineFault(err)
	}
	return err == nil
}

// runs tells whether DuckDB can plan a text made of the script: it computes constants then, and not always under TRY.
func (c *compilation) runs(f *file, text string) bool {
	_, err := c.engine.conn.ExecContext(c.engine.ctx, "EXPLAIN "+text)
	if err != nil {
		message, _, _ := strings.Cut(err.Error(), "\n") // the line is one of our text
		f.engineFault(errors.New(message))
	}
	return err == nil
}

// checkConstants notes what is the same for every record and can be computed for none.
func (c *compilation) checkConstants(f *file, n node) {
	n.walk(func(n node) bool {
		switch {
		case n.is("LAMBDA") || n.is("CONSTANT"):
			return false
		case !n.isExpr() || n.any(node.isColumn):
			return true
		}
		if worst, err := c.catalog.worst(n); err != nil || worst != plain {
			return err == nil
		}
		text, err := c.engine.expr(n)
		if err != nil {
			c.fail(err)
			return false
		}
		if _, _, err := c.engine.constant(text); err != nil {
			message, _, _ := strings.Cut(err.Error(), "\n")
			f.fault(n, "It fails for every record: correct it.", "%s", message)
		}
		return false
	})
}

// addModel makes the model's relation for the metrics, its table and its view.
func (c *compilation) addModel(m *pinflow.PlannedModel) {
	c.plan.Models = append(c.plan.Models, *m)
	c.models[m.Name] = m
	columns := append([]pinflow.Column{{Name: "_period", Type: "BIGINT"}}, m.Columns...)
	if len(m.Key) > 0 {
		columns = append(columns, pinflow.Column{Name: signColumn, Type: "INTEGER"})
	}
	if err := c.engine.createTable(m.Name, columns); err != nil {
		c.fail(err)
	}
	c.plan.Tables = append(c.plan.Tables, modelTables(m)...)
	if m.Table != "" {
		c.plan.Views = append(c.plan.Views, rowsView(m.Table, m.Columns))
	}
}
