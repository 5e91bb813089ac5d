package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/internal/datalock"
)

// keysVariable is where the environment may have keys, in place of a file.
const keysVariable = "PINFLOW_KEYS"

// guard is what stands before a process's routes: it knows keys, the names that the process goes by, and its certificate.
type guard struct {
	*access.Mux
	address     string
	certificate *access.Certificate // nil: plain HTTP
	log         *slog.Logger
	lock        atomic.Pointer[datalock.Lock] // that tells others of this machine how to come in
}

// openGuard guards an address, or says why it must not be listened on.
func openGuard(address string, s *config.Settings, log *slog.Logger, metrics prometheus.Registerer) (*guard, error) {
	listen := s.Listen
	listen.HTTP = address
	isPublic := listen.IsPublic()
	if isPublic && listen.TLSCert == "" && !listen.PlainHTTP {
		return nil, &pinflow.Error{Op: "listen for HTTP", On: address, Kind: pinflow.Invalid, Err: errors.New("keys and records would travel there for everybody to read"),
			Hint: "Give --tls-cert and --tls-key; or --plain-http, if a proxy in front of it does TLS."}
	}
	keys, err := openKeys(s, isPublic || s.PublicHost != "")
	if err != nil {
		return nil, err
	}
	g := &guard{address: address, log: log}
	if listen.TLSCert != "" {
		if g.certificate, err = access.OpenCertificate(listen.TLSCert, listen.TLSKey, log, g.tellCertificate); err != nil {
			return nil, err
		}
	}
	names := s.PublicHost.Names()
	if host, _, err := net.SplitHostPort(address); err == nil && host != "" {
		names = append(names, host)
	}
	g.Mux, err = access.NewMux(access.Options{Keys: keys, Local: access.NewLocal(), Hosts: names, Public: isPublic, Log: log, Metrics: metrics})
	return g, err
}

// openKeys opens the keys that count. If others than this machine's users can come, there must be one.
func openKeys(s *config.Settings, forOthers bool) (*access.Keys, error) {
	path := keysPath(s.KeysFile, s.Data)
	text, inEnvironment := os.LookupEnv(keysVariable)
	var keys *access.Keys
	var err error
	switch {
	case inEnvironment && s.KeysFile != "":
		return nil, &pinflow.Error{Op: "read the keys", Kind: pinflow.Invalid, Err: fmt.Errorf("there are keys in %s and in the file %s", keysVariable, s.KeysFile), Hint: "Give one of them."}
	case inEnvironment:
		path = keysVariable
		keys, err = access.KeysOf(text)
	default:
		keys, err = access.OpenKeys(path, forOthers || s.KeysFile != "")
	}
	if err == nil && forOthers && keys.Usable() == 0 {
		err = &pinflow.Error{Op: "listen for HTTP from elsewhere", Kind: pinflow.Invalid, Err: fmt.Errorf("there is no key in %s that has not expired, so nobody could be let in", path),
			Hint: "Make one with pinflow key create NAME --scope post,read, and the same --data or --keys-file."}
	}
	return keys, err
}

// keysPath is where the file of keys is.
func keysPath(file, data string) string {
	if file != "" {
		return file
	}
	return filepath.Join(data, access.FileName)
}

// listen takes the address.
func (g *guard) listen(ctx context.Context) (net.Listener, error) { return listen(ctx, g.address) }

// tell has a lock say where this process is, and how commands of the same user come in.
func (g *guard) tell(lock *datalock.Lock, info datalock.Info) error {
	info.Secret = g.Local
	if g.certificate != nil {
		info.Certificate = g.certificate.Fingerprint()
	}
	g.lock.Store(lock)
	return lock.Update(info)
}

// tellCertificate has the lock say which certificate is shown from now on.
func (g *guard) tellCertificate(fingerprint string) {
	if lock := g.lock.Load(); lock != nil {
		if err := lock.Update(datalock.Info{Certificate: fingerprint}); err != nil {
			g.log.Error("commands of this machine do not know the new certificate", "error", err)
		}
	}
}

// own are the credentials with which this process posts to itself.
func (g *guard) own() access.Credentials {
	c := access.Credentials{Key: g.Local}
	if g.certificate != nil {
		c.Fingerprint = g.certificate.Fingerprint()
	}
	return c
}
