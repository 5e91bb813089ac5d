package value

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pinflow/pinflow"
)

func TestPlain(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n-1) + "{}" + strings.Repeat("}", n-1) }
	for _, c := range []struct{ value, want string }{
		{`{}`, ``},
		{" \r\n\t{ \"a\" : [ 1 , -0.5e+3 , true , false , null , \"\\u00e9\\ud83d\\ude00\" ] } \n", ``},
		{`{"a":1,"A":2}`, ``},
		{`{"a":{"b":1,"b":2}}`, ``},
		{`{"a":{"_key":1}}`, ``},
		{`{"a":1e999}`, ``},
		{`{"a":"\u0000"}`, ``},
		{deep(64), ``},
		{deep(65), `nests objects and arrays deeper than 64`},
		{`{"a":` + strings.Repeat("[", 1000), `nests objects and arrays deeper than 64`},
		{``, `at byte 0: there is nothing`},
		{` `, `at byte 1: there is nothing`},
		{`5`, `at byte 0: must be an object, not a number`},
		{`"x"`, `at byte 0: must be an object, not a string`},
		{`null`, `at byte 0: must be an object, not null`},
		{`[{}]`, `at byte 0: must be an object, not an array`},
		{`tru`, `at byte 0: a value should stand here`},
		{`{} {}`, `at byte 3: something follows the object`},
		{`1 2`, `at byte 2: something follows the value`},
		{`{"a":1,}`, `at byte 7: a name in double quotes should stand here`},
		{`{"a" 1}`, `at byte 5: a colon should stand here`},
		{`{"a":1 "b":2}`, `at byte 7: a comma or a closing brace should stand here`},
		{`{"a":[1 2]}`, `at byte 8: a comma or a closing bracket should stand here`},
		{`{"a":[1,]}`, `at byte 8: a value should stand here`},
		{`{"a":01}`, `at byte 5: a number must not start with 0`},
		{`{"a":-}`, `at byte 6: a digit should follow the minus sign`},
		{`{"a":1.}`, `at byte 7: a digit should follow the decimal point`},
		{`{"a":1e+}`, `at byte 8: a digit should follow the exponent sign`},
		{`{"a":NaN}`, `at byte 5: a value should stand here`},
		{`{"a":"x`, `at byte 7: the text ends inside a string`},
		{`{"a":"x\`, `at byte 8: the text ends inside a string`},
		{`{"a":"\x"}`, `at byte 6: a backslash must be followed by one of " \ / b f n r t u`},
		{`{"a":"\u12g4"}`, `at byte 6: \u must be followed by four hexadecimal digits`},
		{"{\"a\":\"\n\"}", `at byte 6: a control character in a string must be escaped`},
		{"{\"a\":\"\xff\"}", `at byte 6: the bytes are not valid UTF-8`},
		{"{\"a\":\"\xed\xa0\x80\"}", `at byte 6: the bytes are not valid UTF-8`},
		{"\ufeff{}", `at byte 0: a value should stand here`},
		{`{"a":1,"b":2,"a":3}`, `/a stands more than once in the object`},
		{`{"a":1,"\u0061":3}`, `/a stands more than once in the object`},
		{`{"_raw":1}`, `/_raw is a name reserved for the lake`},
		{`{"\u005fkey":1}`, `/_key is a name reserved for the lake`},
		{`{"a":["\ud800x"]}`, `/a/0 holds half of a surrogate pair (\ud800 to \udfff)`},
		{`{"a":"\ud800\u0041"}`, `/a holds half of a surrogate pair (\ud800 to \udfff)`},
		{`{"a":"\ude00"}`, `/a holds half of a surrogate pair (\ud800 to \udfff)`},
		{`{"a~/b":{"\udead":1}}`, "/a~0~1b/\ufffd holds half of a surrogate pair (\\ud800 to \\udfff)"},
	} {
		err := Plain([]byte(c.value))
		if IsPlain([]byte(c.value)) != (err == nil) {
			t.Errorf("%.60s: Plain and IsPlain disagree", c.value)
		}
		got := ""
		if why := WhyNotPlain(err); why != nil {
			got = why.Error()
		}
		if c.want == "" && err != nil || !strings.HasSuffix(got, c.want) {
			t.Errorf("%.60s\ngot  %s\nwant %s", c.value, got, c.want)
		}
		if err != nil && pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("%.60s: kind %v", c.value, pinflow.KindOf(err))
		}
	}
}

func TestManyNames(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		b.WriteString(`,"field` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + jsonText(i) + `":1`)
	}
	all := "{" + b.String()[1:] + "}"
	if err := Plain([]byte(all)); err != nil {
		t.Error(err)
	}
	again := all[:len(all)-1] + all[strings.LastIndexByte(all, ','):]
	if why := WhyNotPlain(Plain([]byte(again))); why == nil || why.Reason != repeated.String() {
		t.Errorf("the last of 100,000 names repeated: %v", why)
	}
}

// oraclePlain says by encoding/json what Plain should.
func oraclePlain(v []byte) bool {
	if !utf8.Valid(v) || !json.Valid(v) || bytes.Contains(v, []byte(`\ud`)) || bytes.Contains(v, []byte(`\uD`)) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(v))
	d.UseNumber()
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return false
	}
	seen := map[string]bool{}
	depth, name := 1, true
	for depth > 0 {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if s, ok := token.(string); ok && depth == 1 && name {
			if seen[s] || reserved([]byte(s)) {
				return false
			}
			seen[s], name = true, false
			continue
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth > maxDepth {
			return false
		}
		name = name || depth == 1
	}
	return true
}

func FuzzPlain(f *testing.F) {
	for _, v := range []string{pin, `{"a":[1,-0.5e+3,true,null,"\u00e9"]}`, `{"a":1,"a":2}`, `{"_key":1}`, "{\"\xc3\xa9\":\"\xf0\x9f\x98\x80\"}", `{"a":"\\\""} `} {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		paired := bytes.Contains(bytes.ToLower(v), []byte(`\ud`)) // the oracle does not tell pairs from halves
		if got, want := IsPlain(v), oraclePlain(v); got != want && !paired {
			t.Fatalf("%q: plain %v, encoding/json says %v", v, got, want)
		}
		if !json.Valid(v) {
			return
		}
		var want bytes.Buffer
		if err := json.Compact(&want, v); err != nil {
			t.Fatal(err)
		}
		if got := Compact(nil, v); !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%q compacted is %q, want %q", v, got, want.Bytes())
		}
	})
}
