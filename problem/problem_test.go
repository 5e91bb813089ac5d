package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

func TestEveryKindHasAStatus(t *testing.T) {
	for kind, want := range map[pinflow.Kind]int{
		pinflow.Internal: 500, pinflow.Invalid: 400, pinflow.NotFound: 404, pinflow.Exists: 409, pinflow.Unavailable: 503,
		pinflow.TooLarge: 413, pinflow.Fenced: 409, pinflow.OutOfRange: 404, pinflow.Difference: 409,
	} {
		if got := problem.Status(kind); got != want {
			t.Errorf("%s: status %d, want %d", kind, got, want)
		}
	}
}

func TestProblemOfAnError(t *testing.T) {
	faults := problem.Faults{{Path: "/index", Reason: "is missing"}, {Path: "/title", Reason: "is no string"}}
	for _, c := range []struct {
		name string
		err  error
		want problem.Problem
	}{
		{"bare", errors.New("boom"), problem.Problem{Title: "Internal Server Error", Status: 500, Kind: "internal", Detail: "boom"}},
		{"hint apart", &pinflow.Error{Op: "read", On: "x", Kind: pinflow.Invalid, Hint: "Do better."},
			problem.Problem{Title: "Bad Request", Status: 400, Kind: "invalid", Detail: "read x: invalid", Hint: "Do better."}},
		{"wrapped", fmt.Errorf("outer: %w", &pinflow.Error{Op: "read", Kind: pinflow.NotFound}),
			problem.Problem{Title: "Not Found", Status: 404, Kind: "not found", Detail: "read: not found"}},
		{"try again", &pinflow.Error{Op: "append", Kind: pinflow.Unavailable},
			problem.Problem{Title: "Service Unavailable", Status: 503, Kind: "unavailable", Detail: "append: unavailable", RetryAfter: 1}},
		{"faults", &pinflow.Error{Op: "post", Kind: pinflow.Invalid, Err: faults},
			problem.Problem{Title: "Unprocessable Entity", Status: 422, Kind: "invalid", Detail: "post: /index: is missing (and 1 more)", Errors: faults}},
	} {
		c.want.Type = "about:blank"
		if got := problem.Of(c.err); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func TestWrite(t *testing.T) {
	w := httptest.NewRecorder()
	problem.Write(w, problem.Of(&pinflow.Error{Op: "append", Kind: pinflow.Unavailable}))
	if w.Code != 503 || w.Header().Get("Content-Type") != problem.ContentType || w.Header().Get("Retry-After") != "1" {
		t.Errorf("answered %d %v", w.Code, w.Header())
	}
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got["status"] != 503.0 || got["kind"] != "unavailable" {
		t.Errorf("body %s: %v", w.Body, err)
	}
}

func TestNotFound(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /pin/{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /api/metrics", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/", problem.NotFound(mux))
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/nothing", 404, ""},
		{"GET", "/pin/", 405, "POST"},
		{"DELETE", "/api/metrics", 405, "GET, HEAD"},
		{"GET", "/api/metrics", 200, ""},
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.status || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: %d Allow %q, want %d %q", c.method, c.path, w.Code, w.Header().Get("Allow"), c.status, c.allow)
		}
	}
}
