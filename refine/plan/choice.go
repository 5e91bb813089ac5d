package plan

import "strings"

// comparison compiles left op right.
func (m *metric) comparison(n node, typ string, left, right value) value {
	op, ok := map[string]string{"COMPARE_EQUAL": "=", "COMPARE_NOTEQUAL": "<>", "COMPARE_LESSTHAN": "<", "COMPARE_GREATERTHAN": ">",
		"COMPARE_LESSTHANOREQUALTO": "<=", "COMPARE_GREATERTHANOREQUALTO": ">=",
		"COMPARE_DISTINCT_FROM": "IS DISTINCT FROM", "COMPARE_NOT_DISTINCT_FROM": "IS NOT DISTINCT FROM"}[typ]
	both, same := m.alike(n, []value{left, right})
	switch {
	case m.file.failed():
		return nothing()
	case !ok || !same || strings.HasPrefix(op, "IS") && both[0].kind == isNumber && (both[0].isQuotient() || both[1].isQuotient()):
		return m.refuse(n, "this comparison")
	}
	return boolean(both[0].compare(op, both[1]))
}

// alike makes values of one kind and type; constants are cast, NULL is of any type.
func (m *metric) alike(n node, all []value) ([]value, bool) {
	if m.file.failed() {
		return nil, false
	}
	model := nothing()
	for _, v := range all {
		if model.kind == isNothing || model.constant() && v.kind != isNothing {
			model = v
		}
	}
	list := make([]value, len(all))
	for i, v := range all {
		switch {
		case v.kind == isNothing && model.kind == isOther:
			v = other(castTerm(nullTerm(), model.typ), model.typ)
		case v.kind == isNothing:
			v = computed(v.number)
		case v.kind == isOther && v.constant() && v.typ != model.typ && model.kind == isOther:
			v = m.literal(n, castText("CAST("+quoteLiteral(v.as.text)+" AS "+v.typ+")", model.typ))
		}
		if v.kind != model.kind && model.kind != isNothing || v.kind == isOther && v.typ != model.typ {
			m.file.fault(n, "Compare and choose between values of one type: cast inside of the aggregate.", "%s and %s do not go together", model.sort(), v.sort())
			return nil, false
		}
		list[i] = v
	}
	return list, true
}

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// constant tells whether the value is a literal that is no number.
func (v value) constant() bool { return v.kind == isOther && v.as.op == opLiteral }

// sort is what a value is, in words.
func (v value) sort() string {
	if v.kind == isOther {
		return v.typ
	}
	return "a number"
}

// truths compiles booleans.
func (m *metric) truths(all []node) []value {
	list := make([]value, len(all))
	for i := range all {
		list[i] = m.truth(all[i])
	}
	return list
}

func (m *metric) truth(n node) value {
	v := m.value(n)
	switch {
	case m.file.failed():
	case v.kind == isNothing:
		return boolean(castTerm(nullTerm(), "BOOLEAN"))
	case v.typ != "BOOLEAN":
		m.file.fault(n, "Write a comparison.", "%s is not a condition", v.sort())
		return nothing()
	}
	return v
}

func (m *metric) logic(op string, all ...value) value {
	if m.file.failed() {
		return nothing()
	}
	terms := make([]term, len(all))
	for i := range all {
		terms[i] = *all[i].as
	}
	return boolean(infix(op, terms...))
}

// operator compiles NOT, IS NULL, IN and COALESCE.
func (m *metric) operator(n node) value {
	args := n.list("children")
	switch n.text("type") {
	case "OPERATOR_NOT":
		if c := m.truth(args[0]); !m.file.failed() {
			return boolean(not(*c.as))
		}
		return nothing()
	case "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL":
		v := m.value(args[0])
		if m.file.failed() {
			return nothing()
		}
		if n.text("type") == "OPERATOR_IS_NULL" {
			return boolean(v.isNull())
		}
		return boolean(not(v.isNull()))
	case "COMPARE_IN", "COMPARE_NOT_IN":
		return m.in(n, args)
	case "OPERATOR_COALESCE":
		return m.choice(n, "coalesce", args)
	}
	return m.refuse(n, "this operator")
}

func (m *metric) in(n node, args []node) value {
	v := m.value(args[0])
	var equal []value
	for _, a := range args[1:] {
		equal = append(equal, m.comparison(n, "COMPARE_EQUAL", v, m.value(a)))
	}
	found := m.logic("OR", equal...)
	if m.file.failed() || n.text("type") == "COMPARE_IN" {
		return found
	}
	return boolean(not(*found.as))
}

func (m *metric) caseOf(n node) value {
	var conditions []term
	var results []value
	for _, check := range n.list("case_checks") {
		condition := m.truth(check.child("when_expr"))
		results = append(results, m.value(check.child("then_expr")))
		if m.file.failed() {
			return nothing()
		}
		conditions = append(conditions, *condition.as)
	}
	results = append(results, m.value(n.child("else_expr")))
	return m.choose(n, conditions, results)
}

// choose is a CASE between values.
func (m *metric) choose(n node, conditions []term, results []value) value {
	results, ok := m.alike(n, results)
	switch {
	case !ok || m.file.failed():
		return nothing()
	case len(conditions) == 0:
		return results[0]
	case results[0].kind == isOther:
		var parts []term
		for i := range results {
			if i < len(conditions) {
				parts = append(parts, conditions[i])
			}
			parts = append(parts, *results[i].as)
		}
		return other(caseTerm(parts...), results[0].typ)
	}
	numbers := make([]number, len(results))
	for i := range results {
		numbers[i] = results[i].number
	}
	return computed(choose(conditions, numbers))
}

// choice compiles the functions that yield one of their arguments, or NULL, as the CASE that they stand for.
func (m *metric) choice(n node, name string, args []node) value {
	var all []value
	for _, a := range args {
		all = append(all, m.value(a))
	}
	all, ok := m.alike(n, all)
	if !ok || len(all) == 0 {
		return nothing()
	}
	switch name {
	case "nullif":
		return m.choose(n, []term{all[0].compare("=", all[1])}, []value{nothing(), all[0]})
	case "coalesce":
		var conditions []term
		for _, v := range all[:len(all)-1] {
			conditions = append(conditions, not(v.isNull()))
		}
		return m.choose(n, conditions, all)
	}
	op := map[string]string{"greatest": ">=", "least": "<="}[name]
	best := all[0]
	for _, v := range all[1:] {
		condition := infix("OR", v.isNull(), best.compare(op, v))
		best = m.choose(n, []term{condition}, []value{best, v})
	}
	return best
}
