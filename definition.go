package pinflow

import (
	"encoding/json"
	"strconv"
)

// Definition is what users write: the sources, models, metrics and reports of a pipeline, as read
// from its files and not yet compiled.
type Definition struct {
	Name    string // the pipeline's name, an SQL identifier
	Sources []Source
	Models  []ModelScript
	Metrics []Script
	Reports []Script
	Tests   []Script
}

// Source is a route that takes posts, the topic they go to, and the schema that they satisfy.
type Source struct {
	Name        string
	Route       string // "/pin/"
	Operation   string // what the API's documentation calls it: "Get Db Row"
	Description string
	Topic       string
	Partitions  int
	Key         string          // the field whose value is the record's key; "" for none
	Schema      json.RawMessage // JSON Schema, draft 2020-12
	SchemaFile  string
}

// Script is a file of SQL.
type Script struct {
	Name        string // the file's name without its ending
	File        string // path as shown to people
	SQL         string
	Description string // the first comment
}

// ModelScript is a model before compilation.
type ModelScript struct {
	Script
	From string   // the source's name
	Key  []string // columns that make it an entity; empty for one row per record
	Keep string   // "latest" or "first" for an entity
	Rows string   // "all", "recent" or "none": which rows the store keeps
	// Declared is where faults of these fields are; the zero value for the SQL file.
	Declared Declaration
}

// Declaration is where something is declared: a file, as shown to people, and the line of each field that is given, from 1. The line
// of "" is that of the whole.
type Declaration struct {
	File  string
	Lines map[string]int
}

// Line is where to point for a field: its line, or that of the whole if it is left out.
func (d Declaration) Line(field string) int {
	if line, ok := d.Lines[field]; ok {
		return line
	}
	return d.Lines[""]
}

// Fault is one thing that is wrong with a definition.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"` // from 1; 0 if the whole file is meant
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do
}

// String formats as file:line: message (hint).
func (f Fault) String() string {
	s := f.File
	if f.Line > 0 {
		s += ":" + strconv.Itoa(f.Line)
	}
	s += ": " + f.Message
	if f.Hint != "" {
		s += " (" + f.Hint + ")"
	}
	return s
}
