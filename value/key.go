package value

// KeyOf returns the text of a top-level field of a value that Check accepts, the bytes from which a
// key is made: a string's unescaped, anything else as it is written (1, true, [1,2]), but -0 as 0, so that an integer has
// one text. False if the field is absent or null, or field is "". The text may share v's bytes.
func (s *Schema) KeyOf(v []byte, field string) ([]byte, bool) {
	if field == "" {
		return nil, false
	}
	f := fields{scanner: scanner{buf: v}}
	for f.next() {
		if string(f.unescaped) != field {
			continue
		}
		switch f.val.kind {
		case 'n':
			return nil, false
		case '"':
			return textOf(v, &f.val), true
		}
		text := v[f.val.start:f.val.end]
		if string(text) == "-0" {
			text = text[1:]
		}
		return text, true
	}
	return nil, false
}
