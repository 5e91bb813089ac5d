package value

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// unescape appends what the inside of a valid JSON string stands for. Half of a
// surrogate pair becomes U+FFFD.
func unescape(dst, inner []byte) []byte {
	for {
		i := bytes.IndexByte(inner, '\\')
		if i < 0 {
			return append(dst, inner...)
		}
		dst = append(dst, inner[:i]...)
		c := inner[i+1]
		inner = inner[i+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hex4(inner)
			inner = inner[4:]
			if low := pairLow(inner); low >= 0 && r >= 0xD800 && r < 0xDC00 {
				r = utf16.DecodeRune(r, low)
				inner = inner[6:]
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
}
