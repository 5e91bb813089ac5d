// Package apidocs describes the HTTP API to its users: the OpenAPI document at /openapi.json and a page made
// from it at /docs, which loads nothing from anywhere else and can send requests.
package apidocs

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/pinflow/pinflow/access"
	"github.com/pinflow/pinflow/problem"
)

//go:embed page
var files embed.FS

// security lets the page load its own files and ask its own server, and no other site frame it.
const security = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Docs is an API and its document, OpenAPI 3.1, which describes what is registered with it or added to its OpenAPI().
type Docs struct {
	huma.API
	mu    sync.Mutex
	text  []byte // of the document, nil until it is asked for
	judge judge  // nil: nobody needs a key
}

// judge tells what operations take.
type judge interface{ Describe(*huma.OpenAPI) }

// registered is where operations registered with huma get their routes.
type registered struct{ access.Routes }

// HandleFunc adds a route that does not say what it takes.
func (r registered) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	r.Handle(pattern, http.HandlerFunc(h))
}

// ServeHTTP is asked for by huma's tests only.
func (r registered) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if h, ok := r.Routes.(http.Handler); ok {
		h.ServeHTTP(w, q)
	}
}

// New returns Docs that serve the document at /openapi.json and the page at /docs on mux. Everything has to be added before the
// first request for the document, unless it is added by Change.
func New(mux access.Routes, title, version string) *Docs {
	config := huma.DefaultConfig(title, version)
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", "" // served here
	config.CreateHooks = nil                                             // no links to schemas in answers
	d := &Docs{API: humago.New(registered{mux}, config)}
	d.judge, _ = mux.(judge)
	mux.Handle("GET /openapi.json", access.NeedKey(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := d.document()
		if err != nil {
			problem.Write(w, problem.Of(err))
			return
		}
		serve(w, r, "application/json", b)
	})))
	registerPage(mux, title, version)
	return d
}

// Change changes the document, also while it is served.
func (d *Docs) Change(f func(*huma.OpenAPI)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.text = nil
	f(d.OpenAPI())
}

func (d *Docs) document() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.text == nil {
		if d.judge != nil {
			d.judge.Describe(d.OpenAPI())
		}
		text, err := json.Marshal(d.OpenAPI())
		if err != nil {
			return nil, err
		}
		d.text = text
	}
	return d.text, nil
}

// registerPage serves the page and its files.
func registerPage(mux access.Routes, title, version string) {
	show := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, access.NeedKey(h)) }
	sum := sha256.New()
	for _, f := range [][2]string{{"docs.css", "text/css; charset=utf-8"}, {"docs.js", "text/javascript; charset=utf-8"}} {
		b, _ := files.ReadFile("page/" + f[0]) // it is part of the binary
		sum.Write(b)
		show("GET /docs/"+f[0], func(w http.ResponseWriter, r *http.Request) { serve(w, r, f[1], b) })
	}
	page, _ := files.ReadFile("page/index.html")
	page = []byte(strings.NewReplacer("TITLE", html.EscapeString(title), "VERSION", html.EscapeString(version),
		"FILES", hex.EncodeToString(sum.Sum(nil)[:6])).Replace(string(page)))
	show("GET /docs", func(w http.ResponseWriter, r *http.Request) { serve(w, r, "text/html; charset=utf-8", page) })
	show("GET /docs/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "../docs", http.StatusMovedPermanently)
	})
}

// serve answers with b, which a client may keep for as long as it asks whether it is still the same.
func serve(w http.ResponseWriter, r *http.Request, media string, b []byte) {
	sum := sha256.Sum256(b)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Security-Policy", security)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(b) // a client that has gone needs no answer
}
