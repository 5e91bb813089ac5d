package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/pinflow/pinflow"
)

// shutdownTime is how long requests under way have to end.
const shutdownTime = 15 * time.Second

// server is the HTTP server of a process.
type server struct {
	http *http.Server
	on   net.Listener
	tls  bool
	done chan error
}

// listen takes the address before anything is served or started, so that a taken one is an error.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &pinflow.Error{Op: "listen for HTTP", On: addr, Kind: pinflow.Exists, Err: err,
			Hint: "Is another program listening there? Choose another address with --http."}
	}
	return l, nil
}

// serve answers on l until stop. onStop is told when the stop begins: what never ends by itself must end then.
func (g *guard) serve(l net.Listener, onStop func()) *server {
	s := &server{on: l, tls: g.certificate != nil, done: make(chan error, 1), http: &http.Server{
		Handler:           g,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}}
	s.http.RegisterOnShutdown(onStop)
	if !s.tls {
		go func() { s.done <- s.http.Serve(l) }()
		return s
	}
	s.http.TLSConfig = g.certificate.Config()
	go func() { s.done <- s.http.ServeTLS(l, "", "") }()
	return s
}

// url returns the address in the form that people on this machine open.
func (s *server) url() string {
	scheme, address := "http://", s.on.Addr().String()
	if s.tls {
		scheme = "https://"
	}
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().IsUnspecified() {
		address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String()
	}
	return scheme + address
}

// wait returns when ctx ends, or with an error if the server ends before.
func (s *server) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.done:
		s.done <- err
		return err
	}
}

// stop lets requests under way end, for at most shutdownTime.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
