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
	"github.com/pinflow/pinflow/access"
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
	Pipeline   string
	Generation string
	Metrics    []pageMetric
	Entities   []pageEntity
	Reports    []pageReport
	Sources    []pageSource
	Operated   bool   // there are audits, batches and generations
	SignedIn   bool   // the reader has a key's session, and can end it
	Version    string // of the page's files: a new one is fetched at once
}

// pageEntity is a model with a key.
type pageEntity struct {
	Name string
	Key  []string
	Keep string
}

// pageReport is a report.
type pageReport struct{ Name, Description string }

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
func (s *Web) registerPage(mux access.Routes) {
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
	of := hex.EncodeToString(version.Sum(nil)[:6])
	mux.Handle("GET /{$}", takesRead(s.serve(s.index(of))))
	mux.Handle("GET /page/{file}", takesRead(s.serve(func(w http.ResponseWriter, r *http.Request) error {
		content, ok := files[r.PathValue("file")]
		if !ok {
			return &pinflow.Error{Op: "read", On: r.URL.Path, Kind: pinflow.NotFound}
		}
		w.Header().Set("Content-Type", mediaTypes[path.Ext(r.PathValue("file"))])
		if r.URL.Query().Get("v") == of {
			w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
		}
		_, err := w.Write(content)
		return gone(err)
	})))
}

// pageData tells of the definition that readers see now.
func (s *Web) pageData(version string) pageData {
	plan := s.plan()
	data := pageData{Pipeline: plan.Pipeline, Generation: plan.Generation, Version: version, Operated: s.Operate != nil}
	for _, m := range metricInfos(plan) {
		data.Metrics = append(data.Metrics, pageMetric{m, string(mustJSON(orEmpty(m.Columns)))})
	}
	for _, m := range plan.Models {
		if len(m.Key) > 0 && m.Table != "" {
			data.Entities = append(data.Entities, pageEntity{m.Name, m.Key, m.Keep})
		}
	}
	for _, r := range plan.Reports {
		data.Reports = append(data.Reports, pageReport{r.Name, r.Description})
	}
	for _, src := range plan.Sources {
		data.Sources = append(data.Sources, pageSource{src.Name, strings.TrimPrefix(src.Route, "/"), example(src.Schema)})
	}
	return data
}

func (s *Web) index(version string) handler {
	t, err := template.ParseFS(pageFiles, "page/index.html")
	return func(w http.ResponseWriter, r *http.Request) error {
		if err != nil {
			return &pinflow.Error{Op: "read the page", Err: err}
		}
		var body bytes.Buffer
		data := s.pageData(version)
		data.SignedIn = access.IsSession(r.Context())
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
