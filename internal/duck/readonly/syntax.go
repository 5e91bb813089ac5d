package readonly

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// maxSQL is how long SQL from a user may be. DuckDB takes seconds to plan a thousand times more.
const maxSQL = 64 << 10

// parsed is what DuckDB's parser says of a text.
type parsed struct {
	Error        bool             `json:"error"`
	ErrorMessage string           `json:"error_message"`
	Statements   []map[string]any `json:"statements"`
}

// parse has DuckDB parse a text. Anything but SELECTs is an Invalid error.
func parse(ctx context.Context, q Querier, on, text string) (*parsed, error) {
	if len(text) > maxSQL {
		return nil, invalid(on, "", fmt.Errorf("it is longer than %d KiB", maxSQL>>10))
	}
	var tree string
	if err := q.QueryRowContext(ctx, "SELECT json_serialize_sql(?::VARCHAR)::VARCHAR", text).Scan(&tree); err != nil {
		return nil, err
	}
	var p parsed
	if err := json.Unmarshal([]byte(tree), &p); err != nil {
		return nil, err
	}
	if p.Error {
		message := strings.Replace(p.ErrorMessage, "Only SELECT statements can be serialized to json!", "only a SELECT is taken", 1)
		return nil, invalid(on, "", fmt.Errorf("%s", message))
	}
	return &p, nil
}

// Select checks that text is exactly one SELECT that changes nothing and reads no files, and returns it as a FROM
// clause, named and in brackets, with what it reads.
func Select(ctx context.Context, q Querier, text string) (from string, reads Reads, err error) {
	whole, err := parse(ctx, q, "SQL", text)
	if err != nil {
		return "", reads, err
	}
	if n := len(whole.Statements); n != 1 {
		return "", reads, invalid("SQL", "", fmt.Errorf("one SELECT is taken, there are %d", n))
	}
	if err := harmless("SQL", whole.Statements); err != nil {
		return "", reads, err
	}
	head, err := withoutSemicolon(ctx, q, text, whole)
	if err != nil {
		return "", reads, err
	}
	return "(\n" + head + "\n) AS q", readsOf(whole.Statements), nil
}

// withoutSemicolon cuts text before the semicolon that ends its one statement, which would stand inside the brackets. Which
// one that is only the parser knows: what stands before it is the same SELECT.
func withoutSemicolon(ctx context.Context, q Querier, text string, whole *parsed) (string, error) {
	head := text
	for range 16 {
		p, err := parse(ctx, q, "SQL", head)
		if err == nil && reflect.DeepEqual(p.Statements, whole.Statements) {
			if p, err := parse(ctx, q, "SQL", "FROM (\n"+head+"\n) AS q"); err == nil && len(p.Statements) == 1 {
				return head, nil
			}
		}
		i := strings.LastIndexByte(head, ';')
		if i < 0 {
			break
		}
		head = head[:i]
	}
	return "", invalid("SQL", "Leave out semicolons and comments at the end.", fmt.Errorf("it cannot stand in brackets"))
}

// Expression checks that text is one expression and nothing else, however it is put between brackets.
func Expression(ctx context.Context, q Querier, text string) error {
	const on = "where"
	p, err := parse(ctx, q, on, "SELECT\n"+text)
	if err != nil {
		return err
	}
	if len(p.Statements) != 1 || !isBareExpression(p.Statements[0]["node"]) {
		return invalid(on, "Write what would stand behind WHERE: category = 'art' AND posts > 10.", fmt.Errorf("it is not one expression"))
	}
	if _, err := parse(ctx, q, on, "SELECT 1 WHERE (\n"+text+"\n)"); err != nil {
		return err
	}
	if anyNode(p.Statements, func(n map[string]any) bool { return n["class"] == "SUBQUERY" }) {
		return invalid(on, "Use SQL for queries within queries.", fmt.Errorf("it reads more than the view's columns"))
	}
	return harmless(on, p.Statements)
}

// isBareExpression tells whether a SELECT is one expression without a name, and no clause beside it.
func isBareExpression(node any) bool {
	n, ok := node.(map[string]any)
	if !ok || !isBareSelect(n) {
		return false
	}
	from, _ := n["from_table"].(map[string]any)
	list, _ := n["select_list"].([]any)
	if from["type"] != "EMPTY" || len(list) != 1 {
		return false
	}
	e, _ := list[0].(map[string]any)
	return e["alias"] == "" && e["class"] != "STAR"
}

// isBareSelect tells whether a SELECT has no clauses but FROM.
func isBareSelect(n map[string]any) bool {
	if n["type"] != "SELECT_NODE" {
		return false
	}
	for _, clause := range []string{"where_clause", "having", "qualify", "sample"} {
		if n[clause] != nil {
			return false
		}
	}
	for _, clause := range []string{"modifiers", "group_expressions", "group_sets"} {
		if l, _ := n[clause].([]any); len(l) > 0 {
			return false
		}
	}
	return true
}

// Projection tells whether text is a SELECT of nothing but columns of one table, each under its own name, and of which table. A store
// can then read the table another way.
func Projection(ctx context.Context, q Querier, text string) (table string, ok bool, err error) {
	p, err := parse(ctx, q, "view", text)
	if err != nil {
		return "", false, err
	}
	if len(p.Statements) != 1 {
		return "", false, nil
	}
	n, ok := p.Statements[0]["node"].(map[string]any)
	if !ok || !isBareSelect(n) {
		return "", false, nil
	}
	from, _ := n["from_table"].(map[string]any)
	list, _ := n["select_list"].([]any)
	for _, item := range list {
		e, _ := item.(map[string]any)
		replaced, _ := e["replace_list"].([]any)
		renamed, _ := e["rename_list"].([]any)
		if e["class"] != "STAR" && e["class"] != "COLUMN_REF" || e["alias"] != "" || len(replaced)+len(renamed) > 0 {
			return "", false, nil
		}
	}
	table, _ = from["table_name"].(string)
	return table, from["type"] == "BASE_TABLE" && from["sample"] == nil, nil
}

// tableFunctions are those that a user's SQL may call: none reads files, none changes anything.
var tableFunctions = []string{"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree",
	"duckdb_columns", "duckdb_tables", "duckdb_views", "duckdb_schemas", "duckdb_functions", "duckdb_types", "pragma_table_info"}

// deniedFunctions change something, or tell what is none of a reader's business.
var deniedFunctions = []string{"nextval", "currval", "write_log", "getenv", "setseed", "getvariable"}

// harmless refuses what a SELECT could do besides reading the store's tables.
func harmless(on string, statements []map[string]any) error {
	var reason string
	anyNode(statements, func(n map[string]any) bool {
		name, _ := n["function_name"].(string)
		table, _ := n["table_name"].(string)
		switch {
		case n["class"] == "PARAMETER":
			reason = "there is a parameter in it, and no value for it"
		case n["type"] == "TABLE_FUNCTION":
			f, _ := n["function"].(map[string]any)
			called, _ := f["function_name"].(string)
			if !slices.Contains(tableFunctions, strings.ToLower(called)) {
				reason = "the table function " + called + " is not allowed"
			}
		case n["class"] == "FUNCTION" && slices.Contains(deniedFunctions, strings.ToLower(name)):
			reason = "the function " + name + " is not allowed"
		case n["type"] == "BASE_TABLE" && (ofOthers(text(n, "catalog_name")) || ofOthers(text(n, "schema_name"))):
			reason = "the database is not for reading"
		case n["type"] == "BASE_TABLE" && strings.ContainsAny(table, "./\\*:"):
			reason = fmt.Sprintf("%q is a file, not a table", table)
		}
		return reason != ""
	})
	if reason != "" {
		return invalid(on, "", fmt.Errorf("%s", reason))
	}
	return nil
}

// ofOthers tells whether a database is one in which others keep what they are working on.
func ofOthers(database string) bool { return strings.HasPrefix(database, "scratch_") }

// anyNode tells whether f is true of some object in the tree.
func anyNode(tree any, f func(map[string]any) bool) bool {
	switch t := tree.(type) {
	case []map[string]any:
		return slices.ContainsFunc(t, func(n map[string]any) bool { return anyNode(n, f) })
	case []any:
		return slices.ContainsFunc(t, func(n any) bool { return anyNode(n, f) })
	case map[string]any:
		if f(t) {
			return true
		}
		for _, n := range t {
			if anyNode(n, f) {
				return true
			}
		}
	}
	return false
}
