package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
)

const (
	opOpen       = "open journal"
	securityHint = "Write kafka://user@host:port?tls=true&sasl=scram-sha-512 with ca=/path for a CA of your own, and the password into PINFLOW_KAFKA_PASSWORD or the file of --kafka-password-file."
)

// unreached says why no broker could be used, in the words of one who runs Pinflow.
func unreached(o Options, err error) error {
	kind, why, hint := diagnose(o, err)
	return &pinflow.Error{Op: opOpen, On: brokers(o), Kind: kind, Err: &cause{why, err}, Hint: hint}
}

// cause is an error in other words.
type cause struct {
	text string
	err  error
}

func (c *cause) Error() string { return c.text }

func (c *cause) Unwrap() error { return c.err }

func diagnose(o Options, err error) (kind pinflow.Kind, why, hint string) {
	if kind, why, hint := diagnoseNetwork(err); why != "" {
		return kind, why, hint
	}
	if why, hint := diagnoseTLS(o, err); why != "" {
		return pinflow.Invalid, why, hint
	}
	if why, hint := diagnoseLogin(o, err); why != "" {
		return pinflow.Invalid, why, hint
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return pinflow.Unavailable, fmt.Sprintf("no broker has answered within %s", o.OpenTimeout), "Is a Kafka broker listening there, and does a firewall let this machine reach it?"
	}
	return pinflow.Unavailable, err.Error(), "Is a Kafka broker listening there?"
}

func diagnoseNetwork(err error) (kind pinflow.Kind, why, hint string) {
	var dns *net.DNSError
	var ne net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return pinflow.Unavailable, fmt.Sprintf("there is no host called %s", dns.Name), "Look at the brokers in --journal, and at this machine's name servers."
	case errors.Is(err, syscall.ECONNREFUSED):
		return pinflow.Unavailable, "nothing listens there (connection refused)", "Start Kafka, or look at host and port in --journal."
	case errors.As(err, &ne) && ne.Timeout() && !errors.Is(err, context.DeadlineExceeded):
		return pinflow.Unavailable, "the host does not answer", "Look at host and port in --journal; a firewall may keep this machine from it."
	}
	return 0, "", ""
}

// diagnoseTLS tells of certificates, and of one side that speaks TLS while the other does not.
func diagnoseTLS(o Options, err error) (why, hint string) {
	const trust = "Give the CA's certificate as ca=/path in --journal; the name in --journal must be one for which the broker's certificate is made."
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var bad x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	var alert tls.AlertError
	var first *kgo.ErrFirstReadEOF
	switch {
	case errors.As(err, &name), errors.As(err, &unknown), errors.As(err, &bad), errors.As(err, &verify):
		return "the broker's certificate is refused: " + strings.TrimPrefix(last(err), "tls: failed to verify certificate: "), trust
	case errors.As(err, &header):
		return "the broker does not speak TLS there", "Take tls=true out of --journal, or use the port on which the broker does."
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls: "):
		return "the broker has refused TLS with this client: " + last(err), "It may want a client's certificate that it trusts: give cert=/path and key=/path in --journal."
	case strings.Contains(err.Error(), "tls alert record"):
		return "the broker speaks TLS there, and TLS is off", "Add tls=true to --journal."
	case errors.As(err, &first) && o.Security.TLS && !strings.Contains(first.Error(), "SASL"), o.Security.TLS && errors.Is(err, syscall.ECONNRESET):
		return "the broker has closed the connection at the first word of TLS", "Take tls=true out of --journal if the broker does not speak TLS on that port."
	case errors.As(err, &first) && !strings.Contains(first.Error(), "SASL"), errors.Is(err, syscall.ECONNRESET):
		return "the broker has closed the connection at once", "It may speak TLS there: add tls=true to --journal. Or it is no Kafka broker."
	}
	return "", ""
}

func diagnoseLogin(o Options, err error) (why, hint string) {
	const who = "Give user and way to log in, as in kafka://user@host:port?tls=true&sasl=scram-sha-512, and the password in PINFLOW_KAFKA_PASSWORD."
	var first *kgo.ErrFirstReadEOF
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed), o.Security.Mechanism != "" && (errors.As(err, &first) || errors.Is(err, io.EOF)):
		return fmt.Sprintf("the broker does not let the user %q in: wrong user or password", o.Security.User),
			"Look at the user in --journal, the password in PINFLOW_KAFKA_PASSWORD, and whether the broker knows the user for sasl=" + o.Security.Mechanism + "."
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "the broker does not know sasl=" + o.Security.Mechanism, "Choose another: plain, scram-sha-256 or scram-sha-512."
	case errors.Is(err, kerr.IllegalSaslState) && o.Security.Mechanism != "":
		return "the broker asks nobody to log in there", "Take the user and sasl=… out of --journal, or use the port where users log in."
	case errors.Is(err, kerr.IllegalSaslState), errors.As(err, &first):
		return "the broker wants a login", who
	}
	return "", ""
}

// last is what the innermost error says.
func last(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
