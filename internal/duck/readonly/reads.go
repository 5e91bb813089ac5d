package readonly

import (
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
)

// Reads is what a statement reads, or a little more than that: for a store that fetches it first.
type Reads struct {
	// Catalog tells that it asks which tables and columns there are.
	Catalog bool
	tables  map[string]bool // names of tables, in small letters, and whether columns are read that are not named
	words   map[string]bool // every name that could be a column's
	whole   bool            // columns that are not named may be read of any table
}

// Table tells whether the statement may read a table of that name, in whatever schema.
func (r *Reads) Table(name string) bool {
	_, ok := r.tables[strings.ToLower(name)]
	return ok
}

// Columns returns those of a table's columns that the statement may read.
func (r *Reads) Columns(table string, columns []pinflow.Column) []pinflow.Column {
	if r.whole || r.tables[strings.ToLower(table)] {
		return columns
	}
	return slices.DeleteFunc(slices.Clone(columns), func(c pinflow.Column) bool { return !r.words[strings.ToLower(c.Name)] })
}

// All is what a statement reads that reads all of one table.
func All(table string) Reads { return Reads{tables: map[string]bool{strings.ToLower(table): true}} }

// readsOf looks for what a statement reads. A name counts wherever it stands, so a table that WITH defines, or a column of another
// table, can add to it.
func readsOf(statements []map[string]any) Reads {
	r := Reads{tables: map[string]bool{}, words: map[string]bool{}}
	relations := map[string]bool{} // what a column's name could mean besides: a whole row
	anyNode(statements, func(n map[string]any) bool {
		for _, key := range []string{"alias", "table_name"} {
			if name := text(n, key); name != "" {
				relations[name] = true
			}
		}
		return false
	})
	for _, s := range statements {
		r.add(s, nil, relations)
	}
	return r
}

// text is a node's text in small letters, as names are compared.
func text(n map[string]any, key string) string {
	s, _ := n[key].(string)
	return strings.ToLower(s)
}

// add notes what a part of the tree reads. The tables of the SELECTs around it are scopes, the innermost first.
func (r *Reads) add(tree any, scopes [][]string, relations map[string]bool) {
	switch t := tree.(type) {
	case string:
		r.words[strings.ToLower(t)] = true
	case []any:
		for _, n := range t {
			r.add(n, scopes, relations)
		}
	case map[string]any:
		switch t["type"] {
		case "SHOW_REF":
			if t["show_type"] != "SUMMARY" {
				r.Catalog = true // and what it describes is not read
				return
			}
		case "SELECT_NODE":
			scopes = append([][]string{tablesIn(t["from_table"])}, scopes...)
		}
		r.node(t, scopes, relations)
		for _, n := range t {
			r.add(n, scopes, relations)
		}
	}
}

// tablesIn are the names of the tables that stand in a FROM clause, not in a SELECT within it.
func tablesIn(from any) []string {
	n, _ := from.(map[string]any)
	switch n["type"] {
	case "BASE_TABLE":
		return []string{text(n, "table_name")}
	case "JOIN":
		return append(tablesIn(n["left"]), tablesIn(n["right"])...)
	case "PIVOT":
		return tablesIn(n["source"])
	}
	return nil
}

// node notes what a node of the tree reads by itself.
func (r *Reads) node(n map[string]any, scopes [][]string, relations map[string]bool) {
	switch n["type"] {
	case "BASE_TABLE":
		name := text(n, "table_name")
		renamed, _ := n["column_name_alias"].([]any)
		r.read(len(renamed) > 0, name)
		r.Catalog = r.Catalog || ofCatalog(name) || ofCatalog(text(n, "schema_name"))
	case "TABLE_FUNCTION":
		f, _ := n["function"].(map[string]any)
		r.Catalog = r.Catalog || ofCatalog(text(f, "function_name"))
	case "COLUMN_REF":
		names, _ := n["column_names"].([]any)
		last := ""
		if len(names) > 0 {
			last, _ = names[len(names)-1].(string)
		}
		r.whole = r.whole || relations[strings.ToLower(last)]
	case "STAR":
		for i, scope := range scopes {
			if i == 0 || text(n, "relation_name") != "" {
				r.read(true, scope...)
			}
		}
	case "POSITIONAL_REFERENCE":
		r.whole = true
	case "PIVOT":
		r.read(true, tablesIn(n)...)
	case "JOIN":
		if n["ref_type"] == "NATURAL" {
			r.read(true, tablesIn(n)...)
		}
	}
}

// read notes that tables are read, with columns that are not named or without.
func (r *Reads) read(whole bool, tables ...string) {
	for _, name := range tables {
		r.tables[name] = r.tables[name] || whole
	}
}

// ofCatalog tells whether a name is that of a schema, view or function that lists tables.
func ofCatalog(name string) bool {
	return name == "information_schema" || slices.ContainsFunc([]string{"duckdb_", "pragma_", "pg_", "sqlite_"}, func(p string) bool { return strings.HasPrefix(name, p) })
}
