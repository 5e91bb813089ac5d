package access

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pinflow/pinflow"
)

// renewEvery is how often the files of a certificate are looked at, when a client comes.
const renewEvery = time.Second

// Certificate is that of a server, read anew when its files change. If they can't be read then, the one before goes on being shown.
type Certificate struct {
	cert, key string // files
	log       *slog.Logger
	renewed   func(fingerprint string) // told of each new one
	current   atomic.Pointer[tls.Certificate]

	mu       sync.Mutex
	lookedAt time.Time
	files    [2]os.FileInfo
}

// OpenCertificate reads a certificate chain and its key, both in PEM. renewed is told the fingerprint of each one that takes its place.
func OpenCertificate(cert, key string, log *slog.Logger, renewed func(fingerprint string)) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key, log: log, renewed: renewed}
	_, err := c.read()
	c.lookedAt = time.Now()
	return c, err
}

// Fingerprint is the SHA-256 of the certificate, in hex.
func (c *Certificate) Fingerprint() string { return fingerprint(c.current.Load().Certificate[0]) }

// Config returns how a server uses it.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if c.mu.TryLock() {
			if time.Since(c.lookedAt) >= renewEvery {
				c.renew()
				c.lookedAt = time.Now()
			}
			c.mu.Unlock()
		}
		return c.current.Load(), nil
	}}
}

func (c *Certificate) renew() {
	changed, err := c.read()
	switch {
	case err != nil:
		c.log.Error("the TLS certificate can't be read anew: the one before is still shown", "error", err)
	case changed:
		c.log.Info("the TLS certificate is a new one", "expires", c.current.Load().Leaf.NotAfter)
		c.renewed(c.Fingerprint())
	}
}

// read reads the files if they have changed.
func (c *Certificate) read() (changed bool, err error) {
	var files [2]os.FileInfo
	for i, path := range []string{c.cert, c.key} {
		if files[i], err = os.Stat(path); err != nil {
			return false, c.failure(path, err)
		}
		changed = changed || !sameFile(files[i], c.files[i])
	}
	if !changed {
		return false, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return false, c.failure(c.cert+" and "+c.key, err)
	}
	c.files = files
	before := c.current.Swap(&pair)
	return before != nil && fingerprint(before.Certificate[0]) != fingerprint(pair.Certificate[0]), nil
}

func (c *Certificate) failure(on string, err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		err = fmt.Errorf("%s: %w", p.Op, p.Err)
	}
	return &pinflow.Error{Op: "read the TLS certificate in", On: on, Kind: pinflow.Invalid, Err: err, Hint: "Give the certificate chain with --tls-cert and its key with --tls-key, both in PEM, readable by this user."}
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
