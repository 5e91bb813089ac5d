package s3

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// dialed returns both ends of a connection of which one does not wait for longer than idle.
func dialed(t *testing.T, idle time.Duration) (ours, other net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	ours, err = dialer(idle)(t.Context(), "tcp", l.Addr().String())
	must(t, err)
	other, err = l.Accept()
	must(t, err)
	t.Cleanup(func() { ours.Close(); other.Close() })
	return ours, other
}

func TestConnectionThatStandsStill(t *testing.T) {
	for _, big := range []int{0, 64 << 20} { // nothing is heard, or the other end reads nothing
		c, _ := dialed(t, 50*time.Millisecond)
		began := time.Now()
		_, err := c.Write(make([]byte, big))
		if err == nil {
			_, err = c.Read(make([]byte, 1))
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 30*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	}
}

// TestSlowConnection takes longer than a connection may stand still, and never does.
func TestSlowConnection(t *testing.T) {
	const idle, pieces = 4 * time.Second, 12
	c, other := dialed(t, idle)
	read := make(chan error, 1)
	go func() { // waits for an answer all the while
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	go func() {
		tick := time.NewTicker(idle / 8)
		defer tick.Stop()
		for range pieces {
			<-tick.C
			if _, err := io.CopyN(io.Discard, other, 1<<20); err != nil {
				t.Error(err)
				return
			}
		}
		_, _ = other.Write([]byte("x"))
	}()
	if _, err := c.Write(make([]byte, pieces<<20)); err != nil {
		t.Error(err)
	}
	if err := <-read; err != nil {
		t.Error(err)
	}
}
