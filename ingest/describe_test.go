package ingest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/apidocs"
	"github.com/pinflow/pinflow/ingest"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestDocument reads the OpenAPI document as a client would and judges records by its schemas.
func TestDocument(t *testing.T) {
	nested := noteSource()
	nested.Name, nested.Route, nested.Topic, nested.Operation = "nested", "/nested", "nested", ""
	nested.Schema = json.RawMessage(`{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"https://x.test/nested","type":"object",
		"properties":{"id":{"$ref":"#/$defs/id"},"n":{"maximum":12345678901234567890}},"$defs":{"id":{"type":"string"}}}`)
	in := open(t, ingest.Options{Journal: newJournal(1), Sources: []pinflow.Source{noteSource(), nested}})
	mux := http.NewServeMux()
	in.Register(mux, apidocs.New(mux, "Pinflow", "1"))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	var doc struct {
		Paths map[string]map[string]struct {
			Summary     string
			OperationID string `json:"operationId"`
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	op := doc.Paths["/note/"]["post"]
	if op.Summary != "Get Db Row" || op.OperationID != "get_db_row_note" || doc.Paths["/nested/"]["post"].Summary != "Post nested" {
		t.Errorf("the operation is %+v", op)
	}
	for _, status := range []string{"200", "207", "400", "405", "408", "413", "415", "422", "503"} {
		if op.Responses[status] == nil {
			t.Errorf("the answer %s is not described", status)
		}
	}
	if _, ok := doc.Paths["/topics/{topic}"]["post"]; !ok {
		t.Error("the topics are not described")
	}
	if text := w.Body.String(); !strings.Contains(text, "12345678901234567890") || strings.Index(text, `"text":{"type":"string"}`) > strings.Index(text, `"stars":{`) {
		t.Error("the schema is not as it was written")
	}

	whole, err := jsonschema.UnmarshalJSON(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("doc.json", whole); err != nil {
		t.Fatal(err)
	}
	for name, records := range map[string]map[string]bool{
		"Record_note":   {`{"id":"a","text":""}`: true, `{"id":"a"}`: false, `{"id":"a","text":"","stars":-1}`: false},
		"Record_nested": {`{"id":"a"}`: true, `{"id":7}`: false},
		"BulkResults":   {`{"taken":0,"refused":1,"results":[{"index":0,"status":422,"errors":[{"path":"","reason":"x"}]}]}`: true},
		"PostReceipt":   {`{"topic":"t","partition":0,"offset":1}`: true, `{"topic":"t"}`: false},
	} {
		s, err := c.Compile("doc.json#/components/schemas/" + name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for record, want := range records {
			v, _ := jsonschema.UnmarshalJSON(strings.NewReader(record))
			if err := s.Validate(v); (err == nil) != want {
				t.Errorf("%s of %s: %v", name, record, err)
			}
		}
	}
}
