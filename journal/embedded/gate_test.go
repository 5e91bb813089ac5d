package embedded_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/realtest"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/journaltest"
	"github.com/pinflow/pinflow/journal/kafka"
)

const hush = "s3cr3t-öß:$"

// usersFile writes a file of users.
func usersFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	writeUsers(t, path, lines...)
	return path
}

func writeUsers(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestGate lets those in who are known and nobody else, by every way to log in that there is.
func TestGate(t *testing.T) {
	ca := journaltest.NewAuthority(t, "embedded CA")
	cert, key := ca.Issue("localhost", net.IPv4(127, 0, 0, 1))
	users := usersFile(t, "# who may", "", "ann:"+hush, "bob:"+embedded.Hash(hush))
	clear := open(t, embedded.Options{UsersFile: users})
	safe := open(t, embedded.Options{UsersFile: users, CertFile: cert, KeyFile: key})
	login := func(mechanism, user, password string) kafka.Security {
		return kafka.Security{Mechanism: mechanism, User: user, Password: kafka.Password(password)}
	}
	inTLS := func(s kafka.Security) kafka.Security { s.TLS, s.CAFile = true, ca.File; return s }
	for _, c := range []struct {
		name     string
		broker   *embedded.Broker
		security kafka.Security
		want     string // of the error; "" if it works
	}{
		{"scram-256", clear, login(kafka.ScramSHA256, "ann", hush), ""},
		{"scram-512", clear, login(kafka.ScramSHA512, "ann", hush), ""},
		{"scram-512 of a hash", clear, login(kafka.ScramSHA512, "bob", hush), ""},
		{"scram-512 in TLS", safe, inTLS(login(kafka.ScramSHA512, "ann", hush)), ""},
		{"plain in TLS", safe, inTLS(login(kafka.Plain, "ann", hush)), ""},
		{"plain in TLS of a hash", safe, inTLS(login(kafka.Plain, "bob", hush)), ""},

		{"no login", clear, kafka.Security{}, "wants a login"},
		{"no login in TLS", safe, inTLS(kafka.Security{}), "wants a login"},
		{"no TLS", safe, login(kafka.ScramSHA512, "ann", hush), "dd tls=true"},
		{"TLS where there is none", clear, inTLS(login(kafka.ScramSHA512, "ann", hush)), "tls=true"},
		{"plain in the clear", clear, login(kafka.Plain, "ann", hush), "does not know sasl=plain"},
		{"wrong password, plain", safe, inTLS(login(kafka.Plain, "ann", "wrong")), `does not let the user "ann" in`},
		{"wrong password of a hash, plain", safe, inTLS(login(kafka.Plain, "bob", "wrong")), `does not let the user "bob" in`},
		{"wrong password, scram", clear, login(kafka.ScramSHA256, "ann", "wrong"), `does not let the user "ann" in`},
		{"unknown user, plain", safe, inTLS(login(kafka.Plain, "eve", hush)), `does not let the user "eve" in`},
		{"unknown user, scram", clear, login(kafka.ScramSHA512, "eve", hush), `does not let the user "eve" in`},
		{"a hash of the other mechanism", clear, login(kafka.ScramSHA256, "bob", hush), `does not let the user "bob" in`},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{c.broker.Addr()}, Security: c.security})
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || pinflow.KindOf(err) != pinflow.Invalid || strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("%v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			appendAndRead(t, j)
		})
	}
	t.Run("this machine's processes", func(t *testing.T) {
		j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{safe.Addr()}, Dial: safe.Dial})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		appendAndRead(t, j)
	})
}

func appendAndRead(t *testing.T, j *kafka.Journal) {
	t.Helper()
	tp := ensure(t, j, fmt.Sprintf("gate-%d", time.Now().UnixNano()), 1)
	if r := j.Append(t.Context(), []pinflow.Draft{{Topic: tp.Topic, Value: []byte("x")}}); r[0].Err != nil {
		t.Fatal(r[0].Err)
	}
	readAll(t, j, tp, 0, 1)
}

// TestGateKeepsOut whoever does not follow the protocol, before it has cost anything.
func TestGateKeepsOut(t *testing.T) {
	b := open(t, embedded.Options{UsersFile: usersFile(t, "ann:"+hush)})
	request := func(req kmsg.Request) []byte {
		body := binary.BigEndian.AppendUint16(nil, uint16(req.Key()))
		body = binary.BigEndian.AppendUint16(body, uint16(req.GetVersion()))
		body = append(body, 0, 0, 0, 7, 0xff, 0xff) // its id, and no name
		if req.IsFlexible() {
			body = append(body, 0)
		}
		body = req.AppendTo(body)
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	}
	plain := kmsg.NewPtrSASLHandshakeRequest()
	plain.Version, plain.Mechanism = 1, "PLAIN"
	nobody := kmsg.NewPtrSASLAuthenticateRequest()
	nobody.Version, nobody.SASLAuthBytes = 1, []byte("\x00nobody\x00")
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Version = 9
	produce := kmsg.NewPtrProduceRequest()
	produce.Version = 3
	for name, says := range map[string][]byte{
		"a request":             request(metadata),
		"an append":             request(produce),
		"no request":            []byte("GET / HTTP/1.1\r\n\r\n"),
		"a large one":           {0, 100, 0, 0},
		"a short one":           {0, 0, 0, 1, 0},
		"a key that is none":    {0, 0, 0, 8, 0x7f, 0xff, 0, 0, 0, 0, 0, 1},
		"a login out of order":  request(nobody),
		"nobody, and no secret": append(request(plain), request(nobody)...),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(8 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write(says); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write(request(metadata)); err != nil {
				return // it is closed already
			}
			answer, err := io.ReadAll(c)
			if errors.Is(err, os.ErrDeadlineExceeded) || bytes.Contains(answer, []byte("pinflow")) { // the cluster's name
				t.Errorf("it was answered %q, and then %v", answer, err)
			}
		})
	}
}

// TestUsersChange: who is taken out of the file does not get in any more, who is added does, and a file that cannot be read lets nobody in.
func TestUsersChange(t *testing.T) {
	users := usersFile(t, "ann:one")
	b := open(t, embedded.Options{UsersFile: users})
	enters := func(user, password string) bool {
		t.Helper()
		j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{b.Addr()}, Security: kafka.Security{Mechanism: kafka.ScramSHA512, User: user, Password: kafka.Password(password)}})
		if err == nil {
			j.Close()
		}
		return err == nil
	}
	if !enters("ann", "one") || enters("bob", "two") {
		t.Error("ann alone should get in")
	}
	writeUsers(t, users, "ann:three", "bob:two")
	if enters("ann", "one") || !enters("ann", "three") || !enters("bob", "two") {
		t.Error("ann should get in with her new password, and bob")
	}
	writeUsers(t, users, "this is none")
	if enters("ann", "three") {
		t.Error("nobody should get in by a file that cannot be read")
	}
	writeUsers(t, users, "bob:two")
	if enters("ann", "three") || !enters("bob", "two") {
		t.Error("bob alone should get in")
	}
}

// TestListenForOthers refuses what would let strangers in, or tell clients to go where nobody is.
func TestListenForOthers(t *testing.T) {
	ca := journaltest.NewAuthority(t, "embedded CA")
	cert, key := ca.Issue("localhost")
	users := usersFile(t, "ann:"+hush)
	for _, c := range []struct {
		name string
		o    embedded.Options
		want string
	}{
		{"nobody is asked", embedded.Options{Listen: "192.0.2.1:0"}, "nobody would be asked"},
		{"everywhere, nobody is asked", embedded.Options{Listen: "0.0.0.0:0", CertFile: cert, KeyFile: key}, "nobody would be asked"},
		{"everywhere", embedded.Options{Listen: ":0", UsersFile: users}, "every address"},
		{"a certificate alone", embedded.Options{Listen: "127.0.0.1:0", CertFile: cert, KeyFile: key}, "nobody who could log in"},
		{"no key", embedded.Options{Listen: "127.0.0.1:0", UsersFile: users, CertFile: cert}, "needs its key"},
		{"another's key", embedded.Options{Listen: "127.0.0.1:0", UsersFile: users, CertFile: cert, KeyFile: ca.File}, "private key"},
		{"no file of users", embedded.Options{Listen: "127.0.0.1:0", UsersFile: users + "x"}, "no such file"},
		{"no users", embedded.Options{Listen: "127.0.0.1:0", UsersFile: usersFile(t, "# none")}, "no user"},
		{"a line that is none", embedded.Options{Listen: "127.0.0.1:0", UsersFile: usersFile(t, "ann:x", hush[:6])}, "line 2"},
		{"a hash that is none", embedded.Options{Listen: "127.0.0.1:0", UsersFile: usersFile(t, "ann:SCRAM-SHA-512$x")}, "line 1: that is no hash"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Dir = t.TempDir()
			b, err := embedded.Open(t.Context(), c.o)
			if err == nil {
				b.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || pinflow.KindOf(err) != pinflow.Invalid || pinflow.HintOf(err) == "" || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	b := open(t, embedded.Options{Listen: "127.0.0.1:0", UsersFile: users, Advertise: "kafka.example"})
	if host, port, err := net.SplitHostPort(b.Addr()); err != nil || host != "kafka.example" || port == "0" || b.Local() == b.Addr() {
		t.Errorf("clients are told %s", b.Addr())
	}
}

// TestKafkaToolsLogIn with TLS, as Kafka's own clients do.
func TestKafkaToolsLogIn(t *testing.T) {
	script := realtest.Service(t, "kafka.sh", "install")
	ca := journaltest.NewAuthority(t, "embedded CA")
	cert, key := ca.Issue("localhost", net.IPv4(127, 0, 0, 1))
	b := open(t, embedded.Options{UsersFile: usersFile(t, "ann:hush"), CertFile: cert, KeyFile: key})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for mechanism, module := range map[string]string{"SCRAM-SHA-512": "scram.Scram", "PLAIN": "plain.Plain"} {
		config := filepath.Join(t.TempDir(), "client.properties")
		if err := os.WriteFile(config, []byte(strings.Join([]string{"security.protocol=SASL_SSL", "sasl.mechanism=" + mechanism,
			"sasl.jaas.config=org.apache.kafka.common.security." + module + `LoginModule required username="ann" password="hush";`,
			"ssl.truststore.type=PEM", "ssl.truststore.location=" + ca.File}, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		topic := "as-" + strings.ToLower(mechanism)
		out, err := exec.CommandContext(ctx, "bash", script, "run", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", b.Addr(), "--command-config", config,
			"--create", "--topic", topic).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Created topic "+topic) {
			t.Errorf("%s: %v\n%s", mechanism, err, out)
		}
	}
}
