package plan

import (
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// reports notes what is wrong with reports: each is one SELECT over the stable views, of any kind. They are
// bound only if everything that they may read has been compiled.
func (c *compilation) reports(reports []pinflow.Script, views bool) {
	if views && len(reports) > 0 {
		c.makeViews()
	}
	for _, r := range reports {
		f := &file{name: r.File, sql: r.SQL}
		if tree := c.parse(f); tree != nil && views && c.err == nil {
			c.binds(f)
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
