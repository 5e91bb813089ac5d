package value

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
)

func TestColumns(t *testing.T) {
	s := compiled(t, `{"properties": {
		"z": {"type": "string", "pattern": "^z"}, "i": {"type": "integer"}, "n": {"type": ["number", "null"]}, "ni": {"type": ["integer", "number"]},
		"b": {"type": "boolean"}, "ls": {"type": "array", "items": {"type": ["string", "null"]}}, "li": {"type": "array", "items": {"type": "integer"}},
		"lx": {"type": "array"}, "lt": {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
		"ll": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, "o": {"type": "object"}, "u": {"type": ["string", "integer"]}, "any": true, "é": {}, "É": {}
	}}`)
	var got []string
	for _, c := range s.Columns() {
		got = append(got, c.Name+" "+c.Type)
	}
	want := "z VARCHAR,i BIGINT,n DOUBLE,ni DOUBLE,b BOOLEAN,ls VARCHAR[],li BIGINT[],lx JSON,lt JSON,ll JSON,o JSON,u JSON,any JSON,é JSON,É JSON"
	if strings.Join(got, ",") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ","), want)
	}
}

func TestSchemaFaults(t *testing.T) {
	for _, c := range []struct {
		schema string
		line   int
		want   string // in the message
	}{
		{`{`, 1, "not a JSON object"},
		{"{\n\"type\": \"object\",\n}", 3, "a name in double quotes"},
		{"[]", 1, "must be an object, not an array"},
		{`{"type": "object"}`, 1, "no properties"},
		{"{\n\"properties\": {}}", 2, "no properties"},
		{"{\"properties\": {\n\"a\": {\"type\": \"strin\"}}}", 2, `/properties/a/type is none of the alternatives: it must be "array"`},
		{"{\"properties\": {\n\"a\": {\n\"minLength\": -1}}}", 3, "/properties/a/minLength must be at least 0"},
		{"{\"properties\": {\n\"a\": {},\n\"a\": {}}}", 3, "the property a stands more than once"},
		{"{\"properties\": {\n\"title\": {},\n\"Title\": {}}}", 3, "the properties title and Title differ only by case"},
		{"{\"properties\": {\n\"_key\": {}}}", 2, "reserved for the lake"},
		{"{\"properties\": {\n\"_Key\": {}}}", 2, "reserved for the lake"},
		{"{\"properties\": {\n\"\": {}}}", 2, "a property has no name"},
		{"{\"properties\": {\n\"a\\u0000\": {}}}", 2, "U+0000"},
		{"{\"properties\": {\"a\": {}},\n\"type\": \"array\"}", 2, "type is not object"},
		{"{\"properties\": {\n\"a\": {\"pattern\": \"(\"}}}", 2, "a regular expression in RE2 syntax: missing closing )"},
		{"{\"properties\": {\n\"a\": {\"$ref\": \"#/$defs/x\"}}}", 2, "leads to #/$defs/x, which the schema does not have"},
		{"{\"properties\": {\n\"a\": {\"$ref\": \"other.json\"}}}", 2, "outside the schema"},
		{"{\"properties\": {\n\"a\": {\"$ref\": \"file:///etc/passwd\"}}}", 2, "outside the schema"},
		{"{\"properties\": {\"a\": {}},\n\"$schema\": \"http://example.com/draft\"}", 2, ""},
		{"{\"properties\": {\"a\": {}},\n\"properties\": {\"b\": {}}}", 2, "the keyword properties stands more than once"},
	} {
		s, faults := CompileSchema("a.json", []byte(c.schema))
		if s != nil || len(faults) != 1 {
			t.Errorf("%s: schema %v, faults %v", c.schema, s != nil, faults)
			continue
		}
		if f := faults[0]; f.File != "a.json" || f.Line != c.line || !strings.Contains(f.Message, c.want) || f.Hint == "" {
			t.Errorf("%s\ngot  %+v\nwant line %d, %s", c.schema, f, c.line, c.want)
		}
	}
	_, faults := CompileSchema("a.json", []byte("{\"properties\": {\n\"a\": {\"minLength\": \"x\"},\n\"b\": {\"maxLength\": true}}}"))
	if len(faults) != 2 {
		t.Errorf("two faults of a schema reported as %v", faults)
	}
}

func TestCheck(t *testing.T) {
	simple := `{"type": "object", "required": ["i", "gone~/away"], "properties": {
		"i": {"type": "integer", "minimum": 0, "exclusiveMaximum": 10}, "s": {"type": "string", "minLength": 2, "maxLength": 3}, "n": {"type": "number", "minimum": 0.1},
		"e": {"enum": ["a", 1, 2.50, null, true]}, "c": {"const": "x"}, "l": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string"}},
		"u": {"type": ["string", "integer", "null"]}, "any": {}, "gone~/away": {}
	}, "additionalProperties": false}`
	full := `{"required": ["k"], "properties": {
		"k": {"type": "integer", "multipleOf": 5}, "p": {"type": "string", "pattern": "^a+$"}, "d": {"type": "string", "format": "date-time"},
		"o": {"type": "object", "required": ["x"], "properties": {"x": {"type": "integer"}}, "additionalProperties": false},
		"a": {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 3}]}, "r": {"$ref": "#/$defs/r"}, "q": {"type": "array", "uniqueItems": true}, "li": {"type": "array", "items": {"type": "integer"}}
	}, "$defs": {"r": {"maximum": 7}}}`
	for _, c := range []struct{ schema, value, want string }{
		{simple, `{"i":0,"gone~/away":0}`, ``},
		{simple, `{"i":9,"s":"\u00e9\ud83d\ude00","n":1e-1,"e":2.5,"c":"\u0078","l":["",""],"u":null,"any":{"x":[1e300]},"gone~/away":0}`, ``},
		{simple, `{"i":1,"e":1.0,"u":-9223372036854775808,"gone~/away":0}`, ``},
		{simple, `{}`, `/gone~0~1away is missing;/i is missing`},
		{simple, `{"i":1.0,"gone~/away":0}`, `/i must be an integer, written without a fraction or an exponent`},
		{simple, `{"i":1e0,"gone~/away":0}`, `/i must be an integer, written without a fraction or an exponent`},
		{simple, `{"i":9223372036854775808,"gone~/away":0}`, `/i must be an integer between -9223372036854775808 and 9223372036854775807`},
		{simple, `{"i":-99999999999999999999,"gone~/away":0}`, `/i must be an integer between -9223372036854775808 and 9223372036854775807`},
		{simple, `{"i":10,"gone~/away":0}`, `/i must be less than 10`},
		{simple, `{"i":"1","gone~/away":0}`, `/i must be an integer, not a string`},
		{simple, `{"i":-1,"s":"x","n":0.09999,"e":"b","c":"y","l":[],"u":1.5,"x/y":1,"gone~/away":0}`,
			`/c must be "x";/e must be "a", 1, 2.50, null or true;/i must be at least 0;/l must have at least 1 item, has 0;/n must be at least 0.1;/s must have at least 2 characters, has 1;/u must be an integer, written without a fraction or an exponent;/x~1y is not a field of the schema`},
		{simple, `{"i":1,"l":["a",1,null],"s":"wxyz","u":[],"gone~/away":0}`,
			`/l must have at most 2 items, has 3;/l/1 must be a string, not a number;/l/2 must be a string, not null;/s must have at most 3 characters, has 4;/u must be null, an integer or a string, not an array`},
		{simple, `{"i":1,"any":["\u0000",1e999,1e-999,0e-999,"\ud800"],"gone~/away":0}`,
			`/any/0 holds the character U+0000;/any/1 is a number beyond the range of a 64-bit float;/any/2 is a number too close to 0 for a 64-bit float;/any/4 holds half of a surrogate pair (\ud800 to \udfff)`},
		{simple, `{"i":1,"i":2,"_key":1,"gone~/away":0}`, `/_key is a name reserved for the lake;/i stands more than once in the object`},
		{simple, `{"i":1`, `the record is not JSON: at byte 6, a comma or a closing brace should stand here`},
		{simple, `[]`, `the record must be an object, not an array`},
		{full, `{"k":10,"p":"aa","d":"2026-01-01T00:00:00Z","o":{"x":1.0},"a":3,"r":7,"q":[1,2],"other":1,"li":[1]}`, ``},
		{full, `{"k":10.0}`, `/k must be an integer, written without a fraction or an exponent`},
		{full, `{"k":12,"p":"b","d":"yesterday","o":{"y":"1"},"a":2,"r":8,"q":[1,1.0],"li":[1,2.0]}`,
			`/a is none of the alternatives: it must be a string, not a number; or it must be at least 3;/d must have the format date-time;/k must be a multiple of 5;/li/1 must be an integer, written without a fraction or an exponent;/o/x is missing;/o/y is not a field of the schema;/p must match the pattern ^a+$;/q must have no two equal items;/r must be at most 7`},
		{full, `{"k":1e999999999,"r":9e1000000}`, `/k is a number beyond the range of a 64-bit float;/r is a number beyond the range of a 64-bit float`},
		{full, `{"p":1}`, `/k is missing;/p must be a string, not a number`},
	} {
		var got []string
		for _, f := range compiled(t, c.schema).Check([]byte(c.value)) {
			got = append(got, f.String())
		}
		if strings.Join(got, ";") != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.value, strings.Join(got, ";"), c.want)
		}
	}
}

func TestManyFaultsAreCut(t *testing.T) {
	s := compiled(t, `{"properties": {"a": {"type": "array", "items": {"type": "string"}}}}`)
	faults := s.Check([]byte(`{"a":[` + strings.Repeat(`1,`, 999) + `"\u0000"]}`))
	if len(faults) != maxFaults+1 || faults[maxFaults] != (Fault{"", "has 900 more faults"}) {
		t.Errorf("%d faults, last %v", len(faults), faults[len(faults)-1])
	}
}

func TestKeyOf(t *testing.T) {
	s := compiled(t, `{"properties": {"k": {}}}`)
	for _, c := range []struct {
		value, want string
		ok          bool
	}{
		{`{"k":"a\u00e9\n"}`, "aé\n", true}, {`{"x":1,"k" : -1.50 }`, "-1.50", true}, {`{"k":true}`, "true", true}, {`{"k":-0}`, "0", true}, {`{"k":"-0"}`, "-0", true}, {`{"k":-0.0}`, "-0.0", true}, {`{"k":""}`, "", true},
		{`{"\u006b":[1, 2]}`, "[1, 2]", true}, {`{"k":null}`, "", false}, {`{"K":1}`, "", false}, {`{}`, "", false},
	} {
		got, ok := s.KeyOf([]byte(c.value), "k")
		if string(got) != c.want || ok != c.ok {
			t.Errorf("%s: %q, %v", c.value, got, ok)
		}
	}
	if _, ok := s.KeyOf([]byte(`{"":1}`), ""); ok {
		t.Error("a source without a key field has keys")
	}
}

func TestColumnsAreACopy(t *testing.T) {
	s := compiled(t, `{"properties": {"k": {}}}`)
	s.Columns()[0].Name = "other"
	if !reflect.DeepEqual(s.Columns(), []pinflow.Column{{Name: "k", Type: "JSON"}}) {
		t.Error("a caller can change the schema's columns")
	}
}
