package value

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// schemaURL names the schema to the library.
const schemaURL = "schema:///source.json"

// closedLoader loads nothing: a schema whose meaning depends on other files would not be a pure function.
type closedLoader struct{}

func (closedLoader) Load(string) (any, error) {
	return nil, errors.New("it leads out of the schema")
}

// library compiles the schema with the library; what is wrong with it becomes faults.
func (c *compiler) library() *jsonschema.Schema {
	doc, err := decode(c.buf)
	if err != nil {
		c.fault(0, "the schema is not JSON: "+err.Error(), "")
		return nil
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(closedLoader{})
	compiler.AssertFormat()
	if err := compiler.AddResource(schemaURL, doc); err != nil {
		c.libraryFault(err)
		return nil
	}
	full, err := compiler.Compile(schemaURL)
	if err != nil {
		c.libraryFault(err)
	}
	return full
}

// decode decodes JSON, numbers as json.Number.
func decode(text []byte) (any, error) { return jsonschema.UnmarshalJSON(bytes.NewReader(text)) }

func (c *compiler) libraryFault(err error) {
	const hint = "See https://json-schema.org/understanding-json-schema for what a schema may say."
	var (
		against *jsonschema.SchemaValidationError
		invalid *jsonschema.ValidationError
		regex   *jsonschema.InvalidRegexError
		pointed *jsonschema.JSONPointerNotFoundError
		load    *jsonschema.LoadURLError
		draft   *jsonschema.UnsupportedDraftError
	)
	switch {
	case errors.As(err, &against) && errors.As(against.Err, &invalid):
		c.metaFaults(invalid, hint)
	case errors.As(err, &regex):
		c.fault(c.findURL(regex.URL), "the pattern "+strconv.Quote(regex.Regex)+" is no regular expression: "+regexReason(regex.Err),
			"Patterns are in RE2 syntax: no backreferences, no lookaround.")
	case errors.As(err, &pointed):
		c.fault(c.findRef(pointed.URL), "a $ref leads to "+fragment(pointed.URL)+", which the schema does not have", "Define it, or correct the reference.")
	case errors.As(err, &load):
		c.fault(c.findRef(load.URL), "a reference leads to "+load.URL+", outside the schema", "Copy what it leads to into $defs and refer to that.")
	case errors.As(err, &draft):
		c.fault(find(c.buf, []string{"$schema"}), "$schema names an unknown draft", "Write https://json-schema.org/draft/2020-12/schema.")
	default:
		c.fault(0, "the schema cannot be compiled: "+err.Error(), hint)
	}
}

// metaFaults reports what a schema's own schema finds wrong with it.
func (c *compiler) metaFaults(e *jsonschema.ValidationError, hint string) {
	type fault struct{ path, reason string }
	seen := map[fault]bool{}
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		_, any := e.ErrorKind.(*kind.AnyOf)
		_, one := e.ErrorKind.(*kind.OneOf)
		if len(e.Causes) > 0 && !any && !one {
			for _, cause := range e.Causes {
				walk(cause)
			}
			return
		}
		for _, f := range leafFaults(e) {
			key := fault{f.Path, f.Reason}
			if seen[key] {
				continue
			}
			seen[key] = true
			what := "the schema"
			if f.Path != "" {
				what += " at " + f.Path
			}
			c.fault(find(c.buf, e.InstanceLocation), what+" "+f.Reason, hint)
		}
	}
	walk(e)
}

// findURL returns where in the text a URL with a JSON pointer leads.
func (c *compiler) findURL(url string) int {
	tokens := strings.Split(strings.TrimPrefix(fragment(url), "#"), "/")
	for i, t := range tokens {
		tokens[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(t)
	}
	return find(c.buf, tokens[1:])
}

// findRef returns where in the text a reference that ends like url stands, 0 if it is not found.
func (c *compiler) findRef(url string) int {
	for _, text := range []string{url, fragment(url), url[strings.LastIndexByte(url, '/')+1:]} {
		if i := bytes.Index(c.buf, []byte(strconv.Quote(text))); i >= 0 {
			return i
		}
	}
	return 0
}

func fragment(url string) string {
	if _, f, ok := strings.Cut(url, "#"); ok {
		return "#" + f
	}
	return url
}

func regexReason(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}
