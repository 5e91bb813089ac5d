package pipelines

import (
	"errors"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// entry is a place in pipeline.yaml: a value, and where it stands.
type entry struct {
	l     *loader
	file  string
	line  int
	what  string // "sources[1].topic"
	value ast.Node
}

// document parses a YAML file to its one value; false with a fault noted if it cannot be.
func (l *loader) document(file, text string) (entry, bool) {
	parsed, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		line, message := yamlError(err)
		l.fault(file, line, "the file is not YAML: "+message, "")
		return entry{}, false
	}
	if len(parsed.Docs) != 1 || parsed.Docs[0].Body == nil {
		l.fault(file, 0, "the file does not hold one YAML document", "Write name, sources and models into it.")
		return entry{}, false
	}
	return entry{l: l, file: file, line: 1, value: parsed.Docs[0].Body}, true
}

// yamlError is where and why a text is not YAML.
func yamlError(err error) (line int, message string) {
	var e yaml.Error
	if errors.As(err, &e) {
		if t := e.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
		return line, e.GetMessage()
	}
	message, _, _ = strings.Cut(err.Error(), "\n")
	return 0, message
}

func (e entry) fault(message, hint string) { e.l.fault(e.file, e.line, message, hint) }

// fields returns the entries of a mapping by name; false with a fault noted if it is none. Unknown names are faults
// (repeated ones are the parser's).
func (e entry) fields(known ...string) (map[string]entry, bool) {
	var pairs []*ast.MappingValueNode
	switch v := e.value.(type) {
	case *ast.MappingNode:
		pairs = v.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{v}
	default:
		e.fault(e.name()+" is not a mapping", "Write its fields as name: value, which are "+strings.Join(known, ", ")+".")
		return nil, false
	}
	found := map[string]entry{}
	for _, pair := range pairs {
		name := strings.Trim(pair.Key.String(), `"'`)
		field := entry{l: e.l, file: e.file, line: pair.Key.GetToken().Position.Line, what: strings.TrimPrefix(e.what+"."+name, "."), value: pair.Value}
		if isOneOf(name, known) {
			found[name] = field
			continue
		}
		field.fault("there is no field "+field.what, "There are "+strings.Join(known, ", ")+".")
	}
	return found, true
}

func isOneOf(name string, known []string) bool {
	for _, k := range known {
		if name == k {
			return true
		}
	}
	return false
}

func (e entry) name() string {
	if e.what == "" {
		return "the file"
	}
	return e.what
}

// items returns the entries of a list. Anything else is a fault, nothing is an empty list.
func (e entry) items() []entry {
	if e.value == nil {
		return nil
	}
	list, ok := e.value.(*ast.SequenceNode)
	if !ok {
		if _, null := e.value.(*ast.NullNode); !null {
			e.fault(e.what+" is not a list", "Start each item with a dash.")
		}
		return nil
	}
	all := make([]entry, len(list.Values))
	for i, v := range list.Values {
		all[i] = entry{l: e.l, file: e.file, line: v.GetToken().Position.Line, what: e.what + "[" + strconv.Itoa(i) + "]", value: v}
		if m, ok := v.(*ast.MappingNode); ok && len(m.Values) > 0 {
			all[i].line = m.Values[0].Key.GetToken().Position.Line
		}
	}
	return all
}

// text returns a scalar's text; "" with a fault noted if it is none. An entry that is not there is "".
func (e entry) text() string {
	switch v := e.value.(type) {
	case nil, *ast.NullNode:
		return ""
	case *ast.StringNode:
		return v.Value
	case *ast.LiteralNode:
		return strings.TrimSpace(v.Value.Value)
	case ast.ScalarNode:
		return v.GetToken().Value
	}
	e.fault(e.what+" is not a text", "Write it on the same line.")
	return ""
}

// texts returns a list of texts; a single one is a list too.
func (e entry) texts() []string {
	if _, single := e.value.(ast.ScalarNode); single {
		if t := e.text(); t != "" {
			return []string{t}
		}
		return nil
	}
	var all []string
	for _, item := range e.items() {
		all = append(all, item.text())
	}
	return all
}

// integer returns a whole number, byDefault if the entry is not there.
func (e entry) integer(byDefault, from, to int) int {
	if e.value == nil {
		return byDefault
	}
	n, err := strconv.Atoi(e.text())
	if err != nil || n < from || n > to {
		e.fault(e.what+" is not a whole number from "+strconv.Itoa(from)+" to "+strconv.Itoa(to), "")
		return byDefault
	}
	return n
}
