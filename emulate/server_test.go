package emulate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// place is what posts go to in tests: HTTP over pipes, so that time in a synctest bubble stands still
// while anything happens and no goroutine may be left at the end.
type place struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	takes  time.Duration                        // what an answer takes
	fault  func(n int, row []byte) (status int) // of the n-th try to post a row; nil or 200 for none, noAnswer cuts the line

	mu      sync.Mutex
	tries   int
	taken   []string
	arrived []time.Time
}

func newPlace() *place {
	return &place{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *place) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *place) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *place) Addr() net.Addr { return &net.IPAddr{} }

// serve returns a client that reaches the place, and what ends both.
func (p *place) serve() (*http.Client, func()) {
	server := &http.Server{Handler: p}
	go func() { _ = server.Serve(p) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		near, far := net.Pipe()
		select {
		case p.conns <- far:
			return near, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	return &http.Client{Transport: transport}, func() {
		transport.CloseIdleConnections()
		_ = server.Close()
	}
}

func (p *place) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if p.takes > 0 && sleep(r.Context(), p.takes) != nil {
		return
	}
	if r.Header.Get("Content-Type") == "application/x-ndjson" {
		p.bulk(w, body)
		return
	}
	result := p.take(body)
	status := result["status"].(int)
	if status == noAnswer {
		panic(http.ErrAbortHandler)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "3")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(result)
}

func (p *place) bulk(w http.ResponseWriter, body []byte) {
	var results []any
	status := http.StatusOK
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		result := p.take(lines.Bytes())
		if result["status"] != http.StatusOK {
			status = http.StatusMultiStatus
		}
		result["index"] = len(results)
		results = append(results, result)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"results": results})
}

// take answers for one row: at the offset of its place among those taken, or with the fault that it is to have.
func (p *place) take(row []byte) map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries++
	p.arrived = append(p.arrived, time.Now())
	if p.fault != nil {
		if status := p.fault(p.tries, row); status != http.StatusOK {
			return map[string]any{"status": status, "title": http.StatusText(status), "errors": []any{map[string]any{"path": "/x", "reason": "is bad"}}}
		}
	}
	p.taken = append(p.taken, string(row))
	return map[string]any{"status": http.StatusOK, "topic": "T", "partition": 0, "offset": len(p.taken) - 1}
}

// some are n made-up rows, some of them marked.
func some(n int, mark func(int) string) Rows {
	var rows fixed
	for i := range n {
		m := ""
		if mark != nil {
			m = mark(i)
		}
		rows = append(rows, Row{JSON: fmt.Appendf(nil, `{"i":%d,"x":%q}`, i, m)})
	}
	return &rows
}

type fixed []Row

func (f *fixed) Next() (Row, error) {
	if len(*f) == 0 {
		return Row{}, io.EOF
	}
	row := (*f)[0]
	*f = (*f)[1:]
	return row, nil
}

func (f *fixed) Close() error { return nil }

// checkOutcomes checks that each row has one outcome, and that those acknowledged lie where their receipts say.
func checkOutcomes(t *testing.T, p *place, outcomes []Outcome, rows int, isBad func(string) bool) {
	t.Helper()
	seen := map[int64]bool{}
	for _, o := range outcomes {
		if seen[o.Number] {
			t.Errorf("row %d has two outcomes", o.Number)
		}
		seen[o.Number] = true
		if !strings.HasPrefix(string(o.Row), fmt.Sprintf(`{"i":%d,`, o.Number)) {
			t.Errorf("row %d is told as %s", o.Number, o.Row)
		}
		switch {
		case (o.Err != nil) != isBad(string(o.Row)):
			t.Errorf("row %s: %v", o.Row, o.Err)
		case o.Err == nil && (o.Position.Topic != "T" || p.taken[o.Position.Offset] != string(o.Row)):
			t.Errorf("row %s has the receipt %v", o.Row, o.Position)
		case o.Err != nil && !strings.Contains(o.Err.Error(), "/x is bad"):
			t.Errorf("row %s was refused because of %v", o.Row, o.Err)
		}
	}
	if len(seen) != rows {
		t.Errorf("%d rows of %d have an outcome", len(seen), rows)
	}
}
