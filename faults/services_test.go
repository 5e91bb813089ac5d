package faults

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow/internal/realtest"
)

// services are a Kafka, a PostgreSQL and an S3 of these tests' own, so that they can be killed and started again.
type services struct {
	dir     string // for all of them
	once    sync.Once
	started bool

	scripts, software         string
	kafkaPort, pgPort, s3Port int

	mu     sync.Mutex
	broker *exec.Cmd
	free   []*link // to Kafka, which no process uses
}

var own services

// links is how many processes can have a link to Kafka of their own at a time: clients are told the address of a broker by the broker, so each has a listener.
const links = 48

// start starts all of them, once. A test that needs them calls it.
func (s *services) start(t *testing.T) {
	t.Helper()
	s.scripts = filepath.Dir(realtest.Service(t, "kafka.sh", "install"))
	for _, script := range []string{"postgres.sh", "s3.sh"} {
		realtest.Service(t, script, "install")
	}
	s.once.Do(func() {
		s.software = cmp.Or(os.Getenv("STACK_SW"), filepath.Join(cmp.Or(os.Getenv("STACK_DIR"), filepath.Join(s.scripts, "run")), "sw"))
		must(t, os.MkdirAll(s.dir, 0o755))
		s.kafkaPort, s.pgPort, s.s3Port = realtest.FreePort(t), realtest.FreePort(t), realtest.FreePort(t)
		s.started = true
		s.script(t, "postgres.sh", "start")
		s.script(t, "s3.sh", "start")
		s.configureKafka(t)
		s.startKafka(t)
	})
	if !s.started {
		t.Fatal("the services did not start")
	}
}

// command is a script of the stack, for these services.
func (s *services) command(script string, args ...string) *exec.Cmd {
	cmd := exec.Command("bash", append([]string{filepath.Join(s.scripts, script)}, args...)...)
	cmd.Env = append(os.Environ(), "STACK_DIR="+s.dir, "STACK_SW="+s.software, fmt.Sprintf("KAFKA_PORT=%d", s.kafkaPort), fmt.Sprintf("PG_PORT=%d", s.pgPort), fmt.Sprintf("S3_PORT=%d", s.s3Port))
	return cmd
}

func (s *services) script(t testing.TB, script string, args ...string) {
	t.Helper()
	if out, err := s.command(script, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", script, args, err, out)
	}
}

// configureKafka writes the broker's settings: a listener for the tests themselves, and one behind each link's proxy, by whose address clients are sent there.
func (s *services) configureKafka(t testing.TB) {
	t.Helper()
	controller := realtest.FreePort(t)
	listeners, advertised, protocols := []string{"DIRECT://" + s.kafka()}, []string{"DIRECT://" + s.kafka()}, []string{"DIRECT:PLAINTEXT", "CONTROLLER:PLAINTEXT"}
	for n := range links {
		upstream := "127.0.0.1:" + strconv.Itoa(realtest.FreePort(t))
		l := newLink(t, upstream)
		s.free = append(s.free, l)
		name := fmt.Sprintf("LINK%d", n)
		listeners, advertised, protocols = append(listeners, name+"://"+upstream), append(advertised, name+"://"+l.addr()), append(protocols, name+":PLAINTEXT")
	}
	at := fmt.Sprintf("CONTROLLER://127.0.0.1:%d", controller)
	text := strings.Join([]string{
		"process.roles=broker,controller", "node.id=1", fmt.Sprintf("controller.quorum.bootstrap.servers=127.0.0.1:%d", controller),
		"listeners=" + strings.Join(append(listeners, at), ","), "advertised.listeners=" + strings.Join(append(advertised, at), ","),
		"listener.security.protocol.map=" + strings.Join(protocols, ","), "controller.listener.names=CONTROLLER", "inter.broker.listener.name=DIRECT",
		"log.dirs=" + filepath.Join(s.dir, "kafka-logs"), "num.network.threads=1", "offsets.topic.num.partitions=4", "offsets.topic.replication.factor=1",
		"transaction.state.log.num.partitions=4", "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", "group.initial.rebalance.delay.ms=0", ""}, "\n")
	must(t, os.WriteFile(s.properties(), []byte(text), 0o644))
	s.script(t, "kafka.sh", "run", "kafka.tools.StorageTool", "format", "--standalone", "-t", "faultsfaultsfaultsAAAA", "-c", s.properties())
}

func (s *services) properties() string { return filepath.Join(s.dir, "kafka.properties") }

// kafka is the broker's address for the tests themselves.
func (s *services) kafka() string { return "127.0.0.1:" + strconv.Itoa(s.kafkaPort) }

// startKafka starts the broker, and waits until it answers.
func (s *services) startKafka(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "kafka.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(t, err)
	defer log.Close()
	cmd := s.command("kafka.sh", "run", "kafka.Kafka", s.properties())
	cmd.Env = append(cmd.Env, "JIT_LEVEL=4")
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	s.mu.Lock()
	s.broker = cmd
	s.mu.Unlock()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.kafka()))
	must(t, err)
	defer cl.Close()
	eventually(t, "Kafka answers", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return cl.Ping(ctx) == nil
	})
}

// stopKafka ends the broker, in an orderly way or not.
func (s *services) stopKafka(how os.Signal) {
	s.mu.Lock()
	cmd := s.broker
	s.broker = nil
	s.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Signal(how) // it may have ended
		_ = cmd.Wait()
	}
}

// crashPostgres ends PostgreSQL at once: it recovers from its log when it is started again.
func (s *services) crashPostgres(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "postgres.pid"))
	must(t, err)
	var pid int
	_, err = fmt.Sscan(string(text), &pid)
	must(t, err)
	must(t, syscall.Kill(pid, syscall.SIGQUIT))
	eventually(t, "PostgreSQL has ended", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || bytes.Contains(stat, []byte(") Z "))
	})
}

// stop ends all of them.
func (s *services) stop() {
	if !s.started {
		return
	}
	s.stopKafka(os.Kill)
	for _, script := range []string{"postgres.sh", "s3.sh"} {
		if out, err := s.command(script, "stop").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s stop: %v\n%s", script, err, out)
		}
	}
}

// link takes a link to Kafka for one process, until the test ends.
func (s *services) link(t testing.TB) *link {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		t.Fatal(errors.New("no link to Kafka is free"))
	}
	l := s.free[0]
	s.free = s.free[1:]
	t.Cleanup(func() {
		l.heal()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.free = append(s.free, l)
	})
	return l
}

func (s *services) s3() string { return "127.0.0.1:" + strconv.Itoa(s.s3Port) }

func (s *services) postgres() string { return "127.0.0.1:" + strconv.Itoa(s.pgPort) }
