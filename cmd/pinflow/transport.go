package main

import (
	"io"
	"net/http"
)

// inProcess is a transport that hands requests to a handler of this process: commands that read data at
// rest ask the same API that a running Pinflow answers with.
type inProcess struct{ http.Handler }

// RoundTrip returns once the handler has written the header; the body comes as it is written.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	body, into := io.Pipe()
	w := &pipeWriter{header: http.Header{}, body: into, started: make(chan struct{})}
	r = r.Clone(r.Context())
	r.RequestURI = r.URL.RequestURI()
	r.Host = r.URL.Host
	if r.Body == nil {
		r.Body = http.NoBody
	}
	go func() {
		t.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		_ = into.Close() // of a pipe: never fails
	}()
	select {
	case <-w.started:
	case <-r.Context().Done():
		_ = body.Close()
		return nil, r.Context().Err()
	}
	return &http.Response{Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, ContentLength: -1, Request: r}, nil
}

// pipeWriter writes an answer into a pipe.
type pipeWriter struct {
	header, sent http.Header
	body         *io.PipeWriter
	status       int
	started      chan struct{}
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
		close(w.started)
	}
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Flush lets handlers that stream do so; a pipe holds nothing back.
func (w *pipeWriter) Flush() { w.WriteHeader(http.StatusOK) }
