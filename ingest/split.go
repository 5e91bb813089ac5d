package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/pinflow/pinflow"
)

// splitter finds the records of a bulk in its bytes, which come piece by piece.
type splitter interface {
	// next looks at v, which goes on where the step before stopped; ended tells that nothing follows it.
	// limit is how many bytes a record may have: what is longer is passed over without being held.
	next(v []byte, ended bool, limit int) step
}

// step is what a splitter found. Exactly one of its other members is set; none if it needs more bytes.
type step struct {
	used     int    // bytes that are done with, the record's included
	record   []byte // a record, in v
	oversize bool   // a record longer than the limit has ended here
	err      error  // io.EOF at the end; else why no more records can be told apart
}

// ndjson is a record per line. Lines of whitespace are no records.
type ndjson struct {
	seen    int // bytes of the line that have been looked at
	passing     // over a line that is too long
}

// passing tells that a splitter is within a record that is too long.
type passing bool

func (l *ndjson) next(v []byte, ended bool, limit int) step {
	used := 0
	for {
		rest := v[used:]
		end := bytes.IndexByte(rest[l.seen:], '\n')
		switch {
		case end >= 0:
			end += l.seen
		case ended && len(rest) == 0 && !bool(l.passing):
			return step{used: used, err: io.EOF}
		case ended:
			end = len(rest)
		default:
			l.seen = len(rest)
			if len(rest) > limit || bool(l.passing) {
				l.seen, l.passing, used = 0, true, len(v)
			}
			return step{used: used}
		}
		used, l.seen = min(used+end+1, len(v)), 0
		if l.passing {
			l.passing = false
			return step{used: used, oversize: true}
		}
		if line := bytes.Trim(rest[:end], space); len(line) > 0 {
			return step{used: used, record: line}
		}
	}
}

const space = " \t\r\n"

// array is the elements of a JSON array. It tells them apart by strings and brackets alone; whether an
// element is JSON is judged later, so that a bad one doesn't spoil its neighbours.
type array struct {
	place   place
	seen    int // bytes of the element that have been looked at
	depth   int // brackets open in it
	quoted  bool
	escaped bool
	passing
}

// place is where in the array's grammar a splitter stands.
type place uint8

const (
	atStart   place = iota
	afterOpen       // an element or the end
	afterComma
	inElement
	afterElement
	afterClose
)

func (a *array) next(v []byte, ended bool, limit int) step {
	used := 0
	for {
		if a.place == inElement {
			return a.element(v, used, ended, limit)
		}
		for used < len(v) && (v[used] == ' ' || v[used] == '\n' || v[used] == '\r' || v[used] == '\t') {
			used++
		}
		if used == len(v) {
			switch {
			case !ended:
				return step{used: used}
			case a.place == afterClose:
				return step{used: used, err: io.EOF}
			}
			return step{used: used, err: notJSON("the body ends before the array does")}
		}
		if err := a.advance(v[used]); err != nil {
			return step{used: used, err: err}
		}
		if a.place != inElement {
			used++
		}
	}
}

// advance takes the byte c, which lies between elements or begins one.
func (a *array) advance(c byte) error {
	switch {
	case a.place == atStart && c == '[':
		a.place = afterOpen
	case (a.place == afterOpen || a.place == afterElement) && c == ']':
		a.place = afterClose
	case a.place == afterElement && c == ',':
		a.place = afterComma
	case a.place == afterElement:
		return notJSON("a comma or a closing bracket should stand behind a record")
	case a.place == afterClose:
		return notJSON("something follows the array")
	case c == ',' || c == ']' || c == '}':
		return notJSON("a record should stand before " + string(rune(c)))
	default:
		a.place, a.seen, a.depth, a.quoted, a.escaped = inElement, 0, 0, false, false
	}
	return nil
}

// element goes on with the element that starts at v[used], or was passed over up to there.
func (a *array) element(v []byte, used int, ended bool, limit int) step {
	rest := v[used:]
	end, err := a.end(rest)
	switch {
	case err != nil:
		return step{used: used, err: err}
	case end >= 0:
		a.place = afterElement
		if a.passing {
			a.passing = false
			return step{used: used + end, oversize: true}
		}
		return step{used: used + end, record: bytes.TrimRight(rest[:end], space)}
	case ended:
		return step{used: used, err: notJSON("the body ends within a record")}
	}
	a.seen = len(rest)
	if len(rest) > limit || bool(a.passing) {
		a.seen, a.passing, used = 0, true, len(v)
	}
	return step{used: used}
}

// end returns where in v the element ends, -1 if not there.
func (a *array) end(v []byte) (int, error) {
	i := a.seen
	for i < len(v) {
		c := v[i]
		if a.quoted {
			switch {
			case a.escaped:
				a.escaped = false
			case c == '\\':
				a.escaped = true
			case c == '"':
				a.quoted = false
			}
			i++
			continue
		}
		switch c {
		case '"':
			a.quoted = true
		case '{', '[':
			a.depth++
		case '}', ']':
			if a.depth == 0 {
				if c == '}' {
					return 0, notJSON("a brace is closed that was not opened")
				}
				return i, nil
			}
			a.depth--
		case ',':
			if a.depth == 0 {
				return i, nil
			}
		}
		i++
	}
	return -1, nil
}

func notJSON(why string) error {
	return &pinflow.Error{Op: "read the body", Kind: pinflow.Invalid, Err: errors.New(why)}
}

// tooMany is why a bulk is not read on.
func tooMany() error {
	return &pinflow.Error{Op: "read the body", Kind: pinflow.TooLarge, Err: fmt.Errorf("it holds more than %d records", maxBulkRecords),
		Hint: "Send the records in several bulks."}
}
