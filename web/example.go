package web

import (
	"encoding/json"
	"slices"
	"strings"
)

// jsonSchema is as much of a JSON Schema as an example can be made of.
type jsonSchema struct {
	Type       json.RawMessage            `json:"type"`
	Properties map[string]json.RawMessage `json:"properties"`
	Required   []string                   `json:"required"`
	Items      json.RawMessage            `json:"items"`
	MinItems   int                        `json:"minItems"`
	MinLength  int                        `json:"minLength"`
	Minimum    json.Number                `json:"minimum"`
	Format     string                     `json:"format"`
	Const      json.RawMessage            `json:"const"`
	Default    json.RawMessage            `json:"default"`
	Enum       []json.RawMessage          `json:"enum"`
	Examples   []json.RawMessage          `json:"examples"`
	AnyOf      []json.RawMessage          `json:"anyOf"`
	OneOf      []json.RawMessage          `json:"oneOf"`
}

// example returns a JSON object that a source with that schema is likely to take, for people to begin with.
// Its members are the required ones, or all if none is.
func example(schema json.RawMessage) string { return string(exampleOf(schema, "", 0)) }

const maxDepth = 8 // of objects in an example

func exampleOf(schema json.RawMessage, name string, depth int) json.RawMessage {
	var s jsonSchema
	if json.Unmarshal(schema, &s) != nil || depth > maxDepth {
		return json.RawMessage("null")
	}
	for _, given := range [][]json.RawMessage{s.Examples, {s.Const}, s.Enum, {s.Default}} {
		if len(given) > 0 && len(given[0]) > 0 {
			return given[0]
		}
	}
	for _, choices := range [][]json.RawMessage{s.AnyOf, s.OneOf} {
		if len(choices) > 0 {
			return exampleOf(choices[0], name, depth+1)
		}
	}
	switch s.typeOf() {
	case "object":
		return s.object(depth)
	case "array":
		items := make([]json.RawMessage, s.MinItems)
		for i := range items {
			items[i] = exampleOf(s.Items, name, depth+1)
		}
		return mustJSON(items)
	case "integer", "number":
		if s.Minimum != "" {
			return json.RawMessage(s.Minimum)
		}
		return json.RawMessage("1")
	case "boolean":
		return json.RawMessage("true")
	case "null":
		return json.RawMessage("null")
	}
	return mustJSON(s.text(name))
}

// typeOf returns the first type that is not null.
func (s jsonSchema) typeOf() string {
	var one string
	if json.Unmarshal(s.Type, &one) == nil {
		return one
	}
	var several []string
	if json.Unmarshal(s.Type, &several) == nil {
		for _, t := range several {
			if t != "null" {
				return t
			}
		}
	}
	if s.Properties != nil {
		return "object"
	}
	return "string"
}

func (s jsonSchema) object(depth int) json.RawMessage {
	names := slices.Clone(s.Required)
	if len(names) == 0 {
		for name := range s.Properties {
			names = append(names, name)
		}
		slices.Sort(names)
	}
	parts := make([]string, len(names))
	for i, name := range names {
		schema, ok := s.Properties[name]
		if !ok {
			schema = json.RawMessage("{}")
		}
		parts[i] = string(mustJSON(name)) + ": " + string(exampleOf(schema, name, depth+1))
	}
	return json.RawMessage("{" + strings.Join(parts, ", ") + "}")
}

func (s jsonSchema) text(name string) string {
	switch s.Format {
	case "date-time":
		return "2026-01-02T03:04:05Z"
	case "date":
		return "2026-01-02"
	case "time":
		return "03:04:05Z"
	case "uuid":
		return "6f1c2a4e-8f0b-4a53-9a41-0d3f5b7c9e21"
	case "uri", "uri-reference":
		return "https://example.org/"
	case "email":
		return "someone@example.org"
	case "ipv4":
		return "192.0.2.1"
	}
	for len(name) < s.MinLength {
		name += "x"
	}
	return name
}
