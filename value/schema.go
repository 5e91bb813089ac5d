package value

import (
	"github.com/pinflow/pinflow"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is a compiled JSON Schema of a source's records. It is safe for concurrent use.
type Schema struct {
	fields   []field        // the properties in the schema's order, then names only required
	index    map[string]int // into fields
	columns  []pinflow.Column
	required []int // into fields
	closed   bool  // additionalProperties: false
	// full checks all keywords on the decoded value. It is nil if the rules of fields say all that the
	// schema does; else of these only the types are checked.
	full *jsonschema.Schema
}

// field is what the schema says of one top-level name.
type field struct {
	name     string
	declared bool // in properties
	rule     *rule
}

// Columns returns the schema's properties in its order with the DuckDB types that hold them
// exactly: VARCHAR, BIGINT, DOUBLE, BOOLEAN for a property with that one type (or null), a list of one of these for an
// array whose items have one, JSON for anything else.
func (s *Schema) Columns() []pinflow.Column { return append([]pinflow.Column(nil), s.columns...) }

// lookup returns the index of the field with that name, -1 if the schema does not know it. Records mostly have
// the schema's order, so hint is tried first.
func (s *Schema) lookup(name []byte, hint int) int {
	if hint < len(s.fields) && s.fields[hint].name == string(name) {
		return hint
	}
	if i, ok := s.index[string(name)]; ok {
		return i
	}
	return -1
}

// column returns the DuckDB type that holds whatever satisfies the rule.
func (r *rule) column() string {
	if r.types&^typeNull == typeArray && r.items != nil && !r.tuple {
		if t := r.items.types &^ typeNull; t.sql() != "" {
			return t.sql() + "[]"
		}
	}
	if t := (r.types &^ typeNull).sql(); t != "" {
		return t
	}
	return "JSON"
}
