package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow/internal/datalock"
	"github.com/pinflow/pinflow/internal/realtest"
)

// built is where the binary goes; build makes it when the first test asks.
var (
	built string
	build = sync.OnceValues(func() ([]byte, error) {
		return exec.Command("go", "build", "-o", built, "../cmd/pinflow").CombinedOutput()
	})
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pinflow-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built = filepath.Join(dir, "pinflow")
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// process is a running pinflow up.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	out     bytes.Buffer // read after done
	done    chan error
	data    string
	http    string
	brokers string // where its journal's Kafka clients connect
	shared  bool   // that is a server which others use too
	topic   string
}

const topicParts = 3 // partitions of the topic

// journals are where the records may go, by name: brokers of a real Kafka, or "" for the embedded one.
func journals(t *testing.T) map[string]string {
	all := map[string]string{"embedded": ""}
	if os.Getenv("PINFLOW_TEST_STACK") != "" || os.Getenv("CI") == "true" {
		realtest.Service(t, "kafka.sh", "start")
		port := os.Getenv("KAFKA_PORT")
		if port == "" {
			port = "19092"
		}
		all["kafka"] = net.JoinHostPort("127.0.0.1", port)
	}
	return all
}

// eachJournal runs a test against a Pinflow on each journal, with a topic of its own.
func eachJournal(t *testing.T, test func(t *testing.T, p *process)) {
	for name, brokers := range journals(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, up(t, brokers))
		})
	}
}

// up starts Pinflow, with the shipped pipeline but for the topic, which has a name and partitions of its own.
func up(t *testing.T, brokers string, flags ...string) *process {
	t.Helper()
	if out, err := build(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	dir := t.TempDir()
	p := &process{t: t, done: make(chan error, 1), data: filepath.Join(dir, "data"), brokers: brokers, shared: brokers != "", topic: fmt.Sprintf("clients-%d", time.Now().UnixNano())}
	pipeline := filepath.Join(dir, "pipeline")
	p.pinflow("init", pipeline)
	p.edit(filepath.Join(pipeline, "pipeline.yaml"), "topic: PinterestPipelineTopic", "topic: "+p.topic)
	p.edit(filepath.Join(pipeline, "pipeline.yaml"), "partitions: 1", fmt.Sprintf("partitions: %d", topicParts))
	args := []string{"up", "--data", p.data, "--http", "127.0.0.1:0", "--kafka-listen", "127.0.0.1:0", "--pipeline", pipeline,
		"--lake-flush", "200ms", "--log-level", "warn"}
	args = append(args, flags...)
	if p.shared {
		args = append(args, "--journal", "kafka://"+brokers)
		t.Cleanup(func() { deleteTopics(t, brokers, p.topic) })
	}
	p.cmd = exec.Command(built, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("pinflow %s:\n%s", strings.Join(args, " "), p.out.String())
		}
	})
	p.eventually("Pinflow is ready", func() bool {
		holder, err := datalock.Holder(p.data)
		if err != nil || holder == nil || holder.HTTP == "" {
			return false
		}
		p.http = holder.HTTP
		if !p.shared {
			p.brokers = holder.Kafka
		}
		return true
	})
	return p
}

// stop is Ctrl-C; what was taken is in lake and store afterwards. It may be called again.
func (p *process) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGINT) // it may have ended
	select {
	case err := <-p.done:
		p.done <- nil
		if err != nil {
			p.t.Errorf("pinflow ended with %v", err)
		}
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		p.t.Error("pinflow goes on a minute after Ctrl-C")
		p.done <- <-p.done
	}
}

// edit replaces a text that stands once in a file.
func (p *process) edit(file, from, to string) {
	p.t.Helper()
	text, err := os.ReadFile(file)
	if err == nil && bytes.Count(text, []byte(from)) != 1 {
		err = fmt.Errorf("%s does not stand in %s once", from, file)
	}
	if err == nil {
		err = os.WriteFile(file, bytes.Replace(text, []byte(from), []byte(to), 1), 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// eventually waits for what other processes bring about. How long is no claim about speed: it ends a test that waits in vain.
func (p *process) eventually(what string, holds func() bool) {
	p.t.Helper()
	tick, deadline := time.NewTicker(20*time.Millisecond), time.NewTimer(2*time.Minute)
	defer tick.Stop()
	defer deadline.Stop()
	for !holds() {
		select {
		case err := <-p.done:
			p.done <- nil
			p.t.Fatalf("pinflow ended before %s: %v", what, err)
		case <-tick.C:
		case <-deadline.C:
			p.t.Fatalf("after two minutes it is still not so that %s", what)
		}
	}
}

// pinflow runs another command of the binary and returns what it prints.
func (p *process) pinflow(args ...string) string {
	p.t.Helper()
	out, _ := output(p.t, exec.CommandContext(p.t.Context(), built, args...))
	return out
}

// rows are what a command that prints rows prints.
func (p *process) rows(args ...string) []map[string]any {
	p.t.Helper()
	var rows []map[string]any
	decode(p.t, p.pinflow(append(args, "--data", p.data, "--output", "json")...), &rows)
	return rows
}

// counted waits until all that is in the journal is counted.
func (p *process) counted(want int) {
	p.t.Helper()
	p.eventually(fmt.Sprintf("%d posts are counted", want), func() bool {
		answer, err := http.Get(p.http + "/api/metrics/category_popularity")
		if err != nil {
			p.t.Fatal(err)
		}
		defer answer.Body.Close()
		var metric struct {
			Rows []struct {
				Posts int `json:"number_of_records"`
			}
		}
		if err := json.NewDecoder(answer.Body).Decode(&metric); err != nil {
			p.t.Fatal(err)
		}
		sum := 0
		for _, r := range metric.Rows {
			sum += r.Posts
		}
		if sum > want {
			p.t.Fatalf("%d posts are counted, %d were sent", sum, want)
		}
		return sum == want
	})
}

// output runs a command that must succeed within three minutes. It returns what it prints, and what it complains about.
func output(t *testing.T, cmd *exec.Cmd) (stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	cmd.WaitDelay = time.Second
	kill := time.AfterFunc(3*time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out.String(), complaints.String())
	}
	return out.String(), complaints.String()
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// deleteTopics removes what a test has left on a server that others use too.
func deleteTopics(t *testing.T, brokers string, topics ...string) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).DeleteTopics(context.WithoutCancel(t.Context()), topics...); err != nil {
		t.Error(err)
	}
}
