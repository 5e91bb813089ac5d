package plan

// kind is what the compiler can do with a value in a view.
type kind uint8

const (
	isNothing kind = iota // NULL without a type
	isNumber              // an exact number
	isOther               // anything that is compared and chosen only
)

// value is an expression over aggregates and dimensions.
type value struct {
	kind kind
	// as is the value as it stands, of the stored type typ, as long as nothing is computed on it; for a number that
	// was cast, typ alone says what to show.
	as  *term
	typ string
	number
}

func nothing() value { return value{kind: isNothing, number: number{num: nullTerm(), den: one}} }

// other is a value that is no number.
func other(t term, typ string) value { return value{kind: isOther, as: &t, typ: typ} }

func boolean(t term) value { return other(t, "BOOLEAN") }

// computed is a number that an operation yields.
func computed(n number) value { return value{kind: isNumber, number: n} }

// stored is a column of the given stored type, which is shown as it is. positive: it counts something.
func stored(t term, shown term, typ string, positive bool) value {
	v := value{kind: isNumber, as: &shown, typ: typ}
	if isInteger(typ) {
		v.number = integerNumber(castTerm(t, "HUGEINT"), positive)
		return v
	}
	if _, scale, ok := decimal(typ); ok {
		v.number = number{num: castTerm(t, "HUGEINT"), den: one, exp: -scale}
		if scale > 0 {
			v.num = term{op: opUnscaled, args: []term{t}, n: scale}
		}
		return v
	}
	return other(shown, typ)
}

// isNull is whether the value is NULL.
func (v value) isNull() term {
	if v.kind == isOther {
		return isNull(*v.as)
	}
	return v.number.isNull()
}

// text is the value to be compared: text is compared by its bytes.
func (v value) comparable() term {
	if v.typ == "VARCHAR" {
		return term{op: opBinary, args: []term{*v.as}}
	}
	return *v.as
}

// compare is v op w; both have one kind.
func (v value) compare(op string, w value) term {
	if v.kind == isNumber {
		return v.number.compare(op, w.number)
	}
	return infix(op, v.comparable(), w.comparable())
}

// show returns what the view yields for the value and of which type it is; false if its type can't be had.
func (v value) show() (term, string, bool) {
	if v.kind == isNothing {
		return castTerm(nullTerm(), "VARCHAR"), "VARCHAR", true
	}
	if v.as != nil {
		return *v.as, v.typ, true
	}
	if v.isQuotient() || v.typ == "DOUBLE" {
		n, d := v.fraction(0)
		return term{op: opQuotient, args: []term{n, d}}, "DOUBLE", true
	}
	if v.exp >= 0 {
		return typedInteger(v.at(0), v.typ)
	}
	t := term{op: opScaled, args: []term{v.num}, n: -v.exp}
	_, scale, ok := decimal(v.typ)
	if ok && scale == -v.exp {
		return castTerm(t, v.typ), v.typ, true
	}
	return t, decimalType(-v.exp), -v.exp < 38
}

func typedInteger(t term, typ string) (term, string, bool) {
	if _, _, ok := decimal(typ); ok || isInteger(typ) {
		return castTerm(t, typ), typ, true
	}
	return castTerm(t, "HUGEINT"), "HUGEINT", true
}
