package value

import (
	"math/big"
	"strconv"
	"strings"
)

// The reasons of faults, to be read after the path of what has them. Both ways of checking
// use them, so that a record gets the same answer from either.

const (
	missing        = "is missing"
	notAllowed     = "is not a field of the schema"
	notAnInteger   = "must be an integer, written without a fraction or an exponent"
	notIn64Bits    = "must be an integer between -9223372036854775808 and 9223372036854775807"
	maxEnumChoices = 20
)

// kindOf names a token's type in JSON Schema's words.
func kindOf(t *token) string {
	switch t.kind {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case '0':
		return "number"
	case 'n':
		return "null"
	}
	return "boolean"
}

// article puts the article before a type.
func article(kind string) string {
	switch kind {
	case "null":
		return "null"
	case "object", "array", "integer":
		return "an " + kind
	}
	return "a " + kind
}

func wrongType(got string, want []string) string {
	names := make([]string, len(want))
	for i, w := range want {
		names[i] = article(w)
	}
	return "must be " + orList(names) + ", not " + article(got)
}

// orList joins as "a, b or c".
func orList(list []string) string {
	if n := len(list); n > 1 {
		return strings.Join(list[:n-1], ", ") + " or " + list[n-1]
	}
	return strings.Join(list, "")
}

// notOneOf takes the choices as JSON texts.
func notOneOf(choices []string) string {
	if len(choices) > maxEnumChoices {
		choices = append(choices[:maxEnumChoices:maxEnumChoices], "another of the "+strconv.Itoa(len(choices))+" choices")
	}
	return "must be " + orList(choices)
}

func tooFew(want, got int, unit string) string {
	return "must have at least " + count(want, unit) + ", has " + strconv.Itoa(got)
}

func tooMany(want, got int, unit string) string {
	return "must have at most " + count(want, unit) + ", has " + strconv.Itoa(got)
}

func count(n int, unit string) string {
	if n != 1 {
		unit += "s"
	}
	return strconv.Itoa(n) + " " + unit
}

// bound tells a limit that a number breaks; how is "at least", "more than" and the like.
func bound(how string, limit *big.Rat) string { return "must be " + how + " " + ratText(limit) }

// ratText writes a rational that came from a decimal as a decimal.
func ratText(r *big.Rat) string {
	if digits, exact := r.FloatPrec(); exact {
		return r.FloatString(digits)
	}
	return r.RatString()
}
