package value

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may nest, the outermost counted.
const maxDepth = 64

// flaw is why bytes are not what they should be, and where.
type flaw struct {
	offset int
	reason string
	json   bool // false: not even JSON
}

// scanner reads JSON strictly by RFC 8259, in one pass and without allocating. Its methods
// start at pos and leave pos behind what they read; they return false at the first flaw that makes
// going on pointless. Lesser flaws become notes.
type scanner struct {
	buf    []byte
	pos    int
	flaw   flaw
	failed bool
	strict bool // note what Check refuses beyond what Plain refuses
	notes  []note
}

// token is what the scanner last read: its first byte tells the kind, '0' for a number.
type token struct {
	start, end int
	kind       byte
	escaped    bool // a string with a backslash
	fraction   bool // a number with a fraction or an exponent
}

func (s *scanner) fail(offset int, reason string) bool {
	s.flaw, s.failed = flaw{offset: offset, reason: reason}, true
	return false
}

// space skips insignificant whitespace.
func (s *scanner) space() {
	for s.pos < len(s.buf) {
		switch s.buf[s.pos] {
		case ' ', '\n', '\t', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek skips whitespace and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.buf) && s.buf[s.pos] > ' ' {
		return s.buf[s.pos]
	}
	s.space()
	if s.pos < len(s.buf) {
		return s.buf[s.pos]
	}
	return 0
}

// value reads one value of any kind; depth is that of what holds it.
func (s *scanner) value(t *token, depth int) bool {
	c := s.peek()
	t.start, t.kind = s.pos, c
	ok := false
	switch c {
	case '"':
		ok = s.str(t)
	case '{', '[':
		if depth >= maxDepth {
			s.fail(s.pos, "nests objects and arrays deeper than 64")
			s.flaw.json = true
			return false
		}
		if c == '{' {
			ok = s.object(depth + 1)
		} else {
			ok = s.array(depth + 1)
		}
	case 't':
		ok = s.word("true")
	case 'f':
		ok = s.word("false")
	case 'n':
		ok = s.word("null")
	default:
		t.kind = '0'
		ok = s.number(t)
	}
	t.end = s.pos
	return ok
}

func (s *scanner) object(depth int) bool {
	s.pos++
	if s.peek() == '}' {
		s.pos++
		return true
	}
	var t token
	for {
		if s.peek() != '"' {
			return s.fail(s.pos, "a name in double quotes should stand here")
		}
		if !s.str(&t) || !s.colon() || !s.value(&t, depth) {
			return false
		}
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return true
		default:
			return s.fail(s.pos, "a comma or a closing brace should stand here")
		}
	}
}

func (s *scanner) array(depth int) bool {
	s.pos++
	if s.peek() == ']' {
		s.pos++
		return true
	}
	var t token
	for {
		if !s.value(&t, depth) {
			return false
		}
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return true
		default:
			return s.fail(s.pos, "a comma or a closing bracket should stand here")
		}
	}
}

func (s *scanner) colon() bool {
	if s.peek() != ':' {
		return s.fail(s.pos, "a colon should stand here")
	}
	s.pos++
	return true
}

func (s *scanner) word(w string) bool {
	if len(s.buf)-s.pos < len(w) || string(s.buf[s.pos:s.pos+len(w)]) != w {
		return s.fail(s.pos, "a value should stand here")
	}
	s.pos += len(w)
	return true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks (by its high bit) the first byte of w that cannot be skipped within a string:
// a quote, a backslash, a control character or one beyond ASCII. Marks above the first may be wrong.
func special(w uint64) uint64 {
	quote, slash := w^('"'*ones), w^('\\'*ones)
	return (w | (w-' '*ones)&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
}

// str reads a string, pos being at its opening quote.
func (s *scanner) str(t *token) bool {
	b, i := s.buf, s.pos+1
	t.escaped = false
	for {
		for len(b)-i >= 8 {
			m := special(binary.LittleEndian.Uint64(b[i:]))
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			return s.fail(len(b), "the text ends inside a string")
		}
		switch c := b[i]; {
		case c == '"':
			s.pos = i + 1
			return true
		case c == '\\':
			t.escaped = true
			n := s.escape(i)
			if n == 0 {
				return false
			}
			i += n
		case c < ' ':
			return s.fail(i, "a control character in a string must be escaped")
		case c < utf8.RuneSelf:
			i++
		case c >= 0xC2 && c < 0xE0 && i+1 < len(b) && b[i+1]&0xC0 == 0x80:
			i += 2
		default:
			_, n := utf8.DecodeRune(b[i:])
			if n == 1 {
				return s.fail(i, "the bytes are not valid UTF-8")
			}
			i += n
		}
	}
}

// escape checks the escape sequence at i and returns its length, 0 if it is none.
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.buf) {
		s.fail(len(s.buf), "the text ends inside a string")
		return 0
	}
	switch s.buf[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
	default:
		s.fail(i, "a backslash must be followed by one of \" \\ / b f n r t u")
		return 0
	}
	r := hex4(s.buf[i+2:])
	switch {
	case r < 0:
		s.fail(i, `\u must be followed by four hexadecimal digits`)
		return 0
	case r == 0 && s.strict:
		s.note(i, nul)
	case r >= 0xDC00 && r < 0xE000:
		s.note(i, halfPair)
	case r >= 0xD800 && r < 0xDC00:
		if low := pairLow(s.buf[i+6:]); low >= 0 {
			return 12
		}
		s.note(i, halfPair)
	}
	return 6
}

// pairLow returns the low surrogate whose escape sequence b starts with, -1 if there is none.
func pairLow(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	if r := hex4(b[2:]); r >= 0xDC00 && r < 0xE000 {
		return r
	}
	return -1
}

// hex4 returns the number that four hexadecimal digits write, -1 if b does not start with four.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
