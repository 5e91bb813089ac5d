package value

import "math/big"

// choices are the scalars that an enum or a const allows.
type choices struct {
	strings map[string]struct{}
	ints    map[int64]struct{}
	numbers []*big.Rat
	words   [3]bool // null, false, true
	reason  string
}

// has tells whether the token is one of the choices.
func (c *choices) has(buf []byte, t *token) bool {
	switch t.kind {
	case '"':
		_, ok := c.strings[string(textOf(buf, t))]
		return ok
	case '0':
		return c.hasNumber(buf[t.start:t.end], t.fraction)
	case 'n':
		return c.words[0]
	case 'f':
		return c.words[1]
	case 't':
		return c.words[2]
	}
	return false
}

func (c *choices) hasNumber(text []byte, fraction bool) bool {
	if len(c.numbers) == 0 || len(text) > maxNumber {
		return false
	}
	if n, ok := int64Of(text); ok && !fraction {
		_, ok = c.ints[n]
		return ok
	}
	r := ratOf(text)
	for _, n := range c.numbers {
		if r != nil && r.Cmp(n) == 0 {
			return true
		}
	}
	return false
}

// add takes one choice; false if it is no scalar.
func (c *choices) add(buf []byte, t *token) bool {
	switch t.kind {
	case '"':
		c.strings[string(textOf(buf, t))] = struct{}{}
	case '0':
		r := ratOf(buf[t.start:t.end])
		if r == nil {
			return false
		}
		c.numbers = append(c.numbers, r)
		if r.IsInt() && r.Num().IsInt64() {
			c.ints[r.Num().Int64()] = struct{}{}
		}
	case 'n':
		c.words[0] = true
	case 'f':
		c.words[1] = true
	case 't':
		c.words[2] = true
	default:
		return false
	}
	return true
}
