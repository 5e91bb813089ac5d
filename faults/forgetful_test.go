package faults

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// forgetful stands before PostgreSQL: while it is told to, it lets a COMMIT through to the server, waits for the answer, and resets the client's connection instead of
// passing it on.
type forgetful struct {
	lose atomic.Int64 // so many more
	lost atomic.Int64
}

// newForgetful makes one, until the test ends.
func newForgetful(t *testing.T) (f *forgetful, addr string) {
	t.Helper()
	f = &forgetful{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { f.serve(client) })
		}
	})
	t.Cleanup(func() { // its clients have ended by then
		_ = l.Close()
		serving.Wait()
	})
	return f, l.Addr().String()
}

func (f *forgetful) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", own.postgres())
	if err != nil {
		return
	}
	defer server.Close()
	var forgets atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.answer(client, server, &forgets)
	}()
	f.ask(client, server, &forgets)
	_ = server.Close()
	<-done
}

// ask passes on what the client says, message by message, and finds the COMMITs: in words, or by the name under which the words were prepared.
func (f *forgetful) ask(client io.Reader, server io.Writer, forgets *atomic.Bool) {
	commits := map[string]bool{} // names of prepared statements
	for typed := false; ; {
		head := make([]byte, 4)
		if typed {
			head = make([]byte, 5)
		}
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		body := make([]byte, max(int(binary.BigEndian.Uint32(head[len(head)-4:]))-4, 0))
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		words := bytes.SplitN(body, []byte{0}, 3)
		commit := false
		switch {
		case !typed:
			typed = binary.BigEndian.Uint32(body)>>16 == 3 // the start; before it may come a question about TLS
		case head[0] == 'P':
			commits[string(words[0])] = string(bytes.ToUpper(words[1])) == "COMMIT"
		case head[0] == 'B':
			commit = commits[string(words[1])]
		case head[0] == 'Q':
			commit = string(bytes.ToUpper(words[0])) == "COMMIT"
		}
		if commit && f.lose.Add(-1) >= 0 {
			forgets.Store(true)
		}
		if _, err := server.Write(append(head, body...)); err != nil {
			return
		}
	}
}

// answer passes on what the server says, until an answer is to be lost.
func (f *forgetful) answer(client net.Conn, server io.Reader, forgets *atomic.Bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		switch {
		case err == nil && forgets.Load():
			if !bytes.HasSuffix(buffer[:n], []byte{'Z', 0, 0, 0, 5, 'I'}) { // ready, and no transaction is open
				continue
			}
			f.lost.Add(1)
			if tcp, ok := client.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = client.Close()
			return
		case err == nil:
			_, err = client.Write(buffer[:n])
		}
		if err != nil {
			_ = client.Close()
			return
		}
	}
}
