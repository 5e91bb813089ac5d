package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/pinflow/pinflow"
)

// file is a file of settings: what it says of each, as text.
type file map[string]string

// readFile reads a file of settings. Everything that is wrong with it is one Invalid error, with a line for each
// fault: where, what, and the nearest name that there is for a name that there is not.
func readFile(path string, settings []*kong.Flag) (file, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		kind := pinflow.Internal
		if errors.Is(err, os.ErrNotExist) {
			kind = pinflow.NotFound
		}
		return nil, &pinflow.Error{Op: "read the settings in", On: path, Kind: kind, Err: err}
	}
	r := reading{path: path, settings: settings, file: file{}}
	r.read(content)
	if len(r.faults) == 0 {
		return r.file, nil
	}
	faults := make([]error, len(r.faults))
	for i, f := range r.faults {
		faults[i] = errors.New(f.String())
	}
	return nil, &pinflow.Error{Op: "read the settings", Kind: pinflow.Invalid, Err: list(faults)}
}

// reading is the reading of one file.
type reading struct {
	path     string
	settings []*kong.Flag
	file     file
	faults   []pinflow.Fault
}

func (r *reading) fault(at *token.Token, hint, format string, args ...any) {
	f := pinflow.Fault{File: r.path, Message: fmt.Sprintf(format, args...), Hint: hint}
	if at != nil && at.Position != nil {
		f.Line = at.Position.Line
	}
	r.faults = append(r.faults, f)
}

func (r *reading) read(content []byte) {
	parsed, err := parser.ParseBytes(content, 0)
	if err != nil {
		var located interface {
			GetToken() *token.Token
			GetMessage() string
		}
		if errors.As(err, &located) {
			r.fault(located.GetToken(), "", "%s", located.GetMessage())
			return
		}
		r.fault(nil, "", "%v", err)
		return
	}
	for i, doc := range parsed.Docs {
		switch body := doc.Body.(type) {
		case nil, *ast.NullNode, *ast.CommentGroupNode:
		case *ast.MappingNode:
			for _, pair := range body.Values {
				r.pair(pair)
			}
		case *ast.MappingValueNode:
			r.pair(body)
		default:
			r.fault(body.GetToken(), "", "settings are written name: value, one a line")
		}
		if i > 0 {
			r.fault(doc.Start, "", "there is more than one document")
		}
	}
}

// pair reads one setting. The parser has seen to it that none stands twice.
func (r *reading) pair(pair *ast.MappingValueNode) {
	name := pair.Key.GetToken().Value
	i := slices.IndexFunc(r.settings, func(f *kong.Flag) bool { return f.Name == name })
	if i < 0 {
		hint := "pinflow up --help lists the settings."
		if near := nearest(name, r.settings); near != "" {
			hint = "Did you mean " + near + "?"
		}
		r.fault(pair.Key.GetToken(), hint, "there is no setting %q", name)
		return
	}
	text, ok := scalar(pair.Value)
	if !ok {
		r.fault(pair.Key.GetToken(), "Leave the line out for the default.", "%s must have one value", name)
		return
	}
	if err := try(r.settings[i], text); err != nil {
		r.fault(pair.Value.GetToken(), "", "%s: %v", name, err)
		return
	}
	r.file[name] = text
}

// scalar returns the text of a single value.
func scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// try tells why a text is no value of a setting.
func try(setting *kong.Flag, text string) error {
	err := setting.Parse(kong.Scan().PushTyped(text, kong.FlagValueToken), reflect.New(setting.Target.Type()).Elem())
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			return inner // without the name of the flag
		}
		return err
	}
	if setting.Enum != "" && !slices.Contains(setting.EnumSlice(), text) {
		return fmt.Errorf("%q is none of %s", text, strings.Join(setting.EnumSlice(), ", "))
	}
	return nil
}
