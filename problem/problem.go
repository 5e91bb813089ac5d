// Package problem is how Pinflow says over HTTP what went wrong: RFC 9457 problems, and the one
// place where a Kind becomes an HTTP status.
package problem

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/pinflow/pinflow"
)

// ContentType is the media type of a written Problem.
const ContentType = "application/problem+json"

// Problem is the body of every answer that is not a success.
type Problem struct {
	Type     string   `json:"type" doc:"about:blank: title, status and kind say what sort of problem it is"`
	Title    string   `json:"title" doc:"The status in words"`
	Status   int      `json:"status" doc:"The HTTP status code"`
	Kind     string   `json:"kind,omitempty" doc:"What sort of failure it is: invalid, not found, exists, unavailable, too large, …"`
	Detail   string   `json:"detail,omitempty" doc:"What was tried, on what, and why it failed"`
	Hint     string   `json:"hint,omitempty" doc:"What to do about it"`
	Instance string   `json:"instance,omitempty" doc:"What the problem is about, such as the path that was asked for"`
	Errors   []Detail `json:"errors,omitempty" doc:"Everything that is wrong with what was sent"`

	// RetryAfter is the header of that name, in seconds; 0 leaves it out.
	RetryAfter int `json:"-"`
}

// Detail is one thing that is wrong with what was sent.
type Detail struct {
	Path   string `json:"path" doc:"Where it is: a JSON Pointer into the body, or the parameter's name"`
	Reason string `json:"reason" doc:"Why it was not taken"`
}

// Faults is an error that lists all that is wrong with what was sent. As the cause of an Invalid
// error it makes a 422 of what would be a 400.
type Faults []Detail

// Error says the first fault and how many more there are.
func (f Faults) Error() string {
	if len(f) == 0 {
		return "no faults"
	}
	s := f[0].Path + ": " + f[0].Reason
	if more := len(f) - 1; more > 0 {
		s += " (and " + strconv.Itoa(more) + " more)"
	}
	return s
}

// Status returns the HTTP status that a failure of kind k has.
func Status(k pinflow.Kind) int {
	switch k {
	case pinflow.Invalid:
		return http.StatusBadRequest
	case pinflow.NotFound, pinflow.OutOfRange:
		return http.StatusNotFound
	case pinflow.Exists, pinflow.Fenced, pinflow.Difference:
		return http.StatusConflict
	case pinflow.Unavailable:
		return http.StatusServiceUnavailable
	case pinflow.TooLarge:
		return http.StatusRequestEntityTooLarge
	default:
		return http.StatusInternalServerError
	}
}

// New returns a problem that is HTTP's own, such as 405 or 415, where there is no Kind.
func New(status int, detail, hint string) Problem {
	return Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Hint: hint}
}

// Of returns the problem that err is. Its kind decides the status, except that Faults in the chain
// of an Invalid error make it 422. What may be tried again says after how many seconds.
func Of(err error) Problem {
	kind := pinflow.KindOf(err)
	p := New(Status(kind), explain(err), pinflow.HintOf(err))
	p.Kind = kind.String()
	var faults Faults
	if errors.As(err, &faults) {
		p.Errors = faults
		if kind == pinflow.Invalid {
			p.Status, p.Title = http.StatusUnprocessableEntity, http.StatusText(http.StatusUnprocessableEntity)
		}
	}
	if kind == pinflow.Unavailable {
		p.RetryAfter = 1
	}
	return p
}

// explain is err's text without the outermost hint, which has a member of its own.
func explain(err error) string {
	var e *pinflow.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	bare := *e
	bare.Hint = ""
	return bare.Error()
}

// Write answers with p: its status, Retry-After if it has one, and the body.
func Write(w http.ResponseWriter, p Problem) {
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	w.WriteHeader(p.Status)
	// The only error left is a reader that has gone, who needs no answer.
	_ = json.NewEncoder(w).Encode(p)
}
