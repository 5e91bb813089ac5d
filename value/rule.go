package value

import (
	"math/big"
	"strconv"
	"unicode/utf8"
)

// rule is what a schema says of one value, as far as it is checked on the bytes.
type rule struct {
	types    types // 0 for any
	choices  *choices
	limits   []limit
	minChars int // -1 for none, as below
	maxChars int
	minItems int
	maxItems int
	items    *rule
	tuple    bool // prefixItems or an array of items: items does not speak for all
}

// limit is a bound of a number.
type limit struct {
	how   string // "at least", …
	value *big.Rat
	near  float64 // value, exact if exact
	exact bool
	holds func(cmp int) bool // of number compared with value
}

// check appends the faults of the value that t is, with paths that start at it. With typesOnly it looks at nothing but types.
func (r *rule) check(buf []byte, t *token, typesOnly bool, faults []Fault) []Fault {
	if r.types != 0 {
		if why := r.types.fault(buf, t); why != "" {
			return append(faults, Fault{"", why})
		}
	}
	if !typesOnly && r.choices != nil && !r.choices.has(buf, t) {
		faults = append(faults, Fault{"", r.choices.reason})
		typesOnly = true // the rest would only say the same again
	}
	switch {
	case t.kind == '[':
		return r.checkItems(buf, t, typesOnly, faults)
	case typesOnly:
	case t.kind == '"':
		return r.checkLength(buf, t, faults)
	case t.kind == '0':
		return r.checkLimits(buf[t.start:t.end], faults)
	}
	return faults
}

func (r *rule) checkLength(buf []byte, t *token, faults []Fault) []Fault {
	if r.minChars < 0 && r.maxChars < 0 {
		return faults
	}
	n := utf8.RuneCount(textOf(buf, t))
	if r.minChars >= 0 && n < r.minChars {
		faults = append(faults, Fault{"", tooFew(r.minChars, n, "character")})
	}
	if r.maxChars >= 0 && n > r.maxChars {
		faults = append(faults, Fault{"", tooMany(r.maxChars, n, "character")})
	}
	return faults
}

func (r *rule) checkLimits(text []byte, faults []Fault) []Fault {
	if len(r.limits) == 0 || len(text) > maxNumber {
		return faults
	}
	f := floatOf(text)
	for i := range r.limits {
		l := &r.limits[i]
		if !l.holds(l.compare(text, f)) {
			faults = append(faults, Fault{"", bound(l.how, l.value)})
		}
	}
	return faults
}

// compare compares the number text, whose nearest float is f, with the limit. Rounding keeps
// order, so only floats that are equal need the exact values.
func (l *limit) compare(text []byte, f float64) int {
	switch {
	case l.exact && f < l.near:
		return -1
	case l.exact && f > l.near:
		return 1
	}
	r := ratOf(text)
	if r == nil {
		return 0 // beyond a float's range: refused anyway
	}
	return r.Cmp(l.value)
}

func (r *rule) checkItems(buf []byte, t *token, typesOnly bool, faults []Fault) []Fault {
	checkEach := r.items != nil && !r.tuple
	counted := !typesOnly && (r.minItems >= 0 || r.maxItems >= 0)
	if !checkEach && !counted {
		return faults
	}
	all := itemsOf(buf, t)
	for all.next() {
		if checkEach {
			known := len(faults)
			faults = r.items.check(buf, &all.item, typesOnly, faults)
			if len(faults) > known {
				below(faults[known:], strconv.Itoa(all.index))
			}
		}
	}
	if !counted {
		return faults
	}
	n := all.index + 1
	if r.minItems >= 0 && n < r.minItems {
		faults = append(faults, Fault{"", tooFew(r.minItems, n, "item")})
	}
	if r.maxItems >= 0 && n > r.maxItems {
		faults = append(faults, Fault{"", tooMany(r.maxItems, n, "item")})
	}
	return faults
}
