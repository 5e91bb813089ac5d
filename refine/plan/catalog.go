package plan

import "strings"

// trait is what the compiler has to know of a function.
type trait uint8

const (
	plain     trait = iota // a function of its arguments
	unknown                // not in DuckDB's catalog: binding will say so
	aggregate              // of many rows
	volatile               // of anything else than its arguments
	table                  // yields rows
)

// catalog knows every function of DuckDB that is not plain.
type catalog struct {
	traits map[string]trait
	macros map[string][]string // the texts of a macro's overloads
	engine *engine
}

// beyondArguments are functions that DuckDB calls consistent although they depend on more than their arguments:
// a setting, the clock, a variable of the session.
const beyondArguments = "current_setting getvariable current_localtime current_localtimestamp version pg_typeof json_serialize_plan write_log add_parquet_key vector_type stats"

// clockNames are keywords that look like columns.
const clockNames = "current_date current_time current_timestamp localtime localtimestamp current_user current_role session_user current_catalog current_schema"

func (e *engine) catalog() (*catalog, error) {
	c := &catalog{traits: map[string]trait{}, macros: map[string][]string{}, engine: e}
	rows, err := e.conn.QueryContext(e.ctx, `SELECT DISTINCT lower(function_name), CASE function_type
			WHEN 'aggregate' THEN 'aggregate' WHEN 'macro' THEN 'macro'
			WHEN 'scalar' THEN CASE WHEN stability = 'CONSISTENT' AND NOT has_side_effects THEN 'plain' ELSE 'volatile' END
			ELSE 'table' END, coalesce(macro_definition, '')
		FROM duckdb_functions() ORDER BY 1, 2, 3`)
	if err != nil {
		return nil, engineError("list functions", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name, kind, macro string
		if err := rows.Scan(&name, &kind, &macro); err != nil {
			return nil, engineError("list functions", err)
		}
		if kind == "macro" {
			c.macros[name] = append(c.macros[name], macro)
			continue
		}
		is := map[string]trait{"plain": plain, "aggregate": aggregate, "volatile": volatile, "table": table}[kind]
		if known, ok := c.traits[name]; !ok || is != table && (known == table || is > known) {
			c.traits[name] = is
		}
	}
	if err := rows.Err(); err != nil {
		return nil, engineError("list functions", err)
	}
	for name := range strings.FieldsSeq(beyondArguments) {
		c.traits[name] = volatile
	}
	c.traits["unnest"], c.traits["unlist"] = table, table
	return c, nil
}

// trait returns what the function of that name is. A macro is what it is made of.
func (c *catalog) trait(name string) (trait, error) {
	if t, ok := c.traits[name]; ok {
		return t, nil
	}
	texts, ok := c.macros[name]
	if !ok {
		return unknown, nil
	}
	c.traits[name] = plain // while it is looked at
	worst := plain
	for _, text := range texts {
		tree, refused, err := c.engine.parse("SELECT " + text)
		if err != nil {
			return plain, err
		}
		if refused != nil {
			worst = volatile // a macro that reads tables
			continue
		}
		t, err := c.worst(tree)
		if err != nil {
			return plain, err
		}
		worst = max(worst, t)
	}
	c.traits[name] = worst
	return worst, nil
}

// worst is the trait of the least harmless function in a tree.
func (c *catalog) worst(tree node) (worst trait, err error) {
	tree.walk(func(n node) bool {
		var t trait
		switch {
		case n.isFunction():
			t, err = c.trait(n.function())
		case n.isColumn():
			if names := n.names("column_names"); len(names) == 1 && isClock(names[0]) {
				t = volatile
			}
		case n.is("SUBQUERY"):
			t = volatile
		}
		if t != unknown {
			worst = max(worst, t)
		}
		return err == nil
	})
	return worst, err
}

// isClock tells whether a name that is no column is one of SQL's keywords for the clock or the session.
func isClock(name string) bool {
	for known := range strings.FieldsSeq(clockNames) {
		if strings.EqualFold(name, known) {
			return true
		}
	}
	return false
}
