package web

import (
	"encoding/json"
	"html"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/pinflow/pinflow/value"
)

func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	err := fs.WalkDir(pageFiles, "page", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := pageFiles.ReadFile(path)
		for _, address := range regexp.MustCompile(`(https?:)?//[a-z0-9.-]+\.[a-z]+`).FindAllString(string(content), -1) {
			if address != "http://www.w3.org" { // a name, not an address
				t.Errorf("%s names %s", path, address)
			}
		}
		for _, banned := range []string{" style=", " onclick=", "innerHTML", "eval("} {
			if strings.Contains(string(content), banned) {
				t.Errorf("%s has %s", path, banned)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestThePageIsLockedDown(t *testing.T) {
	s := serve(t, 3, nil)
	_, header, body := s.get(t, "/")
	csp := header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("no %s in %s", want, csp)
		}
	}
	if strings.Contains(csp, "unsafe") || header.Get("Cache-Control") != "no-store" || header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers are %v", header)
	}
	files := regexp.MustCompile(`(?:src|href)="(page/[^"]+)"`).FindAllStringSubmatch(body, -1)
	if len(files) < 3 {
		t.Errorf("the page has the files %v", files)
	}
	for _, f := range files {
		if status, header, _ := s.get(t, "/"+f[1]); status != http.StatusOK || !strings.Contains(header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", f[1], status, header)
		}
	}
}

func TestThePageShowsADefinitionAsText(t *testing.T) {
	s := serve(t, 0, func(o *Options) { o.Plan.Metrics[0].Description = `<script>alert("x")</script>` })
	if _, _, body := s.get(t, "/"); strings.Contains(body, "<script>alert") {
		t.Error("a description is taken for HTML")
	}
}

func TestTheFirstRecordIsTaken(t *testing.T) {
	s := serve(t, 0, nil)
	_, _, body := s.get(t, "/")
	shown := regexp.MustCompile(`data-route="car/" data-example="([^"]*)"`).FindStringSubmatch(body)
	if shown == nil {
		t.Fatal("no example is shown")
	}
	schema, faults := value.CompileSchema("car.json", s.Plan.Sources[0].Schema)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if got := schema.Check([]byte(html.UnescapeString(shown[1]))); len(got) > 0 {
		t.Errorf("%s is not taken: %v", shown[1], got)
	}
}

func TestExamplesSatisfyTheirSchema(t *testing.T) {
	for _, schema := range []string{
		`{"type":"object","required":["a"],"properties":{"a":{"type":"integer"},"b":{"type":"string"}}}`,
		`{"type":"object","properties":{"a":{"type":["null","number"],"minimum":2.5},"b":{"type":"boolean"}}}`,
		`{"type":"object","required":["a"],"properties":{"a":{"enum":["x","y"]}}}`,
		`{"type":"object","required":["a"],"properties":{"a":{"const":"x"}}}`,
		`{"type":"object","required":["a"],"properties":{"a":{"type":"string","minLength":12}}}`,
		`{"type":"object","required":["at"],"properties":{"at":{"type":"string","format":"date-time"}}}`,
		`{"type":"object","required":["a"],"properties":{"a":{"type":"array","minItems":2,"items":{"type":"integer"}}}}`,
		`{"type":"object","required":["a"],"properties":{"a":{"type":"object","required":["b"],"properties":{"b":{"type":"string"}}}}}`,
		`{"type":"object","required":["a"],"properties":{"a":{"type":"string","examples":["it's"]}}}`,
	} {
		compiled, faults := value.CompileSchema("x.json", json.RawMessage(schema))
		if len(faults) > 0 {
			t.Errorf("%s: %v", schema, faults)
			continue
		}
		got := example(json.RawMessage(schema))
		if faults := compiled.Check([]byte(got)); len(faults) > 0 {
			t.Errorf("%s: %s is not taken: %v", schema, got, faults)
		}
	}
	if got := example(nil); got != "null" {
		t.Errorf("without a schema: %s", got)
	}
}
