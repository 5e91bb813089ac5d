package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
	"github.com/pinflow/pinflow/web"
)

// maxLine is how many bytes a line of the answer of long work may have: a report of an audit is one.
const maxLine = 256 << 20

// Entity returns the row that stands for a key, given by the values of the key's columns. NotFound if there is none. params may
// have after and timeout.
func (c Client) Entity(ctx context.Context, model string, key []string, params url.Values) (*pinflow.Result, error) {
	path := "/api/models/" + url.PathEscape(model)
	for _, k := range key {
		path += "/" + url.PathEscape(k)
	}
	return c.get(ctx, "read "+model+" "+strings.Join(key, ", "), path, params)
}

// ReportInfo is what the list of reports tells of one.
type ReportInfo struct {
	Name        string           `json:"name"`
	Description string           `json:"description"`
	Columns     []pinflow.Column `json:"columns"`
}

// Reports returns what reports there are, in the definition's order.
func (c Client) Reports(ctx context.Context) ([]ReportInfo, error) {
	var list struct{ Reports []ReportInfo }
	err := c.object(ctx, "list reports", http.MethodGet, "/api/reports", nil, &list)
	return list.Reports, err
}

// Report runs a report over everything up to now, or over the state at the end of a period if params have as_of.
func (c Client) Report(ctx context.Context, name string, params url.Values) (*pinflow.Result, error) {
	return c.get(ctx, "run report "+name, "/api/reports/"+url.PathEscape(name), params)
}

// Audits returns what is known of audits without running one.
func (c Client) Audits(ctx context.Context) (*web.Audits, error) {
	var a web.Audits
	err := c.object(ctx, "read audits", http.MethodGet, "/api/audit", nil, &a)
	return &a, err
}

// Audit runs one. progress may be nil.
func (c Client) Audit(ctx context.Context, req web.AuditRequest, progress func(pinflow.Work)) (*pinflow.AuditReport, error) {
	return work[pinflow.AuditReport](ctx, c, "audit", "/api/audit", req, progress)
}

// Acknowledge marks the differences recorded of a period as seen.
func (c Client) Acknowledge(ctx context.Context, period string) error {
	return c.object(ctx, "acknowledge "+period, http.MethodPost, "/api/audit/acknowledge", web.AcknowledgeRequest{Period: period}, nil)
}

// Generations lists them, oldest first.
func (c Client) Generations(ctx context.Context) ([]web.GenerationInfo, error) {
	var list struct{ Generations []web.GenerationInfo }
	err := c.object(ctx, "list generations", http.MethodGet, "/api/generations", nil, &list)
	return list.Generations, err
}

// BuildGeneration builds that of the definition as it is now. progress may be nil.
func (c Client) BuildGeneration(ctx context.Context, req web.BuildRequest, progress func(pinflow.Work)) (*web.GenerationInfo, error) {
	return work[web.GenerationInfo](ctx, c, "build generation", "/api/generations/build", req, progress)
}

// SwitchGeneration makes a generation the current one. progress may be nil.
func (c Client) SwitchGeneration(ctx context.Context, generation string, progress func(pinflow.Work)) (*web.GenerationInfo, error) {
	return work[web.GenerationInfo](ctx, c, "switch to generation "+generation, "/api/generations/switch", web.GenerationRequest{Generation: generation}, progress)
}

// DropGeneration removes a generation.
func (c Client) DropGeneration(ctx context.Context, generation string) error {
	return c.object(ctx, "drop generation "+generation, http.MethodPost, "/api/generations/drop", web.GenerationRequest{Generation: generation}, nil)
}

// Batch runs the batch. progress may be nil.
func (c Client) Batch(ctx context.Context, req web.BatchRequest, progress func(pinflow.Work)) (*web.BatchResult, error) {
	return work[web.BatchResult](ctx, c, "run batch", "/api/batch", req, progress)
}

// BatchStatus tells where the batch stands.
func (c Client) BatchStatus(ctx context.Context) (*web.BatchStatus, error) {
	var st web.BatchStatus
	err := c.object(ctx, "read the batch's status", http.MethodGet, "/api/batch/status", nil, &st)
	return &st, err
}

// object asks with body as JSON, nil for none, and decodes the answer into v unless that is nil.
func (c Client) object(ctx context.Context, op, method, path string, body, v any) error {
	answer, err := c.askJSON(ctx, op, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if v == nil {
		return nil
	}
	if err := json.NewDecoder(answer).Decode(v); err != nil {
		return c.brokenOff(ctx, op, err)
	}
	return nil
}

func (c Client) askJSON(ctx context.Context, op, method, path string, body any) (io.ReadCloser, error) {
	text := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, &pinflow.Error{Op: op, Kind: pinflow.Invalid, Err: err}
		}
		text = string(b)
	}
	return c.ask(ctx, op, method, path, nil, text)
}

// work asks for long work, and returns its result when it has ended. The work ends when ctx does.
func work[T any](ctx context.Context, c Client, op, path string, req any, progress func(pinflow.Work)) (*T, error) {
	answer, err := c.askJSON(ctx, op, http.MethodPost, path, req)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	lines := bufio.NewScanner(answer)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		var line struct {
			Progress *pinflow.Work
			Result   *T
			Problem  *problem.Problem
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, c.brokenOff(ctx, op, err)
		}
		switch {
		case line.Result != nil:
			return line.Result, nil
		case line.Problem != nil:
			t := tell(*line.Problem)
			return nil, &pinflow.Error{Op: op, On: "at " + c.Base, Kind: t.kind, Err: t.err, Hint: t.hint}
		case line.Progress != nil && progress != nil:
			progress(*line.Progress)
		}
	}
	if err = lines.Err(); err == nil {
		err = errors.New("there is no result")
	}
	return nil, c.brokenOff(ctx, op, err)
}
