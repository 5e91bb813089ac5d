package web

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestEveryRouteIsInTheOpenAPIDocument(t *testing.T) {
	s := serve(t, 0, func(o *Options) { o.Operate = &fakeOperator{} })
	text, err := json.Marshal(s.api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Description string
			Parameters  []struct{ Name, In, Description string }
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, op := range s.operations() {
		got, ok := doc.Paths[strings.ReplaceAll(op.path, "...}", "}")][strings.ToLower(op.method)]
		if !ok || got.OperationID == "" || ids[got.OperationID] || got.Description == "" || got.Responses["200"] == nil {
			t.Errorf("%s %s is described as %+v", op.method, op.path, got)
		}
		ids[got.OperationID] = true
		named := false
		for _, p := range got.Parameters {
			named = named || p.In == "path"
			if p.Description == "" {
				t.Errorf("%s: parameter %s is not described", op.path, p.Name)
			}
		}
		if named != strings.Contains(op.path, "{name}") {
			t.Errorf("%s: its path's parameter is not described", op.path)
		}
	}
	for _, want := range []string{"window_start, color, cars, share", `"enum":["cars_per_color"`, "Pinflow-Position", "beyond 2^53"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in the document", want)
		}
	}
}
