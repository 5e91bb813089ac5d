package kafka

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// The ways to log in.
const (
	Plain       = "plain"
	ScramSHA256 = "scram-sha-256"
	ScramSHA512 = "scram-sha-512"
)

// Security says how to reach brokers that are not open to everybody. The zero value is a connection in the clear without a login.
// The files are read again with every connection, so that what they hold can be changed while Pinflow runs.
type Security struct {
	TLS      bool   // the broker's certificate must be valid for the name by which it is reached, always
	CAFile   string // PEM, whom to trust; the system's if empty
	CertFile string // PEM, this client's certificate; none if empty
	KeyFile  string // PEM, its key

	Mechanism    string   // Plain, ScramSHA256 or ScramSHA512; "" for no login
	User         string   // who logs in
	Password     Password // how, unless PasswordFile is set
	PasswordFile string   // holds the password; a line's end behind it does not belong to it
}

// Password is shown nowhere.
type Password string

// String hides the password.
func (Password) String() string { return "…" }

// GoString hides the password.
func (Password) GoString() string { return "…" }

// MarshalText hides the password.
func (Password) MarshalText() ([]byte, error) { return []byte("…"), nil }

// check refuses what makes no sense or is not safe.
func (s Security) check(brokers []string) error {
	switch {
	case !s.TLS && cmp.Or(s.CAFile, s.CertFile, s.KeyFile) != "":
		return errors.New("there are certificates, but TLS is off")
	case (s.CertFile == "") != (s.KeyFile == ""):
		return errors.New("a client's certificate needs its key, and a key its certificate")
	case s.Mechanism == "" && cmp.Or(s.User, string(s.Password), s.PasswordFile) != "":
		return errors.New("there is a user or a password, but nothing that says how to log in")
	case s.Mechanism != "" && s.User == "":
		return errors.New("there is no user to log in")
	case s.Mechanism != "" && s.Password == "" && s.PasswordFile == "":
		return fmt.Errorf("there is no password for the user %q", s.User)
	}
	for _, b := range brokers {
		if err := s.clear(b); err != nil {
			return err
		}
	}
	if s.PasswordFile != "" {
		if _, err := s.password(); err != nil {
			return err
		}
	}
	if s.TLS {
		_, err := s.tls()
		return err
	}
	return nil
}

// clear refuses to send a password in the clear to another machine.
func (s Security) clear(address string) error {
	if s.Mechanism == Plain && !s.TLS && !loopback(address) {
		return fmt.Errorf("sasl=plain without TLS would send the password in the clear to %s", address)
	}
	return nil
}

// password returns the password as it is now.
func (s Security) password() (string, error) {
	if s.PasswordFile == "" {
		return string(s.Password), nil
	}
	text, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	line := strings.TrimRight(string(text), "\r\n")
	if line == "" {
		return "", fmt.Errorf("read the password: %s is empty", s.PasswordFile)
	}
	return line, nil
}

// tls returns how to speak TLS with what the files hold now.
func (s Security) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificates to trust: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the certificates to trust: there is none in %s", s.CAFile)
		}
	}
	if s.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read this client's certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// login returns the client's option to log in, none if there is no login.
func (s Security) login() ([]kgo.Opt, error) {
	withScram := func(context.Context) (scram.Auth, error) {
		password, err := s.password()
		return scram.Auth{User: s.User, Pass: password}, err
	}
	var m sasl.Mechanism
	switch s.Mechanism {
	case "":
		return nil, nil
	case Plain:
		m = plain.Plain(func(context.Context) (plain.Auth, error) {
			password, err := s.password()
			return plain.Auth{User: s.User, Pass: password}, err
		})
	case ScramSHA256:
		m = scram.Sha256(withScram)
	case ScramSHA512:
		m = scram.Sha512(withScram)
	default:
		return nil, fmt.Errorf("there is no way to log in called %q", s.Mechanism)
	}
	return []kgo.Opt{kgo.SASL(m)}, nil
}
