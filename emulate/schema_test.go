package emulate_test

import (
	"testing"

	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/pipelines"
	"github.com/pinflow/pinflow/value"
)

// TestPinsSatisfyTheShippedSchema: none is refused.
func TestPinsSatisfyTheShippedSchema(t *testing.T) {
	files, err := pipelines.Shipped(pipelines.Default)
	if err != nil {
		t.Fatal(err)
	}
	definition, faults := pipelines.Load(files, pipelines.Default)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	source := definition.Sources[0]
	schema, faults := value.CompileSchema(source.SchemaFile, source.Schema)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	ids := map[string]bool{}
	for _, pin := range emulate.Pins(11, 11_000) {
		if faults := schema.Check(pin); faults != nil {
			t.Fatalf("%s: %v", pin, faults)
		}
		id, ok := schema.KeyOf(pin, source.Key)
		if !ok || ids[string(id)] {
			t.Fatalf("%s has the key %q", pin, id)
		}
		ids[string(id)] = true
	}
}
