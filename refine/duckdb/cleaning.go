package duckdb

import (
	"context"
	"database/sql"
	encoding "encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// cleaning is what a bench has for the rows of a model, or of several whose SQL yields the same columns of the same source and which
// differ in what they reject: their rows are computed once.
type cleaning struct {
	source  *source
	columns []pinflow.Column // of the model's rows
	sql     string           // yields the columns and then a _reject for each model
	careful string           // yields the same and never fails, "" if there is no such text
	table   string           // qualified: _period, _topic, the columns, a _reject for each model
	rejects []string         // the names of these
	failed  map[int]string   // records for which the SQL fails: the reason by number
	done    bool             // the table has the rows of the batch
	used    bool             // the table is not empty
}

// cleaningOf returns the cleaning that a model shares with one before it, else one of its own.
func (b *bench) cleaningOf(ctx context.Context, m *model) (*cleaning, error) {
	for _, other := range b.models {
		c := other.cleaning
		if c == nil || c.source != m.source || m.Careful == "" || c.careful == "" || !slices.Equal(c.columns, m.Columns) {
			continue
		}
		reject := "_reject_" + strconv.Itoa(len(c.rejects)+1)
		text, ok, err := joint(ctx, b.conn, c.sql, m.SQL, reject)
		if err != nil {
			return nil, err
		}
		careful, both, err := joint(ctx, b.conn, c.careful, m.Careful, reject)
		if err != nil {
			return nil, err
		}
		if ok && both && explain(ctx, b.conn, []string{text, careful}) == nil {
			c.sql, c.careful, c.rejects = text, careful, append(c.rejects, reject)
			return c, nil
		}
	}
	return &cleaning{source: m.source, columns: m.Columns, sql: m.SQL, careful: m.Careful, table: b.scratch + "." + duck.Quote("model "+m.Name),
		rejects: []string{"_reject"}, failed: map[int]string{}, used: true}, nil
}

// tableColumns are those of the table.
func (c *cleaning) tableColumns() []pinflow.Column {
	all := rowColumns(c.columns)
	for _, name := range c.rejects {
		all = append(all, pinflow.Column{Name: name, Type: "VARCHAR"})
	}
	return all
}

// rowColumns are those of the rows that the store keeps.
func rowColumns(columns []pinflow.Column) []pinflow.Column {
	return append([]pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_topic", Type: "VARCHAR"}}, columns...)
}

// joint writes a SELECT that yields what one SELECT does and then the last column of another, by a name. False if the two are not
// the same up to their last columns.
func joint(ctx context.Context, conn *sql.Conn, one, other, name string) (text string, ok bool, err error) {
	a, err := parse(ctx, conn, one)
	if err != nil {
		return "", false, err
	}
	b, err := parse(ctx, conn, other)
	if err != nil {
		return "", false, err
	}
	listA, listB := selectList(a), selectList(b)
	if len(listA) < len(listB) || len(listB) == 0 {
		return "", false, nil
	}
	last, isNode := listB[len(listB)-1].(map[string]any)
	if !isNode || !reflect.DeepEqual(listA[:len(listB)-1], listB[:len(listB)-1]) {
		return "", false, nil
	}
	setSelectList(a, nil)
	setSelectList(b, nil)
	if !reflect.DeepEqual(a, b) {
		return "", false, nil
	}
	last["alias"] = name
	setSelectList(a, append(slices.Clip(listA), last))
	written, err := encoding.Marshal(a)
	if err == nil {
		err = conn.QueryRowContext(ctx, "SELECT json_deserialize_sql(?::JSON)", string(written)).Scan(&text)
	}
	return text, err == nil, err
}

// parse returns the syntax tree of a SELECT, without what tells where it stands.
func parse(ctx context.Context, conn *sql.Conn, text string) (map[string]any, error) {
	var written string
	if err := conn.QueryRowContext(ctx, "SELECT json_serialize_sql(?::VARCHAR)::VARCHAR", text).Scan(&written); err != nil {
		return nil, err
	}
	var tree map[string]any
	d := encoding.NewDecoder(strings.NewReader(written))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	if tree["error"] == true {
		return nil, fmt.Errorf("%v: %s", tree["error_message"], text)
	}
	forget(tree, "query_location")
	return tree, nil
}

// forget removes a field everywhere in a tree.
func forget(n any, field string) {
	switch n := n.(type) {
	case []any:
		for _, child := range n {
			forget(child, field)
		}
	case map[string]any:
		delete(n, field)
		for _, child := range n {
			forget(child, field)
		}
	}
}

// selectNode returns the tree's one SELECT, nil if there is none.
func selectNode(tree map[string]any) map[string]any {
	statements, _ := tree["statements"].([]any)
	if len(statements) != 1 {
		return nil
	}
	statement, _ := statements[0].(map[string]any)
	node, _ := statement["node"].(map[string]any)
	return node
}

func selectList(tree map[string]any) []any {
	list, _ := selectNode(tree)["select_list"].([]any)
	return list
}

func setSelectList(tree map[string]any, list []any) { selectNode(tree)["select_list"] = list }
