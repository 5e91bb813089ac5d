package problem

import (
	"net/http"
	"strings"
)

// NotFound returns the handler for mux's "/" pattern: 405 with Allow where mux has the path for
// other methods, else 404.
func NotFound(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := New(http.StatusNotFound, "There is nothing at "+r.URL.Path+".", "The routes are listed at /docs and /openapi.json.")
		if allow := allowed(mux, r); len(allow) > 0 {
			methods := strings.Join(allow, ", ")
			w.Header().Set("Allow", methods)
			p = New(http.StatusMethodNotAllowed, r.URL.Path+" does not take "+r.Method+".", "It takes "+methods+".")
		}
		p.Instance = r.URL.Path
		Write(w, p)
	})
}

// allowed returns the methods for which mux has a better pattern than "/" for r's path.
func allowed(mux *http.ServeMux, r *http.Request) []string {
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		asked := *r
		asked.Method = method
		if _, pattern := mux.Handler(&asked); pattern != "" && pattern != "/" {
			methods = append(methods, method)
		}
	}
	return methods
}
