package access

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestARefusedClientKeepsNoConnection by announcing a body that it never sends.
func TestARefusedClientKeepsNoConnection(t *testing.T) {
	g := guard(t, Options{})
	server := httptest.NewServer(g)
	defer server.Close()
	for _, path := range []string{"/post", "/session"} {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		start := time.Now()
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nkey=", path, c.RemoteAddr())
		if err := c.SetReadDeadline(start.Add(5 * refusalTime)); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(c)
		answer, err := http.ReadResponse(in, nil)
		if err != nil || answer.StatusCode != 401 {
			t.Fatal(path, answer, err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(path, err)
		}
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("%s: after %s the connection is still open: %v", path, time.Since(start), err)
		}
	}
}

// FuzzAuthorization: whatever is sent, only the right key lets in.
func FuzzAuthorization(f *testing.F) {
	path := f.TempDir() + "/" + FileName
	_, text, err := Create(path, "a", All, time.Time{}, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	keys, err := OpenKeys(path, true)
	if err != nil {
		f.Fatal(err)
	}
	m, err := NewMux(Options{Keys: keys, Local: NewLocal()})
	if err != nil {
		f.Fatal(err)
	}
	m.Handle("/x", NeedScope(Read, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	for _, seed := range []string{"", "Bearer", "Bearer ", "Bearer " + text[:30], "Basic", "Basic Og==", "Basic " + text, "bearer\t" + text[:len(text)-1], "Bearer pf_________________", "local_", "Bearer local_", "\x00", "Bearer é"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, authorization, cookie string) {
		for _, header := range []http.Header{{"Authorization": {authorization}}, {"Cookie": {"pinflow-80=" + cookie}}, {"Authorization": {authorization}, "Cookie": {cookie}}} {
			r := httptest.NewRequest("GET", "/x", nil)
			r.Host, r.Header = "localhost:80", header
			w := httptest.NewRecorder()
			if m.ServeHTTP(w, r); w.Code != http.StatusUnauthorized && w.Code != http.StatusTooManyRequests {
				t.Errorf("%v: %d", header, w.Code)
			}
		}
	})
}
