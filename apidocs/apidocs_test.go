package apidocs_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/pinflow/pinflow/apidocs"
)

func get(mux *http.ServeMux, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

func TestDocument(t *testing.T) {
	mux := http.NewServeMux()
	api := apidocs.New(mux, "Thing", "1.2.3")
	api.OpenAPI().AddOperation(&huma.Operation{Method: "POST", Path: "/thing/", OperationID: "thing", Summary: "Get Db Row"})
	w := get(mux, "/openapi.json")
	var doc struct {
		OpenAPI string `json:"openapi"`
		Info    struct{ Title, Version string }
		Paths   map[string]map[string]struct{ Summary string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("answered %d %v: %v", w.Code, w.Header(), err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") || doc.Info.Title != "Thing" || doc.Info.Version != "1.2.3" || doc.Paths["/thing/"]["post"].Summary != "Get Db Row" {
		t.Errorf("the document is %s", w.Body)
	}
}

// TestPage follows what the page refers to: all of it is served, and nothing lies elsewhere.
func TestPage(t *testing.T) {
	mux := http.NewServeMux()
	apidocs.New(mux, "Thing <&>", "1")
	page := get(mux, "/docs")
	if page.Code != 200 || !strings.Contains(page.Body.String(), "Thing &lt;&amp;&gt;") || strings.Contains(page.Body.String(), "FILES") {
		t.Fatalf("answered %d: %s", page.Code, page.Body)
	}
	refs := regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	files := 0
	for _, ref := range refs {
		switch {
		case ref[1] == "./" || strings.HasPrefix(ref[1], "data:"): // the dashboard is another's
		case strings.Contains(ref[1], "//"):
			t.Errorf("the page needs %s", ref[1])
		default:
			files++
			w := get(mux, "/"+ref[1])
			if w.Code != 200 || strings.Contains(w.Body.String(), "://") {
				t.Errorf("%s is answered with %d, or refers elsewhere", ref[1], w.Code)
			}
		}
	}
	if files < 3 {
		t.Errorf("only %d files", files)
	}
	if policy := page.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") {
		t.Errorf("the policy is %q", policy)
	}
	if again := get(mux, "/docs", "If-None-Match", page.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("the same page is answered with %d", again.Code)
	}
	if moved := get(mux, "/docs/"); moved.Code != http.StatusMovedPermanently || moved.Header().Get("Location") != "/docs" {
		t.Errorf("/docs/ is answered with %d to %s", moved.Code, moved.Header().Get("Location"))
	}
}

// TestTheDocumentMayChange: also after it was asked for, and while it is.
func TestTheDocumentMayChange(t *testing.T) {
	mux := http.NewServeMux()
	docs := apidocs.New(mux, "T", "1")
	ask := func() string { return get(mux, "/openapi.json").Body.String() }
	add := func(about string) {
		docs.Change(func(doc *huma.OpenAPI) {
			delete(doc.Paths, "/x")
			doc.AddOperation(&huma.Operation{Method: "GET", Path: "/x", OperationID: "x", Description: about})
		})
	}
	add("the first")
	if got := ask(); !strings.Contains(got, "the first") {
		t.Error(got)
	}
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() { ask() })
	}
	add("the second")
	asking.Wait()
	if got := ask(); !strings.Contains(got, "the second") || strings.Contains(got, "the first") {
		t.Error(got)
	}
}
