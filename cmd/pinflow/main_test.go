package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pinflow/pinflow/internal/datalock"
)

// asMain makes the test binary behave as pinflow itself, so that tests can start and kill the real thing.
const asMain = "PINFLOW_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"pinflow": main})
}

// process is a pinflow of its own, on ports of its own.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	info datalock.Info
	out  *lockedBuffer
	done chan struct{}
	err  error // how it ended, after done
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start starts pinflow with free ports and waits until it is ready.
func start(t testing.TB, data string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{args[0], "--data", data, "--http", "127.0.0.1:0", "--kafka-listen", "127.0.0.1:0"}, args[1:]...)
	p := &process{t: t, cmd: exec.Command(self, args...), out: &lockedBuffer{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asMain+"=1")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.WaitDelay = 10 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("pinflow %s:\n%s", strings.Join(args, " "), p.out)
		}
	})
	eventually(t, "pinflow is up", func() bool {
		select {
		case <-p.done:
			t.Fatalf("pinflow %s ended: %v\n%s", strings.Join(args, " "), p.err, p.out)
		default:
		}
		holder, err := datalock.Holder(data)
		if err != nil || holder == nil || holder.HTTP == "" || holder.PID != p.cmd.Process.Pid {
			return false
		}
		p.info = *holder
		return true
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// interrupt is Ctrl-C; the process must end with 0.
func (p *process) interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Fatalf("pinflow goes on a minute after Ctrl-C:\n%s", p.out)
	}
	if p.err != nil {
		p.t.Errorf("pinflow ended after Ctrl-C with %v:\n%s", p.err, p.out)
	}
}

// peakMemory returns the most bytes that the process has had resident.
func (p *process) peakMemory() int64 {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for l := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(l, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	p.t.Fatal("no VmHWM")
	return 0
}

// eventually waits for a condition that other processes bring about.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	within(t, 2*time.Minute, what, holds)
}

// within waits for a condition for so long at the most. How long is no claim about speed: it ends a test that waits in vain.
func within(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("still not after %s: %s", limit, what)
		}
	}
}

// command runs pinflow in this process and returns what it prints; it must exit with 0.
func command(t testing.TB, args ...string) string {
	t.Helper()
	var out, errors bytes.Buffer
	if code := run(t.Context(), args, &out, &errors); code != exitDone {
		t.Fatalf("pinflow %s: exit %d\n%s%s", strings.Join(args, " "), code, out.String(), errors.String())
	}
	return out.String()
}

// shown returns the rows of a metric as lines in the oracle's form.
func shown(t testing.TB, data, metric string, more ...string) []string {
	t.Helper()
	return linesOf(rowsOf(t, command(t, append([]string{"metric", metric, "--data", data, "--output", "json"}, more...)...)))
}

// rowsOf decodes an array of row objects, with the columns in their order.
func rowsOf(t testing.TB, text string) [][]any {
	t.Helper()
	var objects []json.RawMessage
	if err := json.Unmarshal([]byte(text), &objects); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	rows := make([][]any, len(objects))
	for i, o := range objects {
		dec := json.NewDecoder(bytes.NewReader(o))
		dec.UseNumber()
		if _, err := dec.Token(); err != nil {
			t.Fatal(err)
		}
		for dec.More() {
			var v any
			_, err := dec.Token()
			if err == nil {
				err = dec.Decode(&v)
			}
			if err != nil && err != io.EOF {
				t.Fatal(err)
			}
			rows[i] = append(rows[i], v)
		}
	}
	return rows
}

// dataFolder is a new folder for a pinflow's data.
func dataFolder(t testing.TB) string { return filepath.Join(t.TempDir(), "data") }

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
