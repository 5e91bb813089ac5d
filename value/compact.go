package value

import "bytes"

// Compact appends v to dst without the whitespace between its tokens. v must be JSON; dst may
// share v's bytes if it starts where v does or before.
func Compact(dst, v []byte) []byte {
	for len(v) > 0 {
		i := bytes.IndexByte(v, '"')
		if i < 0 {
			return appendTight(dst, v)
		}
		if i == 1 && v[0] > ' ' {
			dst = append(dst, v[0])
		} else {
			dst = appendTight(dst, v[:i])
		}
		n := quoted(v[i:])
		dst = append(dst, v[i:i+n]...)
		v = v[i+n:]
	}
	return dst
}

// quoted returns the length of the string that v starts with, its quotes counted.
func quoted(v []byte) int {
	i := 1
	for {
		j := bytes.IndexByte(v[i:], '"')
		if j < 0 {
			return len(v)
		}
		i += j + 1
		// The quote ends the string unless an odd number of backslashes stands before it.
		back := i - 2
		for back > 0 && v[back] == '\\' {
			back--
		}
		if (i-2-back)&1 == 0 {
			return i
		}
	}
}

func appendTight(dst, v []byte) []byte {
	for _, c := range v {
		if c > ' ' {
			dst = append(dst, c)
		}
	}
	return dst
}
