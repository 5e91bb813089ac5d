package postgres_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/postgres"
)

// line is the way to the server. It breaks at the n-th time that something is sent or received.
type line struct {
	mu    sync.Mutex
	left  int // until it breaks; it does not below 0
	broke int
	hangs bool // rather than breaks: nothing comes any more, and nobody says so
}

var errLine = &net.OpError{Op: "use", Net: "tcp", Err: errors.New("the line is broken")}

// breakAfter lets the line break once.
func (l *line) breakAfter(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = n
}

// ticks counts; it tells whether the line breaks now.
func (l *line) ticks() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left--
	if l.left == 0 {
		l.broke++
	}
	return l.left == 0
}

func (l *line) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	return &lineConn{Conn: c, line: l, closed: make(chan struct{})}, err
}

type lineConn struct {
	net.Conn
	line   *line
	dead   atomic.Bool // hangs
	closed chan struct{}
	once   sync.Once
}

// Close implements net.Conn.
func (c *lineConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// SetDeadline implements net.Conn. Who is given up is told.
func (c *lineConn) SetDeadline(t time.Time) error {
	if !t.IsZero() && t.Before(time.Now()) {
		c.once.Do(func() { close(c.closed) })
	}
	return c.Conn.SetDeadline(t)
}

// Write implements net.Conn. A line that breaks may have taken what was sent, or not.
func (c *lineConn) Write(p []byte) (int, error) {
	if c.dead.Load() {
		return len(p), nil
	}
	if !c.line.ticks() {
		return c.Conn.Write(p)
	}
	if c.line.hangs {
		c.dead.Store(true)
		return len(p), nil
	}
	n, _ := c.Conn.Write(p[:len(p)*(len(p)%2)])
	return n, errors.Join(errLine, c.Close())
}

// Read implements net.Conn.
func (c *lineConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && !c.dead.Load() && c.line.ticks() { // the answer was on its way
		if !c.line.hangs {
			return 0, errors.Join(errLine, c.Close())
		}
		c.dead.Store(true)
	}
	if c.dead.Load() {
		<-c.closed
		return 0, errLine
	}
	return n, err
}

// TestSilentLines has the connection go silent at every point of commits and installs: each comes to an end, and what is there is what the positions say.
func TestSilentLines(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	l := &line{hangs: true}
	o := postgres.WithSilence(postgres.WithDial(postgres.Options{URL: url, Instance: newFiles(t).instance, Lock: 100 * time.Millisecond}, l.dial), 200*time.Millisecond)
	openInn(t, postgres.Options{URL: url}) // whose line is not silent: what is made there may take its time
	s, seen := openStore(t, o), newObserver(t, url)
	for n := range 30 {
		at := seen.position()
		l.breakAfter(1 + n)
		var err error
		if n%2 == 0 {
			err = s.Commit(t.Context(), visit("g1", at, at+3))
		} else {
			in := install("g1", at)
			in.Again = true
			l.breakAfter(1 + 5*n)
			_, err = s.Install(t.Context(), in)
		}
		l.breakAfter(0)
		if err != nil && pinflow.KindOf(err) != pinflow.Unavailable {
			t.Fatalf("silent at %d: %v", n, err)
		}
		if err == nil && n%2 == 0 && seen.position() != at+3 {
			t.Errorf("silent at %d: it was committed, and is not there", n)
		}
	}
	seen.position()
	if l.broke < 15 {
		t.Errorf("it was silent %d times: the test tells nothing", l.broke)
	}
}

// TestBrokenLines breaks the connection at every point of commits and installs: what is there is what the positions say.
func TestBrokenLines(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	url := newDatabase(t)
	l := &line{}
	s, o := openInn(t, postgres.WithDial(postgres.Options{URL: url}, l.dial)), newObserver(t, url)
	unsure := 0
	// What else is said on the lines, to who listens, counts too, so that one pass may leave the answer to a COMMIT out.
	for n := 0; n < 60 || unsure < 1 && n < 60*50; n++ {
		at := o.position()
		l.breakAfter(1 + n%60)
		err := s.Commit(t.Context(), visit("g1", at, at+1+r.Int64N(20)))
		l.breakAfter(0)
		if err != nil && pinflow.KindOf(err) != pinflow.Unavailable {
			t.Fatalf("broken at %d: %v", n, err)
		}
		if err != nil {
			unsure++
		} else if o.position() == at {
			t.Errorf("broken at %d: it was committed, and is not there", n)
		}
	}
	if unsure < 1 || l.broke < 20 {
		t.Errorf("it broke %d times, %d times without an outcome: the test tells nothing", l.broke, unsure)
	}
	end := o.position()
	for n := range 90 {
		in := install("g1", end)
		in.Again = true
		l.breakAfter(1 + 4*n)
		_, err := s.Install(t.Context(), in)
		l.breakAfter(0)
		if err != nil && pinflow.KindOf(err) != pinflow.Unavailable {
			t.Fatalf("broken at %d: %v", n, err)
		}
	}
	if o.position() != end {
		t.Error("an install moved the position back")
	}
}

// TestTerminatedBackends ends the server's side in the middle of commits, between two rows and while deltas are asked for.
func TestTerminatedBackends(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	url := newDatabase(t)
	s, o := openInn(t, postgres.Options{URL: url}), newObserver(t, url)
	terminate := func() {
		_, err := o.conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pinflow'")
		must(t, err)
	}
	done, given := 0, 0
	for n := range 24 {
		at := o.position()
		d := visit("g1", at, at+1+r.Int64N(20))
		times := []int{1, 2, 9}[n%3]
		strike := func() {
			if times > 0 {
				times--
				terminate()
			}
		}
		if n%2 == 0 {
			d.Added[1].Rows = struck{d.Added[1].Rows, r.IntN(int(d.Advances[0].End - at)), strike}
		} else {
			deltas := d.Changes[0].Deltas
			d.Changes[0].Deltas = func(ctx context.Context, held pinflow.Relation) ([]pinflow.Addition, error) {
				strike()
				return deltas(ctx, held)
			}
		}
		switch err := s.Commit(t.Context(), d); {
		case err == nil:
			done++
			if o.position() == at {
				t.Error("it was committed, and is not there")
			}
		case pinflow.KindOf(err) == pinflow.Unavailable:
			given++
		default:
			t.Fatal(err)
		}
	}
	if done < 8 || given < 4 {
		t.Errorf("%d committed, %d given up: the test tells nothing", done, given)
	}
	o.position()
}

// struck are rows of which one is struck.
type struck struct {
	pinflow.Relation
	at     int
	strike func()
}

// Scan implements pinflow.Relation.
func (s struck) Scan(ctx context.Context, f func(row []any) error) error {
	n := 0
	return s.Relation.Scan(ctx, func(row []any) error {
		if n == s.at {
			s.strike()
		}
		n++
		return f(row)
	})
}
