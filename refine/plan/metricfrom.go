package plan

import (
	"fmt"

	"github.com/pinflow/pinflow"
)

// readFrom finds the model and the lists that are unnested; false with a fault noted if FROM is anything else.
func (m *metric) readFrom(from node) bool {
	m.scope = &scope{file: m.file, aliases: map[string]node{}}
	resolved := m.readRelation(from)
	if resolved == nil {
		return false
	}
	text, err := m.engine.from(resolved)
	if err != nil {
		m.fail(err)
		return false
	}
	m.from = text
	return true
}

// readRelation returns a part of FROM with its names resolved, nil with a fault noted if it can't be there.
func (m *metric) readRelation(n node) node {
	if n.child("sample") != nil {
		m.file.fault(n, notDeterministicHint, "TABLESAMPLE is not possible here")
		return nil
	}
	switch n.text("type") {
	case "BASE_TABLE":
		return m.readModel(n)
	case "TABLE_FUNCTION":
		return m.readUnnest(n)
	case "JOIN":
		if n.text("ref_type") == "CROSS" {
			left := m.readRelation(n.child("left"))
			if left == nil {
				return nil
			}
			right := m.readRelation(n.child("right"))
			if right == nil {
				return nil
			}
			joined := n.without()
			joined["left"], joined["right"] = map[string]any(left), map[string]any(right)
			return joined
		}
		m.file.fault(n, metricShape, "a join is not possible in a metric")
	case "EMPTY":
		m.file.faultAt(m.file.start, metricShape, "the metric reads no model")
	case "SUBQUERY":
		m.file.fault(n, "Write FROM model, unnest(list) AS t(item), or clean in the model.", "a subquery is not possible in a metric")
	default:
		m.file.fault(n, metricShape, "FROM holds something other than a model")
	}
	return nil
}

func (m *metric) readModel(n node) node {
	name := n.text("table_name")
	if m.model != nil {
		m.file.fault(n, metricShape, "a join is not possible in a metric")
		return nil
	}
	if n.text("schema_name") == "" {
		for known, model := range m.models {
			if sameName(known, name) {
				m.model = model
			}
		}
	}
	if m.model == nil {
		if !m.broken[name] {
			m.file.fault(n, "Read one of the pipeline's models.", "there is no model %s", name)
		}
		return nil
	}
	if len(n.names("column_name_alias")) > 0 {
		m.file.fault(n, "Name the columns in the select list.", "a list of column names is not possible here")
		return nil
	}
	m.relation = n.text("alias")
	if m.relation == "" {
		m.relation = m.model.Name
	}
	m.scope.relations = append(m.scope.relations, relation{m.relation, m.model.Columns})
	return n
}

// readUnnest adds the column that unnest(list) AS t(item) makes.
func (m *metric) readUnnest(n node) node {
	call := n.child("function")
	name := call.function()
	if name != "unnest" && name != "unlist" || len(call.list("children")) != 1 || m.model == nil {
		m.file.fault(n, metricShape, "FROM holds %s, not a model", name)
		return nil
	}
	m.checkExpr(m.file, call.list("children")[0], false)
	list := m.scope.resolve(call.list("children")[0])
	if m.file.failed() {
		return nil
	}
	r := relation{name: n.text("alias")}
	item := "unnest"
	if names := n.names("column_name_alias"); len(names) > 0 {
		item = names[0]
	} else if r.name != "" {
		item = r.name
	}
	if r.name == "" {
		r.name = "unnest"
	}
	r.columns = []pinflow.Column{{Name: item}}
	m.scope.relations = append(m.scope.relations, r)
	resolved, inner := n.without(), call.without()
	if !list.isColumn() {
		list = node{"class": "OPERATOR", "type": "OPERATOR_TRY", "alias": "", "children": []any{map[string]any(list)}}
	}
	inner["children"] = []any{map[string]any(list)}
	resolved["function"], resolved["alias"], resolved["column_name_alias"] = map[string]any(inner), r.name, []any{item}
	return resolved
}

// number64 is a JSON number's digits.
func number64(v any) string { return fmt.Sprint(v) }
