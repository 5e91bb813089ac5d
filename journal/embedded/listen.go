package embedded

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/pinflow/pinflow"
)

const opListen = "listen for Kafka clients on"

// listen listens for this machine's processes, and at the gate for all others if there are users.
func (o Options) listen(ctx context.Context) (*listener, *gate, error) {
	bad := func(why, hint string) (*listener, *gate, error) {
		return nil, nil, &pinflow.Error{Op: opListen, On: o.Listen, Kind: pinflow.Invalid, Err: errors.New(why), Hint: hint}
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return bad(err.Error(), "Give --kafka-listen host:port, such as 127.0.0.1:9092.")
	}
	ip := net.ParseIP(host)
	switch loopback := host == "localhost" || ip != nil && ip.IsLoopback(); {
	case (o.CertFile == "") != (o.KeyFile == ""):
		return bad("a certificate needs its key, and a key its certificate", "Give both --kafka-tls-cert and --kafka-tls-key, or none.")
	case o.UsersFile == "" && !loopback:
		return bad("it is not a loopback address, and nobody would be asked who he is",
			"Listen on loopback, or give a file of users with --kafka-users, and for TLS --kafka-tls-cert and --kafka-tls-key.")
	case o.UsersFile == "" && o.CertFile != "":
		return bad("there is a certificate, and nobody who could log in", "Give a file of users too, with --kafka-users.")
	case o.UsersFile != "" && o.Advertise == "" && (host == "" || ip != nil && ip.IsUnspecified()):
		return bad("clients are told where the broker is, and cannot connect to every address there is", "Say with --kafka-advertise by which name clients reach this machine.")
	}
	if o.UsersFile == "" {
		ln, err := listen(ctx, o.Listen)
		if err != nil {
			return nil, nil, err
		}
		return newListener(ln), nil, nil
	}
	return o.listenAtGate(ctx)
}

// listenAtGate listens twice: for this machine's processes, and for those who are asked who they are.
func (o Options) listenAtGate(ctx context.Context) (*listener, *gate, error) {
	g := &gate{log: o.Log, mechanisms: []string{scramSHA512, scramSHA256}}
	var err error
	if g.users, err = openUsers(o.UsersFile); err != nil {
		return nil, nil, err
	}
	if o.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile); err != nil {
			return nil, nil, &pinflow.Error{Op: "read the certificate of the embedded journal", On: o.CertFile, Kind: pinflow.Invalid, Err: err, Hint: "Give the certificate, with those of its CA behind it, and its key, both PEM."}
		}
		g.mechanisms = append(g.mechanisms, plain)
		g.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
			return &pair, err
		}}
	}
	if g.ln, err = listen(ctx, o.Listen); err != nil {
		return nil, nil, err
	}
	inner, err := listen(ctx, "127.0.0.1:0")
	if err != nil {
		g.ln.Close()
		return nil, nil, err
	}
	ln := newListener(inner)
	ln.addr = address(o.advertised(g.ln.Addr()))
	local := inner.Addr().String()
	g.broker = func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", local) }
	g.admit = ln.admit
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return ln, g, nil
}

// advertised is the host:port that clients are told: as it was given, since a certificate is for a name.
func (o Options) advertised(listens net.Addr) string {
	if h, p, err := net.SplitHostPort(o.Advertise); err == nil {
		return net.JoinHostPort(h, p)
	}
	host, _, err := net.SplitHostPort(o.Listen)
	_, port, err2 := net.SplitHostPort(listens.String())
	if err != nil || err2 != nil {
		return listens.String()
	}
	return net.JoinHostPort(cmp.Or(strings.Trim(o.Advertise, "[]"), host), port)
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &pinflow.Error{Op: opListen, On: address, Kind: pinflow.Exists, Err: fmt.Errorf("another process listens there"),
			Hint: "Stop it, or choose another port with --kafka-listen."}
	}
	if err != nil {
		return nil, &pinflow.Error{Op: opListen, On: address, Kind: pinflow.Unavailable, Err: err, Hint: "Choose another address with --kafka-listen."}
	}
	return ln, nil
}
