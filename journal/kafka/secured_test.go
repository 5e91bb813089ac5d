package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/realtest"
	"github.com/pinflow/pinflow/journal/journaltest"
	"github.com/pinflow/pinflow/journal/kafka"
)

// secured is a Kafka of this test's own that asks who is there.
type secured struct {
	open, tls, mutual, sasl, saslTLS string // listeners: who comes by the first or without a login by tls may do all
	ca                               *journaltest.Authority
}

const hush = "s3cr3t-öß"

// startSecured starts it.
func startSecured(t *testing.T) secured {
	script := realtest.Service(t, "kafka.sh", "install")
	dir := t.TempDir()
	ports := make([]string, 6)
	for i := range ports {
		ports[i] = fmt.Sprintf("127.0.0.1:%d", realtest.FreePort(t))
	}
	s := secured{open: ports[0], tls: ports[1], mutual: ports[2], sasl: ports[3], saslTLS: ports[4], ca: journaltest.NewAuthority(t, "kafka CA")}
	keyStore, _ := s.ca.Issue("kafka.example", net.IPv4(127, 0, 0, 1))
	listeners := fmt.Sprintf("OPEN://%s,TLS://%s,MUTUAL://%s,LOGIN://%s,SAFE://%s", s.open, s.tls, s.mutual, s.sasl, s.saslTLS)
	properties := []string{
		"process.roles=broker,controller", "node.id=1", "controller.quorum.bootstrap.servers=" + ports[5],
		"listeners=" + listeners + ",CONTROLLER://" + ports[5], "advertised.listeners=" + listeners + ",CONTROLLER://" + ports[5],
		"listener.security.protocol.map=OPEN:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MUTUAL:SSL,LOGIN:SASL_PLAINTEXT,SAFE:SASL_SSL",
		"controller.listener.names=CONTROLLER", "inter.broker.listener.name=OPEN", "log.dirs=" + filepath.Join(dir, "logs"),
		"offsets.topic.num.partitions=1", "offsets.topic.replication.factor=1", "transaction.state.log.num.partitions=1", "transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1", "group.initial.rebalance.delay.ms=0",
		"ssl.keystore.type=PEM", "ssl.keystore.location=" + keyStore, "ssl.truststore.type=PEM", "ssl.truststore.location=" + s.ca.File,
		"listener.name.mutual.ssl.client.auth=required",
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512", "listener.name.login.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256",
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:ANONYMOUS;User:CN=boss;User:boss",
	}
	latin := strings.ReplaceAll(strings.Trim(strconv.QuoteToASCII(hush), `"`), `\x`, `\u00`)
	for _, l := range []string{"login", "safe"} {
		properties = append(properties, `listener.name.`+l+`.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_boss="`+latin+`" user_clerk="`+latin+`";`)
		for _, m := range []string{"scram-sha-256", "scram-sha-512"} {
			properties = append(properties, `listener.name.`+l+`.`+m+`.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;`)
		}
	}
	file := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(file, []byte(strings.Join(properties, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	format := []string{script, "run", "kafka.tools.StorageTool", "format", "--standalone", "-t", "stackstackstackstackAA", "-c", file}
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		for _, user := range []string{"boss", "clerk"} {
			format = append(format, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, user, hush))
		}
	}
	if out, err := exec.CommandContext(t.Context(), "bash", format...).CombinedOutput(); err != nil {
		t.Fatalf("format: %v\n%s", err, out)
	}
	cmd := exec.Command("bash", script, "run", "kafka.Kafka", file)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	starting, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
		cancel()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Log(out.String())
		}
	})
	s.awaitReady(starting, t)
	return s
}

// awaitReady waits until the broker answers, or ctx ends.
func (s secured) awaitReady(ctx context.Context, t *testing.T) {
	t.Helper()
	pace := time.NewTicker(200 * time.Millisecond)
	defer pace.Stop()
	for {
		j, err := kafka.Open(ctx, kafka.Options{Brokers: []string{s.open}})
		if err == nil {
			j.Close()
			return
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

// TestSecured logs in to Kafka in every way that there is, and is told in one line what is wrong with all others.
func TestSecured(t *testing.T) {
	s := startSecured(t)
	stranger := journaltest.NewAuthority(t, "stranger")
	cert, key := s.ca.Issue("boss")
	strangerCert, strangerKey := stranger.Issue("boss")
	user := func(mechanism, user, password string) kafka.Security {
		return kafka.Security{Mechanism: mechanism, User: user, Password: kafka.Password(password)}
	}
	safe := func(o kafka.Security) kafka.Security { o.TLS, o.CAFile = true, s.ca.File; return o }
	for _, c := range []struct {
		name, address string
		security      kafka.Security
		kind          pinflow.Kind
		want          string // of the error; "" if it works
	}{
		{"open", s.open, kafka.Security{}, 0, ""},
		{"TLS", s.tls, kafka.Security{TLS: true, CAFile: s.ca.File}, 0, ""},
		{"client certificate", s.mutual, kafka.Security{TLS: true, CAFile: s.ca.File, CertFile: cert, KeyFile: key}, 0, ""},
		{"plain", s.sasl, user(kafka.Plain, "boss", hush), 0, ""},
		{"plain in TLS", s.saslTLS, safe(user(kafka.Plain, "boss", hush)), 0, ""},
		{"scram-256", s.sasl, user(kafka.ScramSHA256, "boss", hush), 0, ""},
		{"scram-512 in TLS", s.saslTLS, safe(user(kafka.ScramSHA512, "boss", hush)), 0, ""},

		{"TLS where there is none", s.open, safe(kafka.Security{}), pinflow.Invalid, "tls=true"},
		{"none where there is TLS", s.tls, kafka.Security{}, pinflow.Invalid, "Add tls=true"},
		{"none where there are TLS and a login", s.saslTLS, user(kafka.ScramSHA256, "boss", hush), pinflow.Invalid, "Add tls=true"},
		{"unknown CA", s.tls, kafka.Security{TLS: true}, pinflow.Invalid, "ca=/path"},
		{"another CA", s.tls, kafka.Security{TLS: true, CAFile: stranger.File}, pinflow.Invalid, "unknown authority"},
		{"another name", strings.Replace(s.tls, "127.0.0.1", "localhost", 1), kafka.Security{TLS: true, CAFile: s.ca.File}, pinflow.Invalid, "not localhost"},
		{"no client certificate", s.mutual, safe(kafka.Security{}), pinflow.Invalid, "cert=/path"},
		{"stranger's certificate", s.mutual, kafka.Security{TLS: true, CAFile: s.ca.File, CertFile: strangerCert, KeyFile: strangerKey}, pinflow.Invalid, "cert=/path"},
		{"wrong password, plain", s.sasl, user(kafka.Plain, "boss", "wrong"), pinflow.Invalid, `does not let the user "boss" in`},
		{"wrong password, scram", s.saslTLS, safe(user(kafka.ScramSHA512, "boss", "wrong")), pinflow.Invalid, `does not let the user "boss" in`},
		{"unknown user", s.sasl, user(kafka.ScramSHA256, "nobody", hush), pinflow.Invalid, `does not let the user "nobody" in`},
		{"unknown mechanism", s.sasl, user(kafka.ScramSHA512, "boss", hush), pinflow.Invalid, "does not know sasl=scram-sha-512"},
		{"no login where there is one", s.sasl, kafka.Security{}, pinflow.Invalid, "wants a login"},
		{"login where there is none", s.open, user(kafka.ScramSHA256, "boss", hush), pinflow.Invalid, "asks nobody to log in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := kafka.Options{Brokers: []string{c.address}, Security: c.security}
			j, err := kafka.Open(t.Context(), o)
			if err == nil {
				defer j.Close()
			}
			if c.want != "" {
				checkRefusal(t, o, err, c.kind, c.want)
			} else if err != nil {
				t.Error(err)
			} else {
				works(t, j)
			}
		})
	}
	t.Run("rights", func(t *testing.T) { testRights(t, s) })
}

// checkRefusal checks that err is one clear line of the kind, with all that is wanted in it and no secret.
func checkRefusal(t *testing.T, o kafka.Options, err error, kind pinflow.Kind, want ...string) {
	t.Helper()
	var e *pinflow.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Hint == "" {
		t.Errorf("%v (%s), want an error of kind %s that says what to do", err, pinflow.KindOf(err), kind)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v\nwant %q in it", err, w)
		}
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v", o.Security, o.Security)} {
		if strings.Contains(text, "s3cr3t") || strings.Contains(text, "wrong\"") || strings.Contains(text, "\n") {
			t.Errorf("it shows a secret, or is more than a line: %s", text)
		}
	}
}

// works appends and reads.
func works(t *testing.T, j *kafka.Journal) {
	t.Helper()
	topic := fmt.Sprintf("works-%d", time.Now().UnixNano())
	if _, err := j.EnsureTopic(t.Context(), topic, 1); err != nil {
		t.Fatal(err)
	}
	if r := j.Append(t.Context(), []pinflow.Draft{{Topic: topic, Value: []byte("x")}}); r[0].Err != nil {
		t.Fatal(r[0].Err)
	}
	if records, err := j.Read(t.Context(), pinflow.TopicPartition{Topic: topic}, 0, 1); err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
}
