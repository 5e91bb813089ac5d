package embedded

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	loginTimeout = 10 * time.Second // for TLS's handshake and the login
	maxLogins    = 256              // under way at a time; who comes then waits
	refusalDelay = 100 * time.Millisecond
)

// gate lets clients in that have logged in.
type gate struct {
	ln         net.Listener
	users      *users
	tls        *tls.Config // nil for none
	mechanisms []string
	broker     func(context.Context) (net.Conn, error)
	admit      func(net.Conn) bool // hands a client on; false once the broker has closed
	log        *slog.Logger

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	logins sync.WaitGroup
}

// serve lets clients in until close.
func (g *gate) serve() {
	slots := make(chan struct{}, maxLogins)
	for {
		c, err := g.ln.Accept()
		if g.ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return
		}
		if err != nil { // too many files are open
			g.wait(refusalDelay)
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-g.ctx.Done():
			c.Close()
			return
		}
		g.logins.Go(func() {
			defer func() { <-slots }()
			g.receive(c)
		})
	}
}

// receive asks a client who it is.
func (g *gate) receive(c net.Conn) {
	ended := context.AfterFunc(g.ctx, func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(loginTimeout)) // a connection that cannot have one has ended
	from := c.RemoteAddr().String()
	if g.tls != nil {
		c = tls.Server(c, g.tls)
	}
	user, err := g.login(c)
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		g.log.Warn("embedded journal: a client was not let in", "from", from, "user", user, "err", err)
		g.wait(refusalDelay)
		c.Close()
		return
	}
	if !ended() || !g.admit(c) {
		c.Close()
		return
	}
	g.log.Debug("embedded journal: a client has logged in", "from", from, "user", user)
}

func (g *gate) login(c net.Conn) (user string, err error) {
	if err := g.users.refresh(); err != nil {
		return "", err // whom the file let in before, it may not any more
	}
	l := &login{conn: c, users: g.users, mechanisms: g.mechanisms, apiVersions: g.apiVersions}
	return l.run()
}

// apiVersions hands a request on to the broker, which alone knows what it can do.
func (g *gate) apiVersions(request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(g.ctx, loginTimeout)
	defer cancel()
	c, err := g.broker(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(loginTimeout)); err != nil {
		return nil, err
	}
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	return readFrame(c, maxRequest)
}

func (g *gate) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-g.ctx.Done():
	}
}

// close lets nobody in any more, and waits until nobody is asked.
func (g *gate) close() {
	g.cancel()
	_ = g.ln.Close() // what is left of it ends with the process
	g.logins.Wait()
}
