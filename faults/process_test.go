package faults

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a role of Pinflow that runs, with its own link to each service.
type process struct {
	dir   string // where its log lies
	name  string // lake-2
	args  []string
	env   []string
	links map[string]*link // by service

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended, after done
	url  string        // of its HTTP API, or of its monitor
	peak int64         // the most bytes that a process of this name had resident
	runs int
}

// logFile is what the process writes.
func (p *process) logFile() string { return filepath.Join(p.dir, p.name+".log") }

// start starts the process, which must not run, and waits until it answers.
func (p *process) start(t testing.TB) {
	t.Helper()
	p.launch(t)
	p.ready(t)
}

// launch starts the process and does not wait.
func (p *process) launch(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(t, err)
	defer log.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runs++
	fmt.Fprintf(log, "---- start %d\n", p.runs)
	cmd := exec.Command(built, p.args...)
	cmd.Env = p.env
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	p.cmd, p.done, p.url = cmd, make(chan struct{}), ""
	go func(done chan struct{}) {
		err := cmd.Wait()
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(done)
	}(p.done)
}

// environment leads a process to a PostgreSQL and an S3: their URLs are the same for all, as those who have the same place share the work there.
func environment(postgres, s3 string) []string {
	return append(os.Environ(), "PGPASSWORD=stack", "PGPORT="+postgres[strings.LastIndex(postgres, ":")+1:], "AWS_ENDPOINT_URL_S3=http://"+s3,
		"AWS_ACCESS_KEY_ID=stack", "AWS_SECRET_ACCESS_KEY=stackstack", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
}

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// ready waits until the process answers; how long that may take is no claim.
func (p *process) ready(t testing.TB) {
	t.Helper()
	eventually(t, p.name+" is ready", func() bool {
		if p.hasEnded() {
			t.Fatalf("%s ended: %v\n%s", p.name, p.how(), p.tail())
		}
		return p.isUp()
	})
}

// isUp tells whether the process has come to where it works, and notes where it answers.
func (p *process) isUp() bool {
	text, err := os.ReadFile(p.logFile())
	if err != nil {
		return false
	}
	own := string(text[max(strings.LastIndex(string(text), "---- start"), 0):])
	p.mu.Lock()
	defer p.mu.Unlock()
	p.url = address.FindString(own)
	return strings.Contains(own, "Ctrl-C") && p.url != ""
}

func (p *process) at() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.url
}

func (p *process) how() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *process) current() (*exec.Cmd, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd, p.done
}

func (p *process) hasEnded() bool {
	_, done := p.current()
	if done == nil {
		return true
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// signal sends a signal; the process may have ended.
func (p *process) signal(s syscall.Signal) {
	if cmd, _ := p.current(); cmd != nil {
		_ = cmd.Process.Signal(s)
	}
}

// kill is kill -9.
func (p *process) kill() {
	p.measure()
	cmd, done := p.current()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill()
	<-done
}

// stop is SIGTERM; the process must end with 0 within a minute.
func (p *process) stop(t testing.TB) {
	t.Helper()
	p.measure()
	_, done := p.current()
	if p.hasEnded() {
		return
	}
	p.signal(syscall.SIGTERM)
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	select {
	case <-done:
		if err := p.how(); err != nil {
			t.Errorf("%s ended after SIGTERM with %v:\n%s", p.name, err, p.tail())
		}
	case <-limit.C:
		p.signal(syscall.SIGQUIT) // where it hangs
		<-done
		t.Errorf("%s goes on a minute after SIGTERM:\n%s", p.name, p.tail())
	}
}

// measure notes the most that the process has had resident.
func (p *process) measure() {
	cmd, _ := p.current()
	if cmd == nil {
		return
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		return
	}
	for l := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(l, "VmHWM: %d kB", &kib); n == 1 {
			p.mu.Lock()
			p.peak = max(p.peak, kib<<10)
			p.mu.Unlock()
		}
	}
}

// tail is the last that the process has written.
func (p *process) tail() string {
	text, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text[max(len(text)-20_000, 0):])
}

// ail puts toxics into a link of the process.
func (p *process) ail(t testing.TB, service string, toxics ...toxic) {
	t.Helper()
	p.links[service].ail(t, toxics...)
}

// heal takes the toxics out of all links of the process.
func (p *process) heal() {
	for _, l := range p.links {
		l.heal()
	}
}

// answers asks a path of the process and returns the status, 0 if it does not answer.
func (p *process) answers(method, path, body string) (int, http.Header, string) {
	client := http.Client{Timeout: 30 * time.Second}
	r, err := http.NewRequest(method, p.at()+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err.Error()
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return answer.StatusCode, answer.Header, string(text)
}

// output runs the binary to its end and returns its exit code and what it wrote.
func output(env []string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	cmd := exec.Command(built, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &errs
	if err := cmd.Start(); err != nil {
		return -1, "", err.Error()
	}
	stuck := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) })
	defer stuck.Stop()
	_ = cmd.Wait() // the code tells
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}
