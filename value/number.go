package value

import (
	"math"
	"math/big"
	"strconv"
)

const (
	maxNumber = 1000 // characters of a number
	safe      = 300  // a number of fewer digits without exponent is within a float's range
)

// number reads a number. Anything that starts like no value at all ends up here too.
func (s *scanner) number(t *token) bool {
	b, start := s.buf, s.pos
	i := start
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	i = digits(b, i)
	if i == first {
		if i == len(b) {
			return s.fail(i, "the text ends where a value should stand")
		}
		if first > start {
			return s.fail(i, "a digit should follow the minus sign")
		}
		return s.fail(i, "a value should stand here")
	}
	if b[first] == '0' && i > first+1 {
		return s.fail(first, "a number must not start with 0")
	}
	t.fraction = false
	exponent := false
	if i < len(b) && b[i] == '.' {
		t.fraction = true
		from := i + 1
		if i = digits(b, from); i == from {
			return s.fail(i, "a digit should follow the decimal point")
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		t.fraction, exponent = true, true
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		if i = digits(b, from); i == from {
			return s.fail(i, "a digit should follow the exponent sign")
		}
	}
	s.pos = i
	if s.strict && (exponent || i-start > safe) {
		s.magnitude(start)
	}
	return true
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// magnitude notes a number that is out of a float's range or absurdly long.
func (s *scanner) magnitude(start int) {
	text := s.buf[start:s.pos]
	if len(text) > maxNumber {
		s.note(start, tooLong)
		return
	}
	f := floatOf(text)
	switch {
	case math.IsInf(f, 0):
		s.note(start, tooLarge)
	case f == 0 && !isZero(text):
		s.note(start, tooSmall)
	}
}

// isZero tells whether the number's digits before the exponent are all zeros.
func isZero(text []byte) bool {
	for _, c := range text {
		if c >= '1' && c <= '9' {
			return false
		}
		if c|0x20 == 'e' {
			break
		}
	}
	return true
}

// floatOf returns the float nearest to a number's text, an infinity if it is out of range.
func floatOf(text []byte) float64 {
	f, _ := strconv.ParseFloat(string(text), 64) // the conversion does not allocate for short texts
	return f
}

// int64Of returns the integer that digits (after an optional minus) write, false if it is out of range.
func int64Of(text []byte) (int64, bool) {
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	if len(text) > 19 {
		return 0, false
	}
	var n uint64
	for _, c := range text {
		n = n*10 + uint64(c-'0')
	}
	if negative {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n < 1<<63
}

// ratOf returns a number's exact value.
func ratOf(text []byte) *big.Rat {
	r, _ := new(big.Rat).SetString(string(text))
	return r
}
