package s3

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

const (
	// slowest is how many bytes per second a connection must carry at least when it is waited for an answer to all that was sent: a part of that may
	// still be on its way.
	slowest   = 64 << 10
	writeSize = 64 << 10 // what must go through within the time in which a connection may stand still
)

// conn is a connection that breaks when it stands still: no byte can be sent, or none comes though one is waited for. A server that hangs, or a
// connection whose other end is gone without a word, would else hold a request for ever.
type conn struct {
	net.Conn
	idle time.Duration
	sent atomic.Int64 // since the last byte came
}

// dialer returns a function that makes such connections.
func dialer(idle time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: min(idle, 10*time.Second)}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c, idle: idle}, nil
	}
}

// await puts off the end of the wait for a byte: one begins to be waited for, or something has been sent.
func (c *conn) await() error {
	return c.SetReadDeadline(time.Now().Add(c.idle + time.Duration(c.sent.Load())*time.Second/slowest))
}

func (c *conn) Read(p []byte) (int, error) {
	if err := c.await(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.sent.Store(0)
	}
	return n, err
}

func (c *conn) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		if err = errors.Join(c.await(), c.SetWriteDeadline(time.Now().Add(c.idle))); err != nil {
			return n, err
		}
		var m int
		m, err = c.Conn.Write(p[n:min(len(p), n+writeSize)])
		n += m
		c.sent.Add(int64(m))
	}
	return n, err
}
