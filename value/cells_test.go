package value_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/pinflow/pinflow/value"
	"pgregory.net/rapid"
)

// TestCellsAreWhatWasPosted holds the cells of accepted records to encoding/json.
func TestCellsAreWhatWasPosted(t *testing.T) {
	schema, faults := value.CompileSchema("", []byte(typedSchema))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	columns := schema.Columns()
	cells := make([]value.Cell, len(columns))
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		v := drawTyped(t)
		got, want := schema.CheckCells(v, cells), schema.Check(v)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: faults %v with cells, %v without", v, got, want)
		}
		if want != nil {
			return
		}
		accepted++
		var posted map[string]json.RawMessage
		if err := json.Unmarshal(v, &posted); err != nil {
			t.Fatal(err)
		}
		for i := range cells {
			checkCell(t, columns[i].Type, v, &cells[i], posted[columns[i].Name])
		}
	})
	if accepted < 20 {
		t.Errorf("only %d records were accepted", accepted)
	}
}

func checkCell(t *rapid.T, typ string, v []byte, c *value.Cell, posted json.RawMessage) {
	if null := posted == nil || string(posted) == "null"; null || c.IsNull() {
		if null != c.IsNull() {
			t.Fatalf("%s: a cell of %s is null: %v, posted %s", v, typ, c.IsNull(), posted)
		}
		return
	}
	var got any
	want := reflect.New(map[string]reflect.Type{"VARCHAR": reflect.TypeFor[string](), "BIGINT": reflect.TypeFor[int64](), "DOUBLE": reflect.TypeFor[float64](),
		"BOOLEAN": reflect.TypeFor[bool](), "VARCHAR[]": reflect.TypeFor[[]string](), "JSON": reflect.TypeFor[json.RawMessage]()}[typ])
	if err := json.Unmarshal(posted, want.Interface()); err != nil {
		t.Fatal(err)
	}
	switch typ {
	case "VARCHAR":
		text := c.AppendText([]byte("before "), v)
		if len(text) > len("before ")+c.Len() {
			t.Fatalf("%s: a text is longer than as it is written", posted)
		}
		got = string(bytes.TrimPrefix(text, []byte("before ")))
	case "BIGINT":
		got = c.Int(v)
	case "DOUBLE":
		got = c.Float(v)
	case "BOOLEAN":
		got = c.Bool()
	case "JSON":
		got = json.RawMessage(c.JSON(v))
	case "VARCHAR[]":
		list := []string{}
		for item := range c.Items(v) {
			list = append(list, string(item.AppendText(nil, v)))
		}
		got = list
	}
	if !reflect.DeepEqual(got, want.Elem().Interface()) {
		t.Fatalf("%s: a cell is %#v, posted %s", typ, got, posted)
	}
}
