package plan

// number is an exact number: num × 10^exp / den, where num and den are integers. A quotient stays one
// until it is rounded or shown, so nothing is lost on the way and both engines give the same digits.
type number struct {
	num, den term // den is 1 for what is no quotient, else positive or NULL
	exp      int
	positive bool // never negative
}

var one = integerTerm("1")

func integerNumber(t term, positive bool) number { return number{num: t, den: one, positive: positive} }

func (a number) isQuotient() bool { return !a.den.isInteger("1") }

// at returns num as a multiple of 10^exp, which must not be above a's own.
func (a number) at(exp int) term { return times(a.num, powerOfTen(a.exp-exp)) }

// common returns numerators of a and b over one denominator and exponent.
func common(a, b number) (x, y, den term, exp int) {
	exp = min(a.exp, b.exp)
	return times(a.at(exp), b.den), times(b.at(exp), a.den), times(a.den, b.den), exp
}

func (a number) plus(op string, b number) number {
	x, y, den, exp := common(a, b)
	return number{num: sum(op, x, y), den: den, exp: exp, positive: op == "+" && a.positive && b.positive}
}

func (a number) times(b number) number {
	return number{num: times(a.num, b.num), den: times(a.den, b.den), exp: a.exp + b.exp, positive: a.positive && b.positive}
}

// over divides; NULL by zero. The sign goes to the numerator.
func (a number) over(b number) number {
	num, den := times(a.num, b.den), b.num
	switch {
	case den.op == opInteger && b.positive:
		if den.isInteger("0") {
			den = nullTerm()
		}
	case b.positive:
		den = call("nullif", den, integerTerm("0"))
	default:
		num = times(num, call("sign", b.num))
		den = call("nullif", call("abs", den), integerTerm("0"))
	}
	return number{num: num, den: times(a.den, den), exp: a.exp - b.exp, positive: a.positive && b.positive}
}

func (a number) negative() number {
	return number{num: negative(a.num), den: a.den, exp: a.exp}
}

func (a number) abs() number {
	if a.positive {
		return a
	}
	return number{num: call("abs", a.num), den: a.den, exp: a.exp, positive: true}
}

// compare is a op b.
func (a number) compare(op string, b number) term {
	x, y, _, _ := common(a, b)
	return infix(op, x, y)
}

func (a number) isNull() term {
	if !a.isQuotient() {
		return isNull(a.num)
	}
	return infix("OR", isNull(a.num), isNull(a.den))
}

// fraction returns a as N / D at a multiple of 10^-decimals; D is 1 if nothing lies behind that.
func (a number) fraction(decimals int) (n, d term) {
	if shift := a.exp + decimals; shift >= 0 {
		return times(a.num, powerOfTen(shift)), a.den
	} else {
		return a.num, times(a.den, powerOfTen(-shift))
	}
}

// round rounds half away from zero to decimals.
func (a number) round(decimals int) number {
	n, d := a.fraction(decimals)
	if d.isInteger("1") {
		return number{num: n, den: one, exp: -decimals, positive: a.positive}
	}
	two := integerTerm("2")
	half := d
	if !a.positive {
		half = times(call("sign", n), d)
	}
	return number{num: divide(infix("+", times(two, n), half), times(two, d)), den: one, exp: -decimals, positive: a.positive}
}

// trunc cuts to an integer; floor and ceil go one down or up from there.
func (a number) trunc() number { return a.towards("") }
func (a number) floor() number { return a.towards("<") }
func (a number) ceil() number  { return a.towards(">") }

func (a number) towards(side string) number {
	n, d := a.fraction(0)
	if d.isInteger("1") {
		return number{num: n, den: one, positive: a.positive}
	}
	whole := divide(n, d)
	step := caseTerm(infix(side, remainder(n, d), integerTerm("0")), one, integerTerm("0"))
	switch {
	case side == "<" && !a.positive:
		whole = infix("-", whole, step)
	case side == ">":
		whole = infix("+", whole, step)
	}
	return number{num: whole, den: one, positive: a.positive}
}

// choose is a CASE between numbers: conditions[i] chooses from[i], the last of from is for none of them.
func choose(conditions []term, from []number) number {
	chosen := number{den: one, exp: from[0].exp, positive: true}
	quotient := false
	for _, x := range from {
		chosen.exp = min(chosen.exp, x.exp)
		chosen.positive = chosen.positive && x.positive
		quotient = quotient || x.isQuotient()
	}
	part := func(of func(number) term) term {
		var parts []term
		for i, x := range from {
			if i < len(conditions) {
				parts = append(parts, conditions[i])
			}
			parts = append(parts, castTerm(of(x), "HUGEINT"))
		}
		return caseTerm(parts...)
	}
	chosen.num = part(func(x number) term { return x.at(chosen.exp) })
	if quotient {
		chosen.den = part(func(x number) term { return x.den })
	}
	return chosen
}
