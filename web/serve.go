package web

import (
	"errors"
	"net/http"

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
		if refused := (refusal{}); errors.As(err, &refused) {
			p = refused.Problem
		}
		p.Instance = r.URL.Path
		if p.Status >= http.StatusInternalServerError {
			s.Log.Warn("web: a request failed", "path", r.URL.Path, "status", p.Status, "error", err)
		}
		problem.Write(w, p)
	}
}
