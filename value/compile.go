package value

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/pinflow/pinflow"
)

// CompileSchema compiles the JSON Schema (draft 2020-12 unless it names another) of a source's records. It
// returns every fault that it finds, with file as the Fault's file, and no schema if there is one.
//
// The schema's properties become columns, so it must have some, and no two whose names SQL does not tell
// apart. References lead within the schema only. Formats are checked.
func CompileSchema(file string, schema []byte) (*Schema, []pinflow.Fault) {
	return compileSchema(file, schema, false)
}

// compileSchema is CompileSchema; with alwaysFull every keyword is left to the library.
func compileSchema(file string, schema []byte, alwaysFull bool) (*Schema, []pinflow.Fault) {
	c := compiler{file: file, buf: bytes.TrimPrefix(schema, []byte("\ufeff")), simple: !alwaysFull}
	if !c.syntax() {
		return nil, c.faults
	}
	full := c.library()
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	s := &Schema{index: map[string]int{}}
	c.root(s)
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	if !c.simple {
		s.full = full
	}
	return s, nil
}

// compiler reads a schema's text. It notes whether the schema is simple: says nothing that rules do not.
type compiler struct {
	file   string
	buf    []byte
	faults []pinflow.Fault
	simple bool
}

func (c *compiler) fault(offset int, message, hint string) {
	c.faults = append(c.faults, pinflow.Fault{File: c.file, Line: lineAt(c.buf, offset), Message: message, Hint: hint})
}

// syntax tells whether the text is one JSON object without repeated names at its top.
func (c *compiler) syntax() bool {
	f := fields{scanner: scanner{buf: c.buf}}
	for f.next() {
		if !f.seen.add(f.unescaped) {
			c.fault(f.name.start, "the keyword "+string(f.unescaped)+" stands more than once", "Leave one of them.")
		}
	}
	if f.failed {
		c.fault(f.flaw.offset, "the schema is not a JSON object: "+f.flaw.reason, "Write the schema as one JSON object.")
	}
	return len(c.faults) == 0
}

// annotation tells whether a keyword asserts nothing.
func annotation(keyword string) bool {
	switch keyword {
	case "$id", "$comment", "$defs", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly":
		return true
	}
	return false
}

func (c *compiler) root(s *Schema) {
	var required token
	f := fields{scanner: scanner{buf: c.buf}}
	for f.next() {
		switch keyword := string(f.unescaped); keyword {
		case "$schema":
			const draft = "https://json-schema.org/draft/2020-12/schema"
			c.simple = c.simple && strings.TrimSuffix(string(textOf(c.buf, &f.val)), "#") == draft
		case "type":
			if c.types(&f.val)&typeObject == 0 {
				c.fault(f.name.start, "the schema's type is not object", `Records are JSON objects: write "type": "object".`)
			}
		case "properties":
			c.properties(s, f.val)
		case "required":
			required = f.val
		case "additionalProperties":
			s.closed = f.val.kind == 'f'
			c.simple = c.simple && (f.val.kind == 'f' || f.val.kind == 't')
		default:
			c.simple = c.simple && annotation(keyword)
		}
	}
	if len(s.columns) == 0 && len(c.faults) == 0 {
		c.fault(find(c.buf, []string{"properties"}), "the schema has no properties",
			"Name the fields of a record in properties at the top of the schema: they become columns.")
	}
	if required.kind == '[' {
		c.required(s, required)
	}
}

func (c *compiler) properties(s *Schema, t token) {
	spellings := map[string]string{}
	f := fields{scanner: scanner{buf: c.buf[:t.end], pos: t.start}}
	for f.next() {
		name := string(f.unescaped)
		folded := foldASCII(name)
		other, known := spellings[folded]
		switch {
		case name == "":
			c.fault(f.name.start, "a property has no name", "SQL has no column without a name: name it.")
		case strings.ContainsRune(name, 0):
			c.fault(f.name.start, "a property's name holds the character U+0000", "Name it without.")
		case reserved([]byte(folded)):
			c.fault(f.name.start, "the property "+name+" has a name reserved for the lake", "Name it otherwise; reserved are "+strings.Join(reservedNames[:], ", ")+".")
		case known && other == name:
			c.fault(f.name.start, "the property "+name+" stands more than once", "Leave one of them.")
		case known:
			c.fault(f.name.start, "the properties "+other+" and "+name+" differ only by case", "SQL does not tell such columns apart: keep one of them.")
		default:
			spellings[folded] = name
			r := c.rule(f.val)
			s.index[name] = len(s.fields)
			s.fields = append(s.fields, field{name: name, declared: true, rule: r})
			s.columns = append(s.columns, pinflow.Column{Name: name, Type: r.column()})
		}
	}
}

func (c *compiler) required(s *Schema, t token) {
	all := itemsOf(c.buf, &t)
	for all.next() {
		name := string(textOf(c.buf, &all.item))
		i, ok := s.index[name]
		if !ok {
			i = len(s.fields)
			s.index[name] = i
			s.fields = append(s.fields, field{name: name, rule: newRule()})
		}
		s.required = append(s.required, i)
	}
}

// types returns the set that a type keyword's value names.
func (c *compiler) types(t *token) (set types) {
	if t.kind == '"' {
		return typeOf(string(textOf(c.buf, t)))
	}
	all := itemsOf(c.buf, t)
	for all.next() {
		set |= typeOf(string(textOf(c.buf, &all.item)))
	}
	return set
}

// foldASCII lowers A to Z, as SQL does with names.
func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// jsonText writes a decoded value as JSON.
func jsonText(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "?"
	}
	return strings.TrimSpace(b.String())
}
