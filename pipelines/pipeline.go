package pipelines

import (
	"encoding/json"
	"path"
	"strings"

	"github.com/pinflow/pinflow"
)

const pipelineFile = "pipeline.yaml"

// maxPartitions is what a broker takes without thinking; a topic's partition count is for ever.
const maxPartitions = 10_000

// pipeline reads pipeline.yaml and what it names.
func (l *loader) pipeline() {
	text, ok := l.read(pipelineFile, pipelineFile, 0)
	if !ok {
		return
	}
	document, ok := l.document(pipelineFile, text)
	if !ok {
		return
	}
	fields, ok := document.fields("name", "sources", "models")
	if !ok {
		return
	}
	l.sources, l.cleaning = map[string]bool{}, map[string]bool{}
	if name, ok := fields["name"]; ok {
		l.def.Name = name.text()
	}
	name, given := fields["name"]
	if !given {
		name = document
	}
	if !isName(l.def.Name) {
		name.fault("the pipeline cannot be named "+quote(l.def.Name), nameHint)
	}
	taken := names{}
	sources, models := fields["sources"].items(), fields["models"].items()
	for _, item := range sources {
		l.source(item, taken)
	}
	for _, item := range models {
		l.model(item, taken)
	}
	if len(sources) == 0 {
		document.fault("the pipeline has no sources", "Add one to sources: name, route, topic, key and schema.")
	}
	if len(models) == 0 {
		document.fault("the pipeline has no models", "Add one to models: name and from, with its SQL in models/NAME.sql.")
	}
}

func (l *loader) source(e entry, taken names) {
	fields, _ := e.fields("name", "description", "route", "operation", "topic", "partitions", "key", "schema")
	s := pinflow.Source{Name: fields["name"].text(), Description: fields["description"].text(), Route: fields["route"].text(),
		Operation: fields["operation"].text(), Topic: fields["topic"].text(), Key: fields["key"].text(),
		Partitions: fields["partitions"].integer(1, 1, maxPartitions), SchemaFile: fields["schema"].text()}
	l.sources[s.Name] = true
	if !l.named(e, fields["name"], s.Name, taken) {
		return
	}
	if s.Route == "" {
		s.Route = "/" + s.Name + "/"
	}
	if s.Operation == "" {
		s.Operation = "Post " + s.Name
	}
	if s.Topic == "" {
		s.Topic = s.Name
	}
	if s.SchemaFile == "" {
		s.SchemaFile = "schemas/" + s.Name + ".json"
	}
	checkRoute(place(fields, "route", e), s.Route, taken)
	checkTopic(place(fields, "topic", e), s.Topic, taken)
	schema := place(fields, "schema", e)
	text, ok := l.read(s.SchemaFile, pipelineFile, schema.line)
	s.SchemaFile = l.shown(s.SchemaFile)
	if ok {
		s.Schema = json.RawMessage(text)
	}
	if ok && s.Key != "" && !hasProperty(text, s.Key) {
		fields["key"].fault("the key "+quote(s.Key)+" is no property of the schema "+s.SchemaFile, "Name one of the schema's properties, or leave key out.")
	}
	l.def.Sources = append(l.def.Sources, s)
}

// hasProperty tells whether a schema has a property of that name; a schema that can't be read is told of elsewhere.
func hasProperty(schema, name string) bool {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal([]byte(schema), &s) != nil {
		return true
	}
	_, ok := s.Properties[name]
	return ok
}

func (l *loader) model(e entry, taken names) {
	fields, _ := e.fields("name", "description", "from", "sql", "key", "keep", "rows")
	m := pinflow.ModelScript{From: fields["from"].text(), Key: fields["key"].texts(), Keep: fields["keep"].text(), Rows: fields["rows"].text()}
	m.Name, m.Description = fields["name"].text(), fields["description"].text()
	m.Declared = pinflow.Declaration{File: l.shown(pipelineFile), Lines: map[string]int{"": e.line}}
	for name, field := range fields {
		m.Declared.Lines[name] = field.line
	}
	file := fields["sql"].text()
	if file == "" {
		file = path.Join("models", m.Name+".sql")
	}
	l.cleaning[file] = true
	if !l.named(e, fields["name"], m.Name, taken) {
		return
	}
	l.keyed(e, fields, &m)
	if m.Rows == "" {
		m.Rows = "all"
	}
	if !isOneOf(m.Rows, []string{"all", "recent", "none"}) {
		fields["rows"].fault("rows cannot be "+quote(m.Rows), "Write all, recent or none.")
		m.Rows = "all"
	}
	if !l.sources[m.From] {
		place(fields, "from", e).fault("there is no source "+quote(m.From), "Name one of sources in from.")
		return
	}
	text, _ := l.read(file, pipelineFile, place(fields, "sql", e).line)
	m.File, m.SQL = l.shown(file), text
	if m.Description == "" {
		m.Description = firstComment(text)
	}
	l.def.Models = append(l.def.Models, m)
}

// keyed checks what makes a model an entity.
func (l *loader) keyed(e entry, fields map[string]entry, m *pinflow.ModelScript) {
	if len(m.Key) == 0 {
		if m.Keep != "" {
			fields["keep"].fault("the model has keep but no key", "Name the columns that make a row's key in key, or leave keep out: the model keeps one row per record.")
			m.Keep = ""
		}
		return
	}
	seen := map[string]bool{}
	for _, column := range m.Key {
		name := strings.ToLower(column)
		switch {
		case column == "":
			fields["key"].fault("key has a column without a name", "Name each of the key's columns once.")
		case seen[name]:
			fields["key"].fault("key has "+quote(column)+" twice", "Name each of the key's columns once.")
		}
		seen[name] = true
	}
	switch {
	case m.Keep == "":
		m.Keep = "latest"
	case !isOneOf(m.Keep, []string{"latest", "first"}):
		fields["keep"].fault("keep cannot be "+quote(m.Keep), "Write latest or first.")
		m.Keep = "latest"
	}
	if m.Rows != "" && m.Rows != "all" {
		place(fields, "rows", e).fault("rows of a model with a key cannot be "+quote(m.Rows), "Leave rows out: the row of each key is kept.")
		m.Rows = "all"
	}
}

// place is where to point when a field is at fault: the field, or its owner if it is left out.
func place(fields map[string]entry, name string, owner entry) entry {
	if f, ok := fields[name]; ok {
		return f
	}
	return owner
}

// named checks the name of a source or model; false if there is none to go on with.
func (l *loader) named(owner, field entry, name string, taken names) bool {
	if field.value == nil {
		owner.fault(owner.what+" has no name", nameHint)
		return false
	}
	if name == "" || !isName(name) {
		field.fault(field.what+" cannot be "+quote(name), nameHint)
		return false
	}
	return taken.add(field, "name", name)
}

func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }
