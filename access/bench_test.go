package access

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// nowhere is where the answers of benchmarks go.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}

// BenchmarkMux is what a request costs before its handler.
func BenchmarkMux(b *testing.B) {
	path := b.TempDir() + "/" + FileName
	var text string
	for range 100 {
		var err error
		if _, text, err = Create(path, "a", Post|Read, time.Time{}, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	keys, err := OpenKeys(path, true)
	if err != nil {
		b.Fatal(err)
	}
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for name, k := range map[string]*Keys{"key": keys, "nobody is asked": nil} {
		m, err := NewMux(Options{Keys: k})
		if err != nil {
			b.Fatal(err)
		}
		m.Handle("/pin/{$}", NeedScope(Post, h))
		m.Handle("/read", NeedScope(Read, h))
		plain := http.NewServeMux()
		plain.Handle("/pin/{$}", h)
		plain.Handle("/read", h)
		for _, path := range []string{"/pin/", "/read"} {
			r := httptest.NewRequest("POST", path, nil)
			r.Host = "127.0.0.1:8000"
			r.Header.Set("Authorization", "Bearer "+text)
			b.Run(name+path, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					m.ServeHTTP(nowhere{http.Header{}}, r)
				}
			})
			if k == nil {
				b.Run("ServeMux"+path, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						plain.ServeHTTP(nowhere{http.Header{}}, r)
					}
				})
			}
		}
	}
}
