package value

// fields walks the top-level fields of one object: next reads a field's name and value, until it
// returns false at the end or at a flaw (failed).
type fields struct {
	scanner
	name      token
	val       token
	started   bool
	ownNames  bool // note repeated and reserved names
	seen      names
	unescaped []byte // the current name
}

// next reads the next field.
func (f *fields) next() bool {
	if !f.started {
		f.started = true
		if !f.open() {
			return false
		}
		if f.peek() == '}' {
			return f.close()
		}
	} else {
		switch f.peek() {
		case ',':
			f.pos++
		case '}':
			return f.close()
		default:
			return f.fail(f.pos, "a comma or a closing brace should stand here")
		}
	}
	if f.peek() != '"' {
		return f.fail(f.pos, "a name in double quotes should stand here")
	}
	f.name.start = f.pos
	if !f.str(&f.name) {
		return false
	}
	f.name.end = f.pos
	f.unescaped = textOf(f.buf, &f.name)
	if f.ownNames {
		f.checkName()
	}
	return f.colon() && f.value(&f.val, 1)
}

func (f *fields) open() bool {
	switch c := f.peek(); {
	case c == '{':
		f.pos++
		return true
	case c == 0 && f.pos == len(f.buf):
		return f.fail(f.pos, "there is nothing")
	}
	var t token
	if !f.value(&t, 0) {
		return false
	}
	if f.space(); f.pos < len(f.buf) {
		return f.fail(f.pos, "something follows the value")
	}
	f.fail(t.start, "must be an object, not "+article(kindOf(&t)))
	f.flaw.json = true
	return false
}

func (f *fields) close() bool {
	f.pos++
	if f.space(); f.pos < len(f.buf) {
		f.fail(f.pos, "something follows the object")
	}
	return false
}

func (f *fields) checkName() {
	if !f.seen.add(f.unescaped) {
		f.note(f.name.start, repeated)
	} else if reserved(f.unescaped) {
		f.note(f.name.start, reservedName)
	}
}

// textOf returns what a string's token stands for, without its quotes; it allocates only if it must unescape.
func textOf(buf []byte, t *token) []byte {
	inner := buf[t.start+1 : t.end-1]
	if !t.escaped {
		return inner
	}
	return unescape(make([]byte, 0, len(inner)), inner)
}
