package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"path"
	"strings"

	"github.com/pinflow/pinflow"
)

//go:embed page
var pageFiles embed.FS

// security lets the page load nothing but its own files, and no other site frame it.
const security = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// mediaTypes are those of the page's files, whatever the system's own list says.
var mediaTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// pageData is what page/index.html shows before any script has run.
type pageData struct {
	Pipeline string
	Metrics  []pageMetric
	Sources  []pageSource
	Version  string // of the page's files: a new one is fetched at once
}

// pageMetric is a metric and its columns as JSON, from which the page tells how to draw it.
type pageMetric struct {
	metricInfo
	ColumnsJSON string
}

// pageSource is a source and how to post a first record to it.
type pageSource struct {
	Name, Route, Example string
}

// registerPage adds the page at / and its files.
func (s *Web) registerPage(mux *http.ServeMux) {
	files := map[string][]byte{}
	version := sha256.New()
	names, _ := pageFiles.ReadDir("page") // what is part of the binary can be read
	for _, f := range names {
		content, _ := pageFiles.ReadFile("page/" + f.Name())
		version.Write(content)
		if f.Name() != "index.html" {
			files[f.Name()] = content
		}
	}
	data := pageData{Pipeline: s.Plan.Pipeline, Version: hex.EncodeToString(version.Sum(nil)[:6])}
	for _, m := range s.metricInfos() {
		data.Metrics = append(data.Metrics, pageMetric{m, string(mustJSON(orEmpty(m.Columns)))})
	}
	for _, src := range s.Plan.Sources {
		data.Sources = append(data.Sources, pageSource{src.Name, strings.TrimPrefix(src.Route, "/"), example(src.Schema)})
	}
	mux.HandleFunc("GET /{$}", s.serve(index(data)))
	mux.HandleFunc("GET /page/{file}", s.serve(func(w http.ResponseWriter, r *http.Request) error {
		content, ok := files[r.PathValue("file")]
		if !ok {
			return &pinflow.Error{Op: "read", On: r.URL.Path, Kind: pinflow.NotFound}
		}
		w.Header().Set("Content-Type", mediaTypes[path.Ext(r.PathValue("file"))])
		if r.URL.Query().Get("v") == data.Version {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		_, err := w.Write(content)
		return gone(err)
	}))
}

func index(data pageData) handler {
	t, err := template.ParseFS(pageFiles, "page/index.html")
	return func(w http.ResponseWriter, r *http.Request) error {
		if err != nil {
			return &pinflow.Error{Op: "read the page", Err: err}
		}
		var body bytes.Buffer
		if err := t.Execute(&body, data); err != nil {
			return &pinflow.Error{Op: "write the page", Err: err}
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", security)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		_, err := w.Write(body.Bytes())
		return gone(err)
	}
}
