package plan

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
)

// node is one node of DuckDB's syntax tree as json_serialize_sql writes it.
type node map[string]any

func (n node) text(key string) string {
	s, _ := n[key].(string)
	return s
}

func (n node) flag(key string) bool {
	b, _ := n[key].(bool)
	return b
}

// child returns the node under key, nil if there is none.
func (n node) child(key string) node {
	m, _ := n[key].(map[string]any)
	return m
}

// list returns the nodes of the list under key.
func (n node) list(key string) []node { return nodes(n[key]) }

func nodes(v any) []node {
	list, _ := v.([]any)
	var all []node
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

// names returns the parts of a column reference, or of another list of strings.
func (n node) names(key string) []string {
	list, _ := n[key].([]any)
	var all []string
	for _, item := range list {
		s, _ := item.(string)
		all = append(all, s)
	}
	return all
}

func (n node) isExpr() bool         { return n.text("class") != "" }
func (n node) is(class string) bool { return n.text("class") == class }
func (n node) isColumn() bool       { return n.is("COLUMN_REF") }
func (n node) function() string     { return strings.ToLower(n.text("function_name")) }
func (n node) isFunction() bool     { return n.is("FUNCTION") }

// offset returns where the node, or the first part of it that says so, stands in the text; -1 if none does.
func (n node) offset() int {
	if at, ok := n["query_location"].(json.Number); ok {
		if i, err := at.Int64(); err == nil {
			return int(i)
		}
	}
	first := math.MaxInt
	for _, c := range n.children() {
		if at := c.offset(); at >= 0 {
			first = min(first, at)
		}
	}
	if first == math.MaxInt {
		return -1
	}
	return first
}

// children returns the nodes right under n, expressions and others, in a fixed order.
func (n node) children() []node {
	var all []node
	for _, key := range sortedKeys(n) {
		switch v := n[key].(type) {
		case map[string]any:
			all = append(all, v)
		case []any:
			all = append(all, nodes(v)...)
		}
	}
	return all
}

// walk calls f with n and what is below, until f returns false for a branch.
func (n node) walk(f func(node) bool) {
	if !f(n) {
		return
	}
	for _, c := range n.children() {
		c.walk(f)
	}
}

// any tells whether f holds for n or anything below.
func (n node) any(f func(node) bool) bool {
	found := false
	n.walk(func(c node) bool {
		found = found || f(c)
		return !found
	})
	return found
}

// rewrite returns a copy of n in which f has replaced the expressions that it returns something for, from
// the outside in; what f returns is not looked into again.
func (n node) rewrite(f func(node) node) node {
	if n.isExpr() {
		if other := f(n); other != nil {
			return other
		}
	}
	copied := make(node, len(n))
	for key, v := range n {
		copied[key] = rewriteAny(v, f)
	}
	return copied
}

func rewriteAny(v any, f func(node) node) any {
	switch v := v.(type) {
	case map[string]any:
		return map[string]any(node(v).rewrite(f))
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = rewriteAny(v[i], f)
		}
		return list
	}
	return v
}

// without returns a shallow copy that lacks the keys.
func (n node) without(keys ...string) node {
	copied := make(node, len(n))
	for key, v := range n {
		if !slices.Contains(keys, key) {
			copied[key] = v
		}
	}
	return copied
}

// withAlias returns a shallow copy that has the alias.
func withAlias(n node, alias string) node {
	copied := n.without()
	copied["alias"] = alias
	return copied
}

// signature is equal for expressions that say the same at other places of the text.
func (n node) signature() string {
	text, _ := json.Marshal(bare(map[string]any(n.without("alias"))))
	return string(text)
}

func bare(v any) any {
	switch v := v.(type) {
	case map[string]any:
		copied := make(map[string]any, len(v))
		for key, item := range v {
			if key != "query_location" {
				copied[key] = bare(item)
			}
		}
		return copied
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = bare(v[i])
		}
		return list
	}
	return v
}

func sortedKeys(n node) []string {
	keys := make([]string, 0, len(n))
	for key := range n {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// column makes a reference to a column.
func column(names ...string) node {
	parts := make([]any, len(names))
	for i := range names {
		parts[i] = names[i]
	}
	return node{"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": parts}
}
