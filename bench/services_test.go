package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow/internal/realtest"
)

// address is where a service of the stack listens.
func address(env, usual string) string {
	port := os.Getenv(env)
	if port == "" {
		port = usual
	}
	return "127.0.0.1:" + port
}

// realKafka starts Kafka and returns where it listens and its process.
func realKafka(b *testing.B) (addr string, pid int) {
	b.Helper()
	realtest.Service(b, "kafka.sh", "start")
	return address("KAFKA_PORT", "19092"), pidOf(b, "kafka")
}

// pidOf returns the process of a service.
func pidOf(b *testing.B, service string) (pid int) {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(workFolder(b), service+".pid"))
	if err == nil {
		_, err = fmt.Sscan(string(text), &pid)
	}
	if err != nil {
		b.Fatal(err)
	}
	return pid
}

// workFolder is where the services and the peers are installed.
func workFolder(b *testing.B) string {
	b.Helper()
	dir := os.Getenv("STACK_DIR")
	if dir == "" {
		realtest.Missing(b, "set STACK_DIR to a folder in which services and peers are installed")
	}
	return dir
}

// python returns a Python that has what the peers need; it is made when it is not there.
func python(b *testing.B) string {
	b.Helper()
	env := filepath.Join(workFolder(b), "peers.venv")
	exe := filepath.Join(env, "bin", "python")
	for _, args := range [][]string{{"python3", "-m", "venv", env}, {exe, "-m", "pip", "install", "-q", "-r", "peers/requirements.txt"}} {
		if out, err := exec.CommandContext(b.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			realtest.Missing(b, "the peers in Python need %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return exe
}

// benthos builds Benthos with what the peer needs of it.
func benthos(b *testing.B) string {
	b.Helper()
	exe := filepath.Join(workFolder(b), "benthos")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-C", "peers/benthos", "-o", exe, ".").CombinedOutput(); err != nil {
		realtest.Missing(b, "go build in bench/peers/benthos: %v\n%s", err, out)
	}
	return exe
}

// newTopic makes a topic that is gone after the benchmark.
func newTopic(b *testing.B, kafka string, partitions int32) string {
	b.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka))
	if err != nil {
		b.Fatal(err)
	}
	name, admin, stampedOnAppend := fmt.Sprintf("bench-%d", time.Now().UnixNano()), kadm.NewClient(cl), "LogAppendTime"
	if _, err := admin.CreateTopic(b.Context(), partitions, 1, map[string]*string{"message.timestamp.type": &stampedOnAppend}, name); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		defer cl.Close()
		if _, err := admin.DeleteTopic(context.WithoutCancel(b.Context()), name); err != nil {
			b.Error(err)
		}
	})
	return name
}

// newDatabase makes a database that is gone after the benchmark, and connects to it.
func newDatabase(b *testing.B) (name string, conn *pgx.Conn) {
	b.Helper()
	server := "postgres://stack:stack@" + address("PG_PORT", "15432") + "/"
	admin, err := pgx.Connect(b.Context(), server+"stack")
	if err != nil {
		b.Fatal(err)
	}
	name = fmt.Sprintf("bench_%d", time.Now().UnixNano())
	if _, err := admin.Exec(b.Context(), "CREATE DATABASE "+name); err != nil {
		b.Fatal(err)
	}
	if conn, err = pgx.Connect(b.Context(), server+name); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx := context.WithoutCancel(b.Context())
		_ = conn.Close(ctx)
		if _, err := admin.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			b.Error(err)
		}
		_ = admin.Close(ctx)
	})
	return name, conn
}

// process is one that is measured.
type process struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr bytes.Buffer
	name   string
}

// start starts a process with more in its environment, until end or the benchmark's end.
func start(b *testing.B, env []string, name string, args ...string) *process {
	b.Helper()
	p := &process{cmd: exec.Command(name, args...), name: filepath.Base(name)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	p.stdout = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = p.cmd.Process.Signal(syscall.SIGKILL), p.cmd.Wait() })
	return p
}

// startPinflow starts the real binary.
func startPinflow(b *testing.B, env []string, args ...string) *process {
	b.Helper()
	if _, err := os.Stat(binary); err != nil {
		b.Fatalf("make build first: %v", err)
	}
	return start(b, env, binary, append(args, "--data", filepath.Join(b.TempDir(), "data"), "--log-level", "warn")...)
}

// end ends a process in peace.
func (p *process) end(b *testing.B) {
	b.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		b.Fatalf("%s has ended: %v\n%s", p.name, err, p.stderr.String())
	}
	go func() { _, _ = io.Copy(io.Discard, p.stdout) }()
	if err := p.cmd.Wait(); err != nil {
		b.Fatalf("%s: %v\n%s", p.name, err, p.stderr.String())
	}
}

// output waits for the end of a process and returns the last line that it has printed.
func (p *process) output(b *testing.B) string {
	b.Helper()
	text, err := io.ReadAll(p.stdout)
	if err == nil {
		err = p.cmd.Wait()
	}
	if err != nil {
		b.Fatalf("%s: %v\n%s%s", p.name, err, text, p.stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// until asks again and again whether it is so; what never comes ends the benchmark.
func (p *process) until(b *testing.B, what string, longest time.Duration, so func() bool) {
	b.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !so(); <-tick.C {
		if time.Since(began) > longest || !alive(p.cmd.Process.Pid) {
			_ = p.cmd.Process.Signal(syscall.SIGQUIT)
			_ = p.cmd.Wait()
			b.Fatalf("%s: not %s after %s\n%s", p.name, what, time.Since(began).Round(time.Second), p.stderr.String())
		}
	}
}

// listening waits until addr takes connections.
func (p *process) listening(b *testing.B, addr string) {
	b.Helper()
	p.until(b, "listening", time.Minute, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// freeAddress is an address at which nobody listens, for those who cannot choose one themselves.
func freeAddress(b *testing.B) string {
	b.Helper()
	return fmt.Sprintf("127.0.0.1:%d", realtest.FreePort(b))
}

// ticks is how many of the kernel's clock ticks are a second: 100 on every Linux that Go runs on.
const ticks = 100

// cpu is the processor time that a process and its children have taken.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	var total time.Duration
	children := map[int][]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	taken := map[int]time.Duration{}
	for _, file := range stats {
		fields, err := statOf(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		children[fields.parent] = append(children[fields.parent], id)
		taken[id] = fields.cpu
	}
	for family := []int{pid}; len(family) > 0; family = family[1:] {
		total += taken[family[0]]
		family = append(family, children[family[0]]...)
	}
	return total
}

func alive(pid int) bool {
	s, err := statOf(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && s.state != "Z"
}

type stat struct {
	state  string
	parent int
	cpu    time.Duration // its own, and that of children that have ended
}

func statOf(file string) (s stat, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	end := bytes.LastIndexByte(text, ')') // of the name, which may hold anything
	fields := strings.Fields(string(text[end+1:]))
	if end < 0 || len(fields) < 15 {
		return s, errors.New("not understood: " + file)
	}
	s.state = fields[0]
	s.parent, _ = strconv.Atoi(fields[1])
	for _, f := range fields[11:15] {
		n, _ := strconv.ParseInt(f, 10, 64)
		s.cpu += time.Duration(n) * time.Second / ticks
	}
	return s, nil
}
