package access

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certify writes a new certificate for 127.0.0.1 and its key.
func certify(t *testing.T, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	var told []string
	open := func() (*Certificate, error) {
		return OpenCertificate(cert, key, slog.New(slog.DiscardHandler), func(f string) { told = append(told, f) })
	}
	if _, err := open(); err == nil {
		t.Error("no files")
	}
	certify(t, cert, key)
	c, err := open()
	if err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		t.Helper()
		c.lookedAt = time.Time{}
		pair, err := c.Config().GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return fingerprint(pair.Certificate[0])
	}
	first := c.Fingerprint()
	if shown() != first || len(told) > 0 {
		t.Error(told)
	}
	certify(t, cert, key)
	second := shown()
	if second == first || len(told) != 1 || told[0] != second {
		t.Errorf("renewed: %s after %s, told %v", second, first, told)
	}
	if err := os.WriteFile(key, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if shown() != second {
		t.Error("half written: another one is shown")
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	if shown() != second {
		t.Error("gone: another one is shown")
	}
	if _, err := open(); err == nil {
		t.Error("it is opened without a file")
	}
	certify(t, cert, key)
	if third := shown(); third == second || len(told) != 2 {
		t.Errorf("mended: %s, told %v", third, told)
	}
}

// TestClientsKnowTheirServer, and send the key there only.
func TestClientsKnowTheirServer(t *testing.T) {
	var got []string
	note := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.Header.Get("Authorization")) })
	elsewhere := httptest.NewServer(note)
	defer elsewhere.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(w, r)
		if r.URL.Path == "/away" {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}
	}))
	defer plain.Close()
	ask := func(c Credentials, base, path string) error {
		t.Helper()
		client, err := c.Client(base, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer client.CloseIdleConnections()
		answer, err := client.Get(base + path)
		if err != nil {
			return err
		}
		return answer.Body.Close()
	}
	if err := ask(Credentials{Key: "k"}, plain.URL, "/away"); err != nil || len(got) != 2 || got[0] != "Bearer k" || got[1] != "" {
		t.Errorf("%q %v", got, err)
	}
	dir := t.TempDir()
	certify(t, filepath.Join(dir, "c"), filepath.Join(dir, "k"))
	c, err := OpenCertificate(filepath.Join(dir, "c"), filepath.Join(dir, "k"), slog.New(slog.DiscardHandler), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", c.Config())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: note, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	base := "https://" + l.Addr().String()
	got = nil
	if err := ask(Credentials{Key: "k", Fingerprint: c.Fingerprint()}, base, "/"); err != nil || len(got) != 1 || got[0] != "Bearer k" {
		t.Errorf("by its fingerprint: %q %v", got, err)
	}
	for _, of := range []string{"", fingerprint([]byte("another"))} {
		if err := ask(Credentials{Key: "k", Fingerprint: of}, base, "/"); err == nil || len(got) != 1 {
			t.Errorf("fingerprint %q: %q %v", of, got, err)
		}
	}
}
