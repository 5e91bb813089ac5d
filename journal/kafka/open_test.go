package kafka_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/kafka"
)

// TestUnreached: each reason why there is no broker is told in one line, and within the time that is set.
func TestUnreached(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	rude, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer rude.Close()
	go func() {
		for {
			c, err := rude.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			c.Close()
		}
	}()
	closed, err := net.Listen("tcp", "127.9.8.7:0") // where no outgoing connection takes the port once it is closed
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, c := range []struct {
		name, address, want string
		within              time.Duration
	}{
		{"no host", "there-is-none.invalid:9092", "there is no host called there-is-none.invalid", 8 * time.Second},
		{"nobody listens", closed.Addr().String(), "nothing listens there", 8 * time.Second},
		{"no answer", silent.Addr().String(), "no broker has answered within 1s", time.Second},
		{"not Kafka", rude.Addr().String(), "HTTP", 8 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			o := kafka.Options{Brokers: []string{c.address}, OpenTimeout: c.within}
			_, err := kafka.Open(t.Context(), o)
			checkRefusal(t, o, err, pinflow.Unavailable, c.want)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestSecurityIsChecked before anything is sent.
func TestSecurityIsChecked(t *testing.T) {
	here, there := []string{"127.0.0.1:1"}, []string{"127.0.0.1:1", "192.0.2.1:9092"}
	login := kafka.Security{Mechanism: kafka.Plain, User: "me", Password: "s3cr3t"}
	with := func(f func(*kafka.Security)) kafka.Security { s := login; f(&s); return s }
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		brokers  []string
		security kafka.Security
		want     string
	}{
		{"plain in the clear", there, login, "in the clear to 192.0.2.1:9092"},
		{"certificates without TLS", here, kafka.Security{CAFile: empty}, "TLS is off"},
		{"certificate without key", here, kafka.Security{TLS: true, CertFile: empty}, "needs its key"},
		{"no CA in the file", here, kafka.Security{TLS: true, CAFile: empty}, "there is none in"},
		{"no CA file", here, kafka.Security{TLS: true, CAFile: empty + "x"}, "no such file"},
		{"no user", here, with(func(s *kafka.Security) { s.User = "" }), "no user"},
		{"no password", here, with(func(s *kafka.Security) { s.Password = "" }), "no password"},
		{"no mechanism", here, with(func(s *kafka.Security) { s.Mechanism = "" }), "how to log in"},
		{"unknown mechanism", here, with(func(s *kafka.Security) { s.Mechanism = "oauth" }), `"oauth"`},
		{"no password file", here, with(func(s *kafka.Security) { s.PasswordFile = empty + "x" }), "no such file"},
		{"empty password file", here, with(func(s *kafka.Security) { s.PasswordFile = empty }), "is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := kafka.Options{Brokers: c.brokers, Security: c.security}
			_, err := kafka.Open(t.Context(), o)
			checkRefusal(t, o, err, pinflow.Invalid, c.want)
		})
	}
}
