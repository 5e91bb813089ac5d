package plan

import (
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
)

// relation is something in FROM: its name there and its columns.
type relation struct {
	name    string
	columns []pinflow.Column
}

// scope is what names mean in a statement.
type scope struct {
	file      *file
	relations []relation
	aliases   map[string]node // of the select list, lower case, already resolved
}

// resolve returns a copy of an expression in which every column is written relation.column and every alias is
// replaced by what it stands for. SQL looks for a column first, then for an alias.
func (s *scope) resolve(n node) node { return s.resolveIn(n, nil) }

func (s *scope) resolveIn(n node, lambda []string) node {
	return n.rewrite(func(n node) node {
		switch {
		case n.is("LAMBDA"):
			copied := n.without()
			inner := slices.Concat(lambda, lambdaNames(n.child("lhs")))
			copied["expr"] = map[string]any(s.resolveIn(n.child("expr"), inner))
			return copied
		case n.isColumn():
			return s.column(n, lambda)
		}
		return nil
	})
}

// lambdaNames are the parameters of a lambda.
func lambdaNames(lhs node) (names []string) {
	if lhs.isColumn() {
		return lhs.names("column_names")
	}
	for _, c := range lhs.list("children") {
		names = append(names, c.names("column_names")...)
	}
	return names
}

func (s *scope) column(n node, lambda []string) node {
	names := n.names("column_names")
	if slices.ContainsFunc(lambda, func(l string) bool { return sameName(l, names[0]) }) {
		return n
	}
	for _, r := range s.relations {
		if len(names) > 1 && sameName(r.name, names[0]) {
			if c := r.column(names[1]); c != "" {
				return s.named(n, r.name, c, names[2:])
			}
		}
	}
	for _, r := range s.relations {
		if c := r.column(names[0]); c != "" {
			return s.named(n, r.name, c, names[1:])
		}
	}
	if other, ok := s.aliases[strings.ToLower(names[0])]; ok && len(names) == 1 {
		return withAlias(other, n.text("alias"))
	}
	s.unknown(n, names)
	return n
}

// named is n as relation.column and the fields behind it.
func (s *scope) named(n node, relation, name string, fields []string) node {
	full := column(append([]string{relation, name}, fields...)...)
	full["alias"] = n.text("alias")
	if at, ok := n["query_location"]; ok {
		full["query_location"] = at
	}
	return full
}

func (s *scope) unknown(n node, names []string) {
	name := strings.Join(names, ".")
	if len(names) == 1 && isClock(name) {
		s.file.fault(n, notDeterministicHint, "%s is not a function of the record", strings.ToLower(name))
		return
	}
	var known []string
	for _, r := range s.relations {
		for _, c := range r.columns {
			known = append(known, c.Name)
		}
	}
	s.file.fault(n, "There are "+strings.Join(known, ", ")+".", "there is no column %s", name)
}

// column returns the column's name as it is written where it is made, "" if there is none.
func (r relation) column(name string) string {
	for _, c := range r.columns {
		if sameName(c.Name, name) {
			return c.Name
		}
	}
	return ""
}

// sameName compares as DuckDB does: without regard to the case of A to Z, and of no other letter.
func sameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
