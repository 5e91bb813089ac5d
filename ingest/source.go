package ingest

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
	"github.com/pinflow/pinflow/value"
)

// source is a route and what posts to it must satisfy.
type source struct {
	pinflow.Source
	in      *Ingest
	schema  *value.Schema
	receipt []byte // how a receipt's members begin: "topic":"…","partition":
	metrics *sourceMetrics
}

func newSource(in *Ingest, src pinflow.Source) (*source, error) {
	if !strings.HasPrefix(src.Route, "/") {
		return nil, fmt.Errorf("the route %q of the source %s does not start with /", src.Route, src.Name)
	}
	schema, faults := value.CompileSchema(src.SchemaFile, src.Schema)
	if len(faults) > 0 {
		return nil, fmt.Errorf("the schema of the source %s: %s", src.Name, faults[0])
	}
	receipt := append(value.AppendString([]byte(`"topic":`), src.Topic), `,"partition":`...)
	return &source{Source: src, in: in, schema: schema, receipt: receipt, metrics: in.metrics.of(src.Name)}, nil
}

// trimRoute is a route without its trailing slash: posts may leave it out.
func trimRoute(route string) string { return strings.TrimRight(route, "/") }

// refusal is why a record was not taken, before the journal was asked.
type refusal struct {
	status int // 400, 413 or 422
	faults []value.Fault
}

// judge turns the bytes of one record into a draft, compacting them in place.
func (s *source) judge(v []byte, d *pinflow.Draft) *refusal {
	if len(v) > s.in.MaxRecord {
		return s.tooLarge()
	}
	if faults := s.schema.Check(v); faults != nil {
		status := http.StatusUnprocessableEntity
		if why := value.WhyNotPlain(value.Plain(v)); why != nil && !why.JSON {
			status = http.StatusBadRequest
		}
		return &refusal{status, faults}
	}
	d.Topic, d.Partition = s.Topic, pinflow.AnyPartition
	d.Value = value.Compact(v[:0], v)
	d.Key = nil
	if key, ok := s.schema.KeyOf(d.Value, s.Key); ok {
		d.Key = key
	}
	return nil
}

func (s *source) tooLarge() *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, []value.Fault{{Reason: fmt.Sprintf("is larger than %d bytes", s.in.MaxRecord)}}}
}

// problem says a refusal of a record.
func (r *refusal) problem() problem.Problem {
	p := problem.New(r.status, r.faults[0].String(), "")
	p.Kind = pinflow.Invalid.String()
	for _, f := range r.faults {
		p.Errors = append(p.Errors, problem.Detail(f))
	}
	switch r.status {
	case http.StatusBadRequest:
		p.Hint = "Post one JSON object, a JSON array of objects, or one object per line as application/x-ndjson."
	case http.StatusRequestEntityTooLarge:
		p.Kind = pinflow.TooLarge.String()
	default:
		p.Detail = "The record does not satisfy the source's schema."
		p.Hint = "The schema is shown at /docs."
	}
	return p
}
