package access

import (
	"net/http"
	"net/url"
	"reflect"
	"regexp"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pinflow/pinflow/problem"
)

const (
	aboutKey = "A key (pf_…) that pinflow key create has made. Its scopes are post, read, sql and admin; none implies another. " +
		"A server that listens on loopback only and for which no key has been made takes requests without."
	aboutBasic   = "The same for clients that know Basic only: the key is the password, the user's name does not matter."
	aboutSession = "What a browser gets when a person signs in: it stands for the key."
)

// Describe adds to a document what each operation takes, as far as the Mux has its route.
func (m *Mux) Describe(api *huma.OpenAPI) {
	if api.Components == nil {
		api.Components = &huma.Components{}
	}
	if api.Components.Schemas == nil {
		api.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	}
	api.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key":     {Type: "http", Scheme: "bearer", Description: aboutKey},
		"basic":   {Type: "http", Scheme: "basic", Description: aboutBasic},
		"session": {Type: "apiKey", In: "cookie", Name: "pinflow", Description: aboutSession},
	}
	for path, item := range api.Paths {
		for method, op := range map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodPatch: item.Patch, http.MethodDelete: item.Delete} {
			if op != nil {
				m.describe(api, op, m.declaredFor(method, path))
			}
		}
	}
}

// declaredFor finds the route of an operation.
func (m *Mux) declaredFor(method, path string) declared {
	path = inPath.ReplaceAllString(path, "x")
	_, pattern := m.mux.Handler(&http.Request{Method: method, Host: "localhost", URL: &url.URL{Path: path}})
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.routes[pattern]
}

var inPath = regexp.MustCompile(`\{[^}]*\}`)

func (m *Mux) describe(api *huma.OpenAPI, op *huma.Operation, d declared) {
	if d.need == open {
		op.Security = []map[string][]string{}
		return
	}
	scopes := d.scope.Names()
	if scopes == nil {
		scopes = []string{}
	}
	op.Security = []map[string][]string{{"key": scopes}, {"basic": scopes}, {"session": scopes}}
	for status, about := range map[string]string{"401": "There is no key, or a wrong one.", "403": "The key lacks the scope, or a page of another site asks."} {
		if op.Responses == nil {
			op.Responses = map[string]*huma.Response{}
		}
		if op.Responses[status] == nil {
			op.Responses[status] = &huma.Response{Description: about, Content: map[string]*huma.MediaType{
				problem.ContentType: {Schema: api.Components.Schemas.Schema(reflect.TypeFor[problem.Problem](), true, "Problem")}}}
		}
	}
}
