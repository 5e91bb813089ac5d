package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/pinflow/pinflow/access"
	"github.com/pinflow/pinflow/problem"
)

// handler answers a request or returns why it can't.
type handler func(w http.ResponseWriter, r *http.Request) error

// refusal is a problem of HTTP's own, such as 415, for which there is no Kind.
type refusal struct{ problem.Problem }

func (r refusal) Error() string { return r.Detail }

// goneError is a failure to write: the reader has gone and needs no answer.
type goneError struct{ error }

func (e goneError) Unwrap() error { return e.error }

func gone(err error) error {
	if err == nil {
		return nil
	}
	return goneError{err}
}

// bodyTime is how long the small bodies that web takes may take to come.
const bodyTime = 30 * time.Second

// limitBody ends the reading of a request's body after bodyTime. The body has been read when end is called.
func limitBody(w http.ResponseWriter) (end func()) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTime)) // what can't do that has no connection
	return func() { _ = rc.SetReadDeadline(time.Time{}) }
}

// serve makes an http handler of h: what it returns becomes a problem.
func (s *Web) serve(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		err := h(w, r)
		var left goneError
		if err == nil || errors.As(err, &left) || r.Context().Err() != nil {
			return
		}
		p := problem.Of(err)
		var denied *access.Denied
		if refused := (refusal{}); errors.As(err, &refused) {
			p = refused.Problem
		} else if errors.As(err, &denied) {
			p = denied.Problem
		}
		p.Instance = r.URL.Path
		if p.Status >= http.StatusInternalServerError {
			s.Log.Warn("web: a request failed", "path", r.URL.Path, "status", p.Status, "error", err)
		}
		problem.Write(w, p)
	}
}
