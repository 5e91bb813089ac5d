package kafka

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// dialTimeout is how long a connection may take, TLS's handshake included.
const dialTimeout = 5 * time.Second

// dialer makes connections as Security wants them.
type dialer struct {
	security Security
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

func newDialer(o Options) dialer {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	return dialer{o.Security, o.Dial}
}

// connect connects to a broker, whichever the cluster has named.
func (d dialer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	if err := d.security.clear(address); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := d.dial(ctx, network, address)
	if err != nil || !d.security.TLS {
		return c, err
	}
	config, err := d.security.tls()
	if err != nil {
		c.Close()
		return nil, err
	}
	if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
		c.Close()
		return nil, err
	}
	secure := tls.Client(c, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return secure, nil
}

// loopback tells whether host:port is on this machine.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
