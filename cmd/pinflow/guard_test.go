package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		host, origin, site string
		want               int
	}{
		{"127.0.0.1:8000", "", "", 200},
		{"localhost:8000", "", "", 200},
		{"[::1]:8000", "", "", 200},
		{"localhost", "http://localhost", "same-origin", 200},
		{"127.0.0.1:8000", "http://127.0.0.1:8000", "same-origin", 200},
		{"127.0.0.1:8000", "http://127.0.0.1:9999", "same-site", 403},
		{"127.0.0.1:8000", "https://evil.example", "cross-site", 403},
		{"127.0.0.1:8000", "null", "cross-site", 403},
		{"127.0.0.1:8000", "", "cross-site", 403},
		{"evil.example:8000", "", "", 421},
		{"127.0.0.1.evil.example", "", "", 421},
		{"", "", "", 421},
	} {
		r := httptest.NewRequest(http.MethodPost, "/pin/", nil)
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		r.Header.Set("Sec-Fetch-Site", c.site)
		w := httptest.NewRecorder()
		guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("host %q origin %q site %q: %d, want %d", c.host, c.origin, c.site, w.Code, c.want)
		}
	}
}
