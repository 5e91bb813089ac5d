package value

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"

	"github.com/pinflow/pinflow"
)

// ParseLine reads a line of the lake back into the record that AppendLine wrote, its value compact and
// its Topic empty (the object's name tells it). A value kept as empty _raw, and one that was erased, is nil. A line
// that AppendLine would not write is an Invalid error. The record shares no bytes with line.
func ParseLine(line []byte) (pinflow.Record, error) {
	var r pinflow.Record
	if err := parseLine(line, &r); err != nil {
		return pinflow.Record{}, &pinflow.Error{Op: "read a line of the lake", Kind: pinflow.Invalid, Err: err}
	}
	return r, nil
}

func parseLine(line []byte, r *pinflow.Record) error {
	f := fields{scanner: scanner{buf: line}, ownNames: true}
	own, lakes := 0, 0       // how many fields are the record's own, how many the lake's
	end, noValue := 0, false // where the lake's fields begin; whether there is a _raw or _erased
	for f.next() {
		name := f.unescaped
		if !reserved(name) {
			if own++; lakes > 0 {
				return fmt.Errorf("the field %q stands behind the lake's", name)
			}
			continue
		}
		if lakes++; lakes == 1 {
			end = f.name.start
		}
		noValue = noValue || string(name) == "_raw" || string(name) == "_erased"
		if err := f.setReserved(string(name), r); err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
	}
	if f.failed {
		return f.notPlain()
	}
	for _, n := range f.notes {
		if n.what != reservedName {
			return &NotPlain{Offset: n.offset, JSON: true, Path: pathAt(line, n.offset), Reason: n.what.String()}
		}
	}
	switch {
	case lakes == 0:
		return errors.New("it has none of the lake's fields")
	case noValue && own > 0:
		return errors.New("it has fields of a record beside _raw or _erased")
	case !noValue:
		r.Value = ownFields(line[:end], own)
	}
	return nil
}

// ownFields makes the value of the record's own fields: what stands before the lake's.
func ownFields(line []byte, own int) []byte {
	if own == 0 {
		return []byte("{}")
	}
	end := len(line)
	for line[end-1] != ',' {
		end--
	}
	v := append(make([]byte, 0, end), line[:end-1]...)
	return Compact(v[:0], append(v, '}'))
}

// setReserved sets the part of r that one of the lake's own fields holds.
func (f *fields) setReserved(name string, r *pinflow.Record) (err error) {
	switch name {
	case "_partition":
		var n int64
		n, err = f.integer()
		if n > math.MaxInt32 || n < math.MinInt32 {
			return errors.New("is out of range")
		}
		r.Partition = int32(n)
	case "_offset":
		r.Offset, err = f.integer()
	case "_timestamp":
		if f.val.kind != '"' {
			return errors.New("is no string")
		}
		var ok bool
		if r.Timestamp, ok = parseTime(textOf(f.buf, &f.val)); !ok {
			return errors.New("is no time")
		}
	case "_key":
		r.Key, err = bytesOf(f.buf, &f.val)
	case "_headers":
		r.Headers, err = headersOf(f.buf, &f.val)
	case "_raw":
		if f.val.kind != '"' {
			return errors.New("is no string")
		}
		var raw []byte
		if raw, err = unbase64(textOf(f.buf, &f.val)); len(raw) > 0 {
			r.Value = raw
		}
	}
	return err
}

func (f *fields) integer() (int64, error) {
	if f.val.kind != '0' || f.val.fraction {
		return 0, errors.New("is no integer")
	}
	n, ok := int64Of(f.buf[f.val.start:f.val.end])
	if !ok {
		return 0, errors.New("is out of range")
	}
	return n, nil
}

// bytesOf is the inverse of appendBytes. What it returns is a copy.
func bytesOf(buf []byte, t *token) ([]byte, error) {
	switch t.kind {
	case 'n':
		return nil, nil
	case '"':
		return append([]byte{}, textOf(buf, t)...), nil
	case '{':
		f := fields{scanner: scanner{buf: buf[t.start:t.end]}}
		if f.next() && string(f.unescaped) == "base64" && f.val.kind == '"' {
			text := textOf(f.buf, &f.val)
			if !f.next() && !f.failed {
				return unbase64(text)
			}
		}
	}
	return nil, errors.New("is neither null, a string nor base64")
}

func unbase64(text []byte) ([]byte, error) {
	return base64.StdEncoding.AppendDecode([]byte{}, text)
}

func headersOf(buf []byte, t *token) ([]pinflow.Header, error) {
	if t.kind != '[' {
		return nil, errors.New("is no array")
	}
	var headers []pinflow.Header
	items := itemsOf(buf, t)
	for items.next() {
		if items.item.kind != '{' {
			return nil, errors.New("holds something else than an object")
		}
		var h pinflow.Header
		f := fields{scanner: scanner{buf: buf[items.item.start:items.item.end]}}
		for f.next() {
			b, err := bytesOf(f.buf, &f.val)
			if err != nil {
				return nil, err
			}
			switch string(f.unescaped) {
			case "key":
				h.Key = string(b)
			case "value":
				h.Value = b
			}
		}
		headers = append(headers, h)
	}
	return headers, nil
}
