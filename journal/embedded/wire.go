package embedded

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// listener hands out connections that present stored batches as ones of append time. It accepts none before
// it is open, which is when the broker is ready to refuse what is to be refused. Beside those of its own come
// clients that have logged in elsewhere.
type listener struct {
	net.Listener
	addr    net.Addr // that clients are told
	opened  chan struct{}
	closed  chan struct{}
	once    sync.Once
	clients chan net.Conn
	gone    atomic.Int64 // connections that have ended
}

func newListener(ln net.Listener) *listener {
	return &listener{Listener: ln, addr: ln.Addr(), opened: make(chan struct{}), closed: make(chan struct{}), clients: make(chan net.Conn)}
}

// open lets clients in.
func (l *listener) open() {
	close(l.opened)
	go l.pump()
}

// pump accepts clients until the listener is closed. While too many files are open none can be; that passes.
func (l *listener) pump() {
	again := time.NewTicker(refusalDelay)
	defer again.Stop()
	for {
		c, err := l.Listener.Accept()
		if err == nil && l.admit(c) {
			continue
		}
		if err == nil {
			c.Close()
		}
		select {
		case <-again.C:
		case <-l.closed:
			return
		}
	}
}

// admit hands a client to the broker; false if the listener is closed.
func (l *listener) admit(c net.Conn) bool {
	select {
	case l.clients <- c:
		return true
	case <-l.closed:
		return false
	}
}

// Accept waits for a client.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.clients:
		return &conn{Conn: c, gone: &l.gone, fetches: make(map[int32]int16)}, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Addr is the address that clients are told.
func (l *listener) Addr() net.Addr { return l.addr }

// Close ends Accept.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// address is one that is told, whatever it is that is listened on.
type address string

// Network says how it is reached.
func (address) Network() string { return "tcp" }

func (a address) String() string { return string(a) }

// conn follows the requests that a client sends, to know its fetches' answers. The broker writes each answer
// in one piece and answers a connection's requests one by one, so few are open at a time.
type conn struct {
	net.Conn
	gone *atomic.Int64
	once sync.Once

	// Where in the stream of requests Read is: a frame is its size, then the header, then the rest.
	frame [12]byte // size, key, version and correlation id of the request that begins
	have  int      // bytes of frame that have come
	rest  int      // bytes of the request still to come

	mu      sync.Mutex
	fetches map[int32]int16 // version by correlation id
}

// maxRequest is the largest request in bytes, as Kafka's socket.request.max.bytes.
const maxRequest = 100 << 20

var errRequest = errors.New("not a request of the Kafka protocol")

// Read notes the fetches among the requests that go by. What is no request ends the connection.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if bad := c.follow(p[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

// follow follows p through the stream. The broker reads a request's size on its own, before it makes room for the rest.
func (c *conn) follow(p []byte) error {
	for len(p) > 0 {
		if c.rest > 0 {
			n := min(c.rest, len(p))
			c.rest -= n
			p = p[n:]
			continue
		}
		n := copy(c.frame[c.have:], p)
		c.have += n
		p = p[n:]
		if size := binary.BigEndian.Uint32(c.frame[:]); c.have >= 4 && (size < 8 || size > maxRequest) {
			return errRequest
		}
		if c.have < len(c.frame) {
			return nil
		}
		c.have = 0
		c.rest = int(binary.BigEndian.Uint32(c.frame[:])) - 8
		if err := c.begin(int16(binary.BigEndian.Uint16(c.frame[4:])), int16(binary.BigEndian.Uint16(c.frame[6:])), int32(binary.BigEndian.Uint32(c.frame[8:]))); err != nil {
			return err
		}
	}
	return nil
}

// begin is a request's header.
func (c *conn) begin(key, version int16, id int32) error {
	if kmsg.RequestForKey(key) == nil || version < 0 {
		return errRequest
	}
	if kmsg.Key(key) == kmsg.Fetch {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fetches[id] = version
	}
	return nil
}

// Write presents the batches of a fetch's answer.
func (c *conn) Write(answer []byte) (int, error) {
	if len(answer) >= 8 {
		id := int32(binary.BigEndian.Uint32(answer[4:]))
		c.mu.Lock()
		version, fetch := c.fetches[id]
		delete(c.fetches, id)
		c.mu.Unlock()
		if fetch {
			presentAll(answer[8:], version)
		}
	}
	return c.Conn.Write(answer)
}

// presentAll presents the batches in the body of a fetch's answer.
func presentAll(body []byte, version int16) {
	resp := kmsg.FetchResponse{Version: version}
	if resp.IsFlexible() {
		body = body[min(1, len(body)):] // no tags in the header
	}
	if resp.UnsafeReadFrom(body) != nil {
		return
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			present(p.RecordBatches) // they are part of body
		}
	}
}

// Close counts the connection as gone.
func (c *conn) Close() error {
	c.once.Do(func() { c.gone.Add(1) })
	return c.Conn.Close()
}
