package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow/access"
	"github.com/pinflow/pinflow/internal/datalock"
)

// certify writes a new certificate for pins.example, which no command knows by its name, and returns it.
func certify(t *testing.T, cert, key string) *x509.Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "pins.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"pins.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{key: {Type: "PRIVATE KEY", Bytes: secret}, cert: {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestTLS: a certificate is shown, also the next one, and commands of the same user know their own process by it.
func TestTLS(t *testing.T) {
	data, certs := dataFolder(t), t.TempDir()
	cert, key := filepath.Join(certs, "tls.crt"), filepath.Join(certs, "tls.key")
	made := certify(t, cert, key)
	_, secret, err := access.Create(filepath.Join(data, access.FileName), "a", access.All, time.Time{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan string, 1)
	go func() {
		var out bytes.Buffer
		code := run(ctx, []string{"up", "--data", data, "--http", "0.0.0.0:0", "--kafka-listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key, "--public-host", "pins.example", "--emulate", "--rate", "50"}, &out, &out)
		if code == exitDone {
			out.Reset()
		}
		ended <- out.String()
	}()
	eventually := func(what string, holds func() bool) {
		t.Helper()
		tick, late := time.Tick(20*time.Millisecond), time.After(patience)
		for !holds() {
			select {
			case <-tick:
			case said := <-ended:
				t.Fatalf("up ended before: %s: %s", what, said)
			case <-late:
				t.Fatal("still not: " + what)
			}
		}
	}
	var at string
	eventually("it listens", func() bool {
		h, err := datalock.Holder(data)
		if err == nil && h != nil {
			at = h.HTTP
		}
		return at != ""
	})
	if !strings.HasPrefix(at, "https://127.0.0.1:") {
		t.Error(at)
	}
	command := func(words ...string) (string, string, int) {
		var out, errs bytes.Buffer
		code := run(t.Context(), words, &out, &errs)
		return out.String(), errs.String(), code
	}
	counted := func() bool {
		out, _, code := command("sql", "SELECT count(*) > 0 AS some FROM posts", "--data", data, "--output", "csv")
		return code == exitDone && out == "some\ntrue\n"
	}
	eventually("made-up posts arrive", counted)
	client := &http.Client{}
	trusting := func(c *x509.Certificate) (*http.Response, error) {
		pool := x509.NewCertPool()
		pool.AddCert(c)
		client.CloseIdleConnections()
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "pins.example"}, ForceAttemptHTTP2: true}
		r, err := http.NewRequestWithContext(t.Context(), "GET", at+"/api/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "pins.example"
		r.Header.Set("Authorization", "Bearer "+secret)
		return client.Do(r)
	}
	answer, err := trusting(made)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != 200 || answer.ProtoMajor != 2 || answer.TLS.Version < tls.VersionTLS12 {
		t.Errorf("%v %s %v", err, answer.Proto, answer.Status)
	}
	answer.Body.Close()
	if _, said, code := command("metric", "media_share", "--http", at); code != exitFailed || !strings.Contains(said, "certificate") {
		t.Errorf("a command that was given the address trusts anybody: %d %s", code, said)
	}
	if _, said, code := command("metric", "media_share", "--http", strings.Replace(at, "https", "http", 1)); code != exitFailed {
		t.Errorf("plain HTTP: %d %s", code, said)
	}
	next := certify(t, cert, key)
	eventually("the next certificate is shown", func() bool {
		answer, err := trusting(next)
		if err == nil {
			answer.Body.Close()
		}
		return err == nil
	})
	eventually("and known", counted)
	client.CloseIdleConnections()
	stop()
	if said := <-ended; said != "" {
		t.Error(said)
	}
}
