package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestInProcess(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Query", r.URL.Query().Get("q"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("GET /silent", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	client := &http.Client{Transport: inProcess{mux}}

	text := strings.Repeat("a long text ", 100_000)
	answer, err := client.Post("http://pinflow/echo?q=1", "text/plain", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(answer.Body)
	if err != nil || string(got) != text || answer.StatusCode != http.StatusTeapot || answer.Header.Get("X-Query") != "1" {
		t.Errorf("%d bytes, %d, %v, %v", len(got), answer.StatusCode, answer.Header, err)
	}
	if answer, err = client.Get("http://pinflow/silent"); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("silent: %v, %v", answer, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://pinflow/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Do(r); err == nil {
		t.Error("an ended context gave an answer")
	}
}
