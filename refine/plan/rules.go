package plan

import "strings"

const notDeterministicHint = "The same records must always give the same rows: use _timestamp, the time at which the record was appended, or another of its columns."

// checkExpr notes what no expression of a definition may hold. Aggregates are allowed where the caller says so.
func (c *compilation) checkExpr(f *file, n node, aggregates bool) {
	n.walk(func(n node) bool {
		switch n.text("class") {
		case "SUBQUERY":
			f.fault(n, "Write one SELECT over one relation; a report may hold any SQL.", "a subquery is not possible here")
			return false
		case "WINDOW":
			f.fault(n, "A row is worked on by itself, in whatever batch it arrives: a report may use windows.", "a window function is not possible here")
			return false
		case "PARAMETER":
			f.fault(n, "Write the value itself.", "there is no parameter to fill in")
		case "POSITIONAL_REFERENCE":
			f.fault(n, "Name the column.", "a reference by position is not possible here")
		case "COLLATE":
			f.fault(n, "Text is compared by its bytes in every engine: use lower(…) to compare without case.", "COLLATE is not possible here")
		case "STAR":
			f.fault(n, "Name the columns.", "* and COLUMNS are not possible here")
		case "FUNCTION":
			return c.checkFunction(f, n, aggregates)
		}
		return true
	})
}

// checkFunction tells whether to look at the arguments too.
func (c *compilation) checkFunction(f *file, n node, aggregates bool) bool {
	name := n.function()
	if schema := strings.ToLower(n.text("schema")); schema != "" && schema != "main" && schema != "pg_catalog" {
		f.fault(n, "Use DuckDB's own functions.", "there is no function %s.%s", schema, name)
		return false
	}
	t, err := c.catalog.trait(name)
	if err != nil {
		c.fail(err)
		return false
	}
	switch {
	case t == volatile || name == "age" && len(n.list("children")) == 1:
		f.fault(n, notDeterministicHint, "%s is not a function of the record", name)
	case t == table:
		f.fault(n, unnestHint, "%s makes several rows of one", name)
	case t == aggregate && !aggregates:
		f.fault(n, "Count and sum in a metric over this model.", "the aggregate %s is not possible here", name)
	default:
		return true
	}
	return false
}

const unnestHint = "In a metric, write FROM model, unnest(list) AS t(item); a model keeps the list."

// checkShape notes the parts of a SELECT that neither a model nor a metric may have. It tells whether
// there is a SELECT to look into.
func (c *compilation) checkShape(f *file, n node, only string) bool {
	if n.text("type") != "SELECT_NODE" {
		what := strings.ToLower(strings.TrimSuffix(n.text("type"), "_NODE"))
		what = map[string]string{"set_operation": "UNION, EXCEPT or INTERSECT", "recursive_cte": "a recursive WITH", "cte": "WITH"}[what]
		if what == "" {
			what = "this kind of statement"
		}
		f.faultAt(f.start, only, "%s is not possible here", what)
		return false
	}
	if n.hasCTE() {
		f.faultAt(f.start, only, "WITH is not possible here")
	}
	refuse := func(part node, what, hint string) {
		if part != nil {
			f.fault(part, hint, "%s is not possible here", what)
		}
	}
	refuse(n.child("having"), "HAVING", "A group that is left out now could come back with the next record: filter when you read the metric.")
	refuse(n.child("qualify"), "QUALIFY", only)
	refuse(n.child("sample"), "USING SAMPLE", notDeterministicHint)
	for _, m := range n.list("modifiers") {
		switch m.text("type") {
		case "ORDER_MODIFIER":
			refuse(m, "ORDER BY", "Rows have no order at rest: order them when you read.")
		case "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER":
			refuse(m, "LIMIT", "Every row counts: limit them when you read.")
		case "DISTINCT_MODIFIER":
			f.faultAt(f.start, "In a metric, GROUP BY the columns; a model keeps one row per record.", "SELECT DISTINCT is not possible here")
		}
	}
	return true
}

// hasCTE tells whether the statement starts with WITH.
func (n node) hasCTE() bool {
	entries, _ := n.child("cte_map")["map"].([]any)
	return len(entries) > 0
}
