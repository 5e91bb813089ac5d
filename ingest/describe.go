package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/pinflow/pinflow/problem"
)

// What the OpenAPI document says of the answers. The code writes them by hand.
type (
	postReceipt struct {
		Topic     string `json:"topic" doc:"The topic that holds the record"`
		Partition int32  `json:"partition"`
		Offset    int64  `json:"offset" doc:"Where in the partition the record lies"`
	}
	bulkResult struct {
		Index     int              `json:"index" doc:"Which record of the body, from 0"`
		Status    int              `json:"status" doc:"200 if the record was taken; else what it would have been answered with if posted alone"`
		Topic     string           `json:"topic,omitempty"`
		Partition int32            `json:"partition,omitempty"`
		Offset    int64            `json:"offset,omitempty"`
		Title     string           `json:"title,omitempty" doc:"The status in words, if the record was not taken"`
		Kind      string           `json:"kind,omitempty"`
		Detail    string           `json:"detail,omitempty"`
		Hint      string           `json:"hint,omitempty"`
		Errors    []problem.Detail `json:"errors,omitempty" doc:"Everything that is wrong with the record"`
	}
	bulkResults struct {
		Taken   int          `json:"taken" doc:"How many records were taken"`
		Refused int          `json:"refused" doc:"How many results are none of 200"`
		Results []bulkResult `json:"results" doc:"One per record, in order. If the body could not be read on, the last one says why; no record from its index on was taken"`
	}
)

const aboutPost = `Takes one JSON object and answers with its receipt once the journal has it on disk, on all replicas that are in sync. ` +
	`A JSON array, or NDJSON (a record per line, application/x-ndjson), is a bulk: each record has a result of its own, and good ones are taken whatever becomes of the others. ` +
	`The body may be compressed (Content-Encoding: gzip).

What is kept is the object as posted, without the whitespace between its tokens. Fields that the schema does not name are kept too, unless it forbids them.

503 means that the record is not known to be kept: send it again. An Idempotency-Key goes with the record as a header of that name, and the value is not touched; each record of a bulk gets the key, a colon and its index from 0, so that a bulk sent again repeats the key of each. ` +
	`Nobody is kept from posting twice: what is sent twice counts twice, but for a model that keeps the first record of each key.`

// keyParam describes the header.
func keyParam() *huma.Param {
	return &huma.Param{Name: idempotencyKey, In: "header", Schema: &huma.Schema{Type: huma.TypeString, MinLength: new(1), MaxLength: new(maxIdempotencyKey), Pattern: "^[!-~]+$"},
		Description: "Kept with the record as a header of that name; of several records in one body, as the key, a colon and the record's index from 0."}
}

// describe adds the operations to an OpenAPI document.
func (in *Ingest) describe(api *huma.OpenAPI) {
	d := describer{api.Components.Schemas}
	var values []*huma.Schema
	for _, s := range in.sources {
		ref := d.record(s)
		values = append(values, ref)
		api.AddOperation(d.post(s, ref))
	}
	api.AddOperation(d.topics(values))
}

type describer struct{ schemas huma.Registry }

// post describes the operation of a source's route.
func (d describer) post(s *source, record *huma.Schema) *huma.Operation {
	op := &huma.Operation{Method: http.MethodPost, Path: trimRoute(s.Route) + "/", OperationID: s.operationID(), Tags: []string{"Post"},
		Summary: s.title(), Description: strings.TrimSpace(s.Description + "\n\n" + aboutPost),
		Parameters: []*huma.Param{keyParam()}}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json":     {Schema: &huma.Schema{OneOf: []*huma.Schema{record, {Type: huma.TypeArray, Items: record}}}},
		"application/x-ndjson": {Schema: &huma.Schema{Type: huma.TypeString, Description: "A record per line."}},
	}}
	receipt, bulk := d.of(postReceipt{}), d.of(bulkResults{})
	op.Responses = d.problems(400, 405, 408, 413, 415, 422, 503)
	op.Responses["200"] = answerJSON("The record, or each record of the bulk, has been taken.", &huma.Schema{OneOf: []*huma.Schema{receipt, bulk}})
	op.Responses["207"] = answerJSON("Not every record of the bulk has been taken.", bulk)
	return op
}

// topics describes the Kafka REST proxy's operation.
func (d describer) topics(values []*huma.Schema) *huma.Operation {
	key := &huma.Schema{Description: "May be left out: the key is the source's key field. Else it must be the same."}
	partition := &huma.Schema{Type: huma.TypeInteger, Format: "int32", Description: "May be left out."}
	record := &huma.Schema{Type: huma.TypeObject, Required: []string{"value"},
		Properties: map[string]*huma.Schema{"key": key, "value": {AnyOf: values}, "partition": partition}}
	body := &huma.Schema{Type: huma.TypeObject, Required: []string{"records"},
		Properties: map[string]*huma.Schema{"records": {Type: huma.TypeArray, Items: record, MinItems: new(1), MaxItems: new(maxTopicRecords)}}}
	op := &huma.Operation{Method: http.MethodPost, Path: "/topics/{topic}", OperationID: "post_topic", Tags: []string{"Post"}, Summary: "Post To Topic",
		Description: "The Kafka REST proxy's v2 shape, for clients written for it. Answered with 200 if a record has been taken; those that have not say why.",
		Parameters:  []*huma.Param{{Name: "topic", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}}, keyParam()},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/vnd.kafka.json.v2+json": {Schema: body}}}}
	op.Responses = d.problems(400, 404, 405, 408, 413, 415, 422, 503)
	op.Responses["200"] = &huma.Response{Description: "One offset or error per record, in order.",
		Content: map[string]*huma.MediaType{restContent: {Schema: d.of(restResults{})}}}
	return op
}

func (d describer) of(v any) *huma.Schema { return d.schemas.Schema(reflect.TypeOf(v), true, "") }

func (d describer) problems(statuses ...int) map[string]*huma.Response {
	all := map[string]*huma.Response{}
	for _, status := range statuses {
		all[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status),
			Content: map[string]*huma.MediaType{problem.ContentType: {Schema: d.of(problem.Problem{})}}}
	}
	all["503"].Headers = map[string]*huma.Param{"Retry-After": {Description: "Seconds to wait.", Schema: &huma.Schema{Type: huma.TypeInteger}}}
	all["405"].Headers = map[string]*huma.Param{"Allow": {Description: "The methods that are taken.", Schema: &huma.Schema{Type: huma.TypeString}}}
	return all
}

func answerJSON(description string, schema *huma.Schema) *huma.Response {
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
}

// record adds the source's schema to the document's components and returns a reference to it.
func (d describer) record(s *source) *huma.Schema {
	name := "Record_" + s.Name
	at := "#/components/schemas/" + name
	d.schemas.Map()[name] = documentSchema(s.Schema, at)
	return &huma.Schema{Ref: at}
}

// documentSchema is a source's JSON Schema as a part of a document. What it refers to in itself is found at the
// place where it is put. Its members keep their order.
func documentSchema(schema []byte, at string) *huma.Schema {
	var members map[string]json.RawMessage
	if json.Unmarshal(schema, &members) != nil {
		return &huma.Schema{} // true and false are schemas too
	}
	out := &huma.Schema{Extensions: map[string]any{}}
	for name, member := range members {
		if name != "$schema" && name != "$id" {
			out.Extensions[name] = json.RawMessage(rebase(member, at))
		}
	}
	return out
}

// rebase puts at before the references of a schema to a place in itself.
func rebase(member []byte, at string) []byte {
	if !bytes.Contains(member, []byte(`"$ref"`)) {
		return member
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(member))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return member
	}
	rebaseIn(v, at)
	moved, err := json.Marshal(v)
	if err != nil {
		return member
	}
	return moved
}

func rebaseIn(v any, at string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			rebaseIn(item, at)
		}
	case map[string]any:
		for name, member := range v {
			if ref, ok := member.(string); ok && name == "$ref" && strings.HasPrefix(ref, "#") {
				v[name] = at + strings.TrimPrefix(ref, "#")
			}
			rebaseIn(member, at)
		}
	}
}

// title is what the operation is called.
func (s *source) title() string {
	if s.Operation != "" {
		return s.Operation
	}
	return "Post " + s.Name
}

// operationID is the title as an identifier, made unique by the source's name.
func (s *source) operationID() string {
	return strings.ReplaceAll(strings.ToLower(fmt.Sprintf("%s_%s", s.title(), s.Name)), " ", "_")
}
