package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

const (
	maxRequest   = 64 << 10               // bytes of a body that asks for work
	progressPace = 200 * time.Millisecond // between two lines of progress, at least
	lines        = "application/x-ndjson"
)

// workLine is a line of the answer of long work: any number with progress, then one with the result or the problem.
type workLine[T any] struct {
	Progress *pinflow.Work    `json:"progress,omitempty"`
	Result   *T               `json:"result,omitempty"`
	Problem  *problem.Problem `json:"problem,omitempty"`
}

// readRequest reads a JSON object into v. Only JSON is taken, and only from pages of this server: a page of another site must not
// make a reader's browser change anything here.
func (s *Web) readRequest(w http.ResponseWriter, r *http.Request, v any) error {
	const op = "read the request"
	if err := s.origin.Check(r); err != nil {
		return refusal{problem.New(http.StatusForbidden, op+": "+err.Error(), "Only pages of this server may ask for that from a browser.")}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return refusal{problem.New(http.StatusUnsupportedMediaType, op+": the body is not said to be JSON", "Send a JSON object as application/json; {} if there is nothing to say.")}
	}
	defer limitBody(w)()
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = fmt.Errorf("something follows the JSON object")
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &pinflow.Error{Op: op, Kind: pinflow.TooLarge, Err: fmt.Errorf("the body has more than %d bytes", maxRequest)}
	case err != nil:
		return &pinflow.Error{Op: op, Kind: pinflow.Invalid, Err: err, Hint: "Send a JSON object; GET /docs tells its members."}
	}
	return nil
}

// workStream answers with lines as work goes on. Until the first of them, an error can still be the HTTP answer.
type workStream struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	mu    sync.Mutex
	begun bool
	last  time.Time
	err   error
}

// progress writes a line, unless one was written a moment ago.
func (o *workStream) progress(work pinflow.Work) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := time.Now(); now.Sub(o.last) >= progressPace {
		o.last = now
		o.write(workLine[struct{}]{Progress: &work})
	}
}

func (o *workStream) write(line any) {
	if !o.begun {
		o.begun = true
		o.w.Header().Set("Content-Type", lines)
		o.w.Header().Set("X-Accel-Buffering", "no") // proxies shall pass lines on at once
	}
	if o.err != nil {
		return
	}
	if err := o.rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		o.err = err
		return
	}
	if _, o.err = o.w.Write(append(mustJSON(line), '\n')); o.err == nil {
		if err := o.rc.Flush(); !errors.Is(err, http.ErrNotSupported) {
			o.err = err
		}
	}
}

// longWork does f and answers with its progress and its result. The work ends when the client goes.
func longWork[T any](w http.ResponseWriter, r *http.Request, f func(progress func(pinflow.Work)) (*T, error)) error {
	o := &workStream{w: w, rc: http.NewResponseController(w)}
	result, err := f(o.progress)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err != nil && !o.begun:
		return err
	case err != nil:
		p := problem.Of(err)
		p.Instance = r.URL.Path
		o.write(workLine[T]{Problem: &p})
	default:
		o.write(workLine[T]{Result: result})
	}
	return gone(o.err)
}
