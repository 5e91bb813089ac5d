package postgres

import (
	"strings"
	"unicode/utf8"
)

// escape, U+0001, begins what stands for text that PostgreSQL does not hold, and for itself. Every text
// has one form, and texts keep their order by bytes: U+0000 becomes U+0001 U+0001, U+0001 becomes U+0001 U+0002, and a byte that is
// no UTF-8 is escape and the character of that number. Text without these, which is nearly all there is, is stored as it is.
const escape = 1

// storedText is s as it is stored.
func storedText(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r <= escape:
			b.WriteByte(escape)
			b.WriteByte(byte(r) + 1)
		case r == utf8.RuneError && n == 1:
			b.WriteByte(escape)
			b.WriteRune(rune(s[i]))
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// plain tells whether text is stored as it is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= escape {
			return false
		}
	}
	return utf8.ValidString(s)
}

// readText is the text that is stored as s. Text that somebody else wrote in no such form is s.
func readText(s string) string {
	if strings.IndexByte(s, escape) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != escape || i+1 == len(s) {
			b.WriteByte(s[i])
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i+1:])
		switch {
		case r == 1 || r == 2:
			b.WriteByte(byte(r) - 1)
		case r >= utf8.RuneSelf && r <= 0xff:
			b.WriteByte(byte(r))
		default:
			b.WriteString(s[i : i+1+n])
		}
		i += 1 + n
	}
	return b.String()
}
