package value

import (
	"strconv"
	"strings"
)

// pathAt returns the JSON pointer of the innermost field or item of valid JSON that holds the byte at offset.
func pathAt(buf []byte, offset int) string { return pathsAt(buf, []int{offset})[0] }

// pathsAt returns pathAt of each offset, which must ascend, in one walk.
func pathsAt(buf []byte, offsets []int) []string {
	l := locator{scanner: scanner{buf: buf}, offsets: offsets, paths: make([]string, 0, len(offsets))}
	l.walk()
	for range l.offsets { // beyond what could be walked
		l.paths = append(l.paths, "")
	}
	return l.paths
}

// locator walks valid JSON down to its scalars and writes the paths of the offsets that it passes.
type locator struct {
	scanner
	offsets []int
	at      []string
	paths   []string
}

// emit gives the path at hand to the offsets before end.
func (l *locator) emit(end int) {
	for len(l.offsets) > 0 && l.offsets[0] < end {
		l.paths = append(l.paths, pointer(l.at...))
		l.offsets = l.offsets[1:]
	}
}

// walk passes one value.
func (l *locator) walk() bool {
	var t token
	opening := l.peek()
	if opening != '{' && opening != '[' {
		ok := l.value(&t, 0)
		l.emit(l.pos)
		return ok
	}
	l.pos++
	for i := 0; ; i++ {
		switch l.peek() {
		case '}', ']':
			l.pos++
			l.emit(l.pos)
			return true
		case ',':
			l.pos++
			l.space()
		}
		l.emit(l.pos)
		if opening == '{' {
			t.start = l.pos
			if l.peek() != '"' || !l.str(&t) {
				return false
			}
			t.end = l.pos
			l.at = append(l.at, string(textOf(l.buf, &t)))
			l.emit(l.pos)
			if !l.colon() {
				return false
			}
		} else {
			l.at = append(l.at, strconv.Itoa(i))
		}
		if !l.walk() {
			return false
		}
		l.at = l.at[:len(l.at)-1]
	}
}

// find returns the offset of what a JSON pointer's tokens lead to in valid JSON; of its name if it is
// a field. If it is not there, the offset of the last thing on the way that is.
func find(buf []byte, tokens []string) int {
	s := scanner{buf: buf}
	s.space()
	at := s.pos
	for _, want := range tokens {
		offset, inside := s.child(want)
		if inside < 0 {
			break
		}
		at, s.pos = offset, inside
	}
	return at
}

// child returns where the named field or item of the value at pos starts, and where its value does; -1 if there is none.
func (s *scanner) child(want string) (offset, inside int) {
	opening := s.peek()
	if opening != '{' && opening != '[' {
		return -1, -1
	}
	s.pos++
	var name, val token
	for i := 0; ; i++ {
		if c := s.peek(); c == '}' || c == ']' || c == 0 {
			return -1, -1
		}
		label, start := strconv.Itoa(i), s.pos
		if opening == '{' {
			name.start = s.pos
			if !s.str(&name) {
				return -1, -1
			}
			name.end = s.pos
			label = string(textOf(s.buf, &name))
			if !s.colon() {
				return -1, -1
			}
			s.space()
		}
		inside = s.pos
		if label == want {
			return start, inside
		}
		if !s.value(&val, 0) {
			return -1, -1
		}
		if s.peek() == ',' {
			s.pos++
		}
	}
}

// pointer writes tokens as a JSON pointer (RFC 6901).
func pointer(tokens ...string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString("/" + pointerToken(t))
	}
	return b.String()
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func pointerToken(s string) string { return pointerEscapes.Replace(s) }

// lineAt returns the line, from 1, of the byte at offset.
func lineAt(buf []byte, offset int) int {
	return 1 + strings.Count(string(buf[:min(max(offset, 0), len(buf))]), "\n")
}
