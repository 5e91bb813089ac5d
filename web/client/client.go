// Package client asks a running Pinflow: for the rows of metrics, models, reports and queries, and for audits, batches and generations.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

// maxProblem is how many bytes of an answer that is no success are read.
const maxProblem = 1 << 20

// Client asks the Pinflow at Base, such as http://127.0.0.1:8000.
type Client struct {
	Base string
	HTTP *http.Client // nil: http.DefaultClient
}

// MetricInfo is what the list of metrics tells of one.
type MetricInfo struct {
	Name        string           `json:"name"`
	Description string           `json:"description"`
	Model       string           `json:"model"`
	Columns     []pinflow.Column `json:"columns"`
}

// Metrics returns what metrics there are, in the definition's order.
func (c Client) Metrics(ctx context.Context) ([]MetricInfo, error) {
	const op = "list metrics"
	answer, err := c.ask(ctx, op, http.MethodGet, "/api/metrics", nil, "")
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	var list struct{ Metrics []MetricInfo }
	if err := json.NewDecoder(answer).Decode(&list); err != nil {
		return nil, c.brokenOff(ctx, op, err)
	}
	return list.Metrics, nil
}

// Metric returns the rows of a metric. params are those of GET /api/metrics/{name}: filter, order, limit, after, a column's name …
// An error is a *pinflow.Error, of the kind that the server told; Unavailable if there is no server.
func (c Client) Metric(ctx context.Context, name string, params url.Values) (*pinflow.Result, error) {
	return c.get(ctx, "read metric "+name, "/api/metrics/"+url.PathEscape(name), params)
}

// Model returns rows of a model: without limit in params the first hundred.
func (c Client) Model(ctx context.Context, name string, params url.Values) (*pinflow.Result, error) {
	return c.get(ctx, "read model "+name, "/api/models/"+url.PathEscape(name), params)
}

// Rejects returns the newest rejects.
func (c Client) Rejects(ctx context.Context, params url.Values) (*pinflow.Result, error) {
	return c.get(ctx, "read rejects", "/api/rejects", params)
}

// SQL returns the rows of one SELECT. params may have after and timeout.
func (c Client) SQL(ctx context.Context, query string, params url.Values) (*pinflow.Result, error) {
	body, err := json.Marshal(map[string]string{"sql": query})
	if err != nil {
		return nil, &pinflow.Error{Op: "run SQL", Kind: pinflow.Invalid, Err: err}
	}
	return c.do(ctx, "run SQL", http.MethodPost, "/api/sql", params, string(body))
}

func (c Client) get(ctx context.Context, op, path string, params url.Values) (*pinflow.Result, error) {
	return c.do(ctx, op, http.MethodGet, path, params, "")
}

// do asks for rows.
func (c Client) do(ctx context.Context, op, method, path string, params url.Values, body string) (*pinflow.Result, error) {
	answer, err := c.ask(ctx, op, method, path, params, body)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	rows, err := decode(answer)
	if err != nil {
		return nil, c.brokenOff(ctx, op, err)
	}
	return rows, nil
}

// ask sends a request and returns the body of a success, to be closed.
func (c Client) ask(ctx context.Context, op, method, path string, params url.Values, body string) (io.ReadCloser, error) {
	fail := func(kind pinflow.Kind, err error, hint string) (io.ReadCloser, error) {
		return nil, &pinflow.Error{Op: op, On: "at " + c.Base, Kind: kind, Err: err, Hint: hint}
	}
	address := strings.TrimSuffix(c.Base, "/") + path
	if len(params) > 0 {
		address += "?" + params.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return fail(pinflow.Invalid, err, "Give an address such as http://127.0.0.1:8000.")
	}
	req.Header.Set("Accept", "application/json")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.client().Do(req)
	if err != nil {
		return fail(unlessEnded(ctx, pinflow.Unavailable), cause(err), "See whether Pinflow runs there; pinflow up starts it.")
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		p := readProblem(res)
		return fail(p.kind, p.err, p.hint)
	}
	return res.Body, nil
}

func (c Client) brokenOff(ctx context.Context, op string, err error) error {
	return &pinflow.Error{Op: op, On: "at " + c.Base, Kind: unlessEnded(ctx, pinflow.Unavailable), Err: fmt.Errorf("the answer breaks off: %w", err),
		Hint: "Ask again; the server's log may tell more."}
}

func (c Client) client() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return http.DefaultClient
}

// unlessEnded is kind, or Internal if it was the caller who ended the request.
func unlessEnded(ctx context.Context, kind pinflow.Kind) pinflow.Kind {
	if ctx.Err() != nil {
		return pinflow.Internal
	}
	return kind
}

// cause is err without the method and the address, which stand before it anyway.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// told is what an answer that is no success says.
type told struct {
	kind pinflow.Kind
	err  error
	hint string
}

func readProblem(res *http.Response) told {
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxProblem)) // what is missing shows below
	var p problem.Problem
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if media != problem.ContentType || json.Unmarshal(body, &p) != nil {
		return told{pinflow.Internal, fmt.Errorf("the answer is %s and no problem of Pinflow's", res.Status), "See whether it is Pinflow that listens there."}
	}
	return tell(p)
}

// tell reads a problem.
func tell(p problem.Problem) told {
	t := told{kindOf(p), errors.New(p.Detail), p.Hint}
	if len(p.Errors) > 0 {
		faults := make([]error, len(p.Errors))
		for i, f := range p.Errors {
			faults[i] = fmt.Errorf("%s: %s", f.Path, f.Reason)
		}
		t.err = errors.Join(faults...)
	}
	return t
}

// kindOf finds the kind by its words, or by the status where the problem is HTTP's own.
func kindOf(p problem.Problem) pinflow.Kind {
	for k := pinflow.Internal; k <= pinflow.Difference; k++ {
		if k.String() == p.Kind {
			return k
		}
	}
	switch {
	case p.Status == http.StatusNotFound:
		return pinflow.NotFound
	case p.Status >= 400 && p.Status < 500:
		return pinflow.Invalid
	}
	return pinflow.Internal
}
