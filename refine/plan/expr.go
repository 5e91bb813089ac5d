package plan

import (
	"strconv"
	"strings"
)

const overAggregates = "Over aggregates there are + - * / // %, round, floor, ceil, trunc, abs, sign, greatest, least, coalesce, nullif, CASE, comparisons, AND, OR, NOT, and casts to integers, DECIMAL and DOUBLE; do other things inside of the aggregate."

// value compiles an expression over aggregates and dimensions. After a fault it returns nothing.
func (m *metric) value(n node) value {
	if m.file.failed() || n == nil {
		return nothing()
	}
	if !m.aggregates(n) {
		if n.any(node.isColumn) {
			return m.key(n)
		}
		if !n.isFunction() {
			return m.constant(n)
		}
	}
	switch n.text("class") {
	case "FUNCTION":
		if t, _ := m.catalog.trait(n.function()); t == aggregate {
			return m.aggregate(n)
		}
		return m.function(n)
	case "CAST":
		return m.cast(n)
	case "CASE":
		return m.caseOf(n)
	case "COMPARISON":
		return m.comparison(n, n.text("type"), m.value(n.child("left")), m.value(n.child("right")))
	case "BETWEEN":
		v := m.value(n.child("input"))
		low := m.comparison(n, "COMPARE_GREATERTHANOREQUALTO", v, m.value(n.child("lower")))
		high := m.comparison(n, "COMPARE_LESSTHANOREQUALTO", v, m.value(n.child("upper")))
		return m.logic("AND", low, high)
	case "CONJUNCTION":
		return m.logic(strings.TrimPrefix(n.text("type"), "CONJUNCTION_"), m.truths(n.list("children"))...)
	case "OPERATOR":
		return m.operator(n)
	}
	return m.refuse(n, "this expression")
}

func (m *metric) refuse(n node, what string) value {
	m.file.fault(n, overAggregates, "%s over aggregates is not possible here", what)
	return nothing()
}

// constant lets DuckDB say what an expression without columns is.
func (m *metric) constant(n node) value {
	text, err := m.engine.expr(n)
	if err != nil {
		m.fail(err)
		return nothing()
	}
	return m.literal(n, text)
}

func (m *metric) literal(n node, text string) value {
	typ, is, err := m.engine.constant(text)
	if err != nil {
		m.file.engineFault(err)
		return nothing()
	}
	typ, ok := storedType(typ)
	_, scale, isDecimal := decimal(typ)
	switch {
	case !ok || !isKey(typ):
		return m.refuse(n, "a constant of this type")
	case !is.Valid:
		return nothing()
	case typ == "DOUBLE":
		m.file.fault(n, "Write it as a decimal, such as 0.25.", "%s is a DOUBLE, with which nothing is exact", text)
		return nothing()
	case isDecimal || isInteger(typ):
		digits := strings.Replace(is.String, ".", "", 1)
		positive := !strings.HasPrefix(digits, "-")
		digits = strings.TrimLeft(strings.TrimPrefix(digits, "-"), "0")
		if digits == "" {
			digits = "0"
		}
		if !positive {
			digits = "-" + digits
		}
		return computed(number{num: integerTerm(digits), den: one, exp: -scale, positive: positive})
	}
	return other(literalTerm(is.String, typ), typ)
}

// numbers compiles expressions that must be exact numbers.
func (m *metric) numbers(n node, all []node) ([]number, bool) {
	list := make([]number, len(all))
	for i := range all {
		v := m.value(all[i])
		switch {
		case m.file.failed():
			return nil, false
		case v.kind == isOther && v.typ == "DOUBLE":
			m.file.fault(all[i], "Cast it inside of the aggregate, such as max(CAST(… AS DECIMAL(18,2))), or round it in the model.", "arithmetic over DOUBLE is not exact")
			return nil, false
		case v.kind == isOther:
			m.file.fault(n, overAggregates, "arithmetic over %s is not possible here", v.typ)
			return nil, false
		}
		list[i] = v.number
	}
	return list, true
}

func (m *metric) function(n node) value {
	name, args := n.function(), n.list("children")
	switch name {
	case "greatest", "least", "nullif":
		return m.choice(n, name, args)
	}
	if !strings.Contains(" + - * / // % mod abs sign floor ceil ceiling trunc round ", " "+name+" ") {
		if !m.aggregates(n) {
			return m.constant(n)
		}
		return m.refuse(n, name)
	}
	places := 0
	if (name == "round" || name == "trunc") && len(args) == 2 {
		var err error
		places, err = strconv.Atoi(number64(args[1].child("value")["value"]))
		if err != nil || places < 0 || places > 18 || name == "trunc" {
			m.file.fault(n, "Write the number of decimals, from 0 to 18, as in round(x, 2).", "%s to this many decimals is not possible here", name)
			return nothing()
		}
		args = args[:1]
	}
	x, ok := m.numbers(n, args)
	switch {
	case !ok:
		return nothing()
	case len(x) == 1:
		return m.unary(n, name, x[0], places)
	case len(x) == 2:
		return m.binary(n, name, x[0], x[1])
	}
	return m.refuse(n, name)
}

func (m *metric) unary(n node, name string, x number, places int) value {
	switch name {
	case "+":
		return computed(x)
	case "-":
		return computed(x.negative())
	case "abs":
		return computed(x.abs())
	case "sign":
		return computed(integerNumber(castTerm(call("sign", x.num), "HUGEINT"), x.positive))
	case "floor":
		return computed(x.floor())
	case "ceil", "ceiling":
		return computed(x.ceil())
	case "trunc":
		return computed(x.trunc())
	case "round":
		if !x.isQuotient() && -x.exp <= places {
			return computed(x)
		}
		return computed(x.round(places))
	}
	return m.refuse(n, name)
}

func (m *metric) binary(n node, name string, x, y number) value {
	switch name {
	case "+", "-":
		return computed(x.plus(name, y))
	case "*":
		return computed(x.times(y))
	case "/":
		return computed(x.over(y))
	case "//":
		if x.isQuotient() || y.isQuotient() || x.exp < 0 || y.exp < 0 {
			m.file.fault(n, "Write floor(a / b) or trunc(a / b).", "// is for integers only")
			return nothing()
		}
		return computed(x.over(y).trunc())
	case "%", "mod":
		if x.isQuotient() || y.isQuotient() {
			return m.refuse(n, "the remainder of a quotient")
		}
		a, b, _, exp := common(x, y)
		return computed(number{num: remainder(a, call("nullif", b, integerTerm("0"))), den: one, exp: exp, positive: x.positive})
	}
	return m.refuse(n, name)
}

// cast compiles CAST, which rounds half away from zero.
func (m *metric) cast(n node) value {
	to, v := n.child("cast_type"), m.value(n.child("child"))
	id := to.text("id")
	typ := id
	if id == "DECIMAL" {
		info := to.child("type_info")
		typ = "DECIMAL(" + number64(info["width"]) + "," + number64(info["scale"]) + ")"
	}
	typ, ok := storedType(typ)
	_, scale, isDecimal := decimal(typ)
	switch {
	case m.file.failed():
		return nothing()
	case v.kind == isNothing || ok && v.kind == isOther && v.typ == typ:
		return v
	case v.kind != isNumber || !ok || n.flag("try_cast"):
		return m.refuse(n, "a cast to "+id)
	case typ == "DOUBLE":
		return value{kind: isNumber, typ: typ, number: v.number}
	case !isDecimal && !isInteger(typ):
		return m.refuse(n, "a cast to "+id)
	}
	return value{kind: isNumber, typ: typ, number: v.number.round(scale)}
}
