package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// JournalPlace is what a journal's URL says. The password is never part of it.
type JournalPlace struct {
	Embedded bool     // the broker in this process; all else is zero
	Brokers  []string // host:port of each

	TLS      bool
	CAFile   string // whom to trust, PEM; the system's if empty
	CertFile string // this client's certificate, PEM; none if empty
	KeyFile  string // its key
	SASL     string // plain, scram-sha-256 or scram-sha-512; "" if there is no user
	User     string
}

const journalHint = "Write embedded: or kafka://host:port,host:port, and for brokers that are not open to everybody kafka://user@host:port?tls=true&sasl=scram-sha-512, with ca=/path for a CA of your own."

var errJournalPassword = errors.New("a password does not belong there: everybody sees it. Put it into the environment, as PINFLOW_KAFKA_PASSWORD, or into a file, with --kafka-password-file")

// saslMechanisms are the ways to log in; the first is taken if there is a user and no sasl=….
var saslMechanisms = [...]string{"scram-sha-512", "scram-sha-256", "plain"}

// ParseJournalURL reads a journal's URL: embedded, or the brokers, each host:port (9092 if there is none), the user, and as query tls=true|false,
// ca, cert and key (paths; TLS is on if there is one), and sasl. Anything else is an Invalid error.
func ParseJournalURL(text string) (JournalPlace, error) {
	if text == "embedded:" {
		return JournalPlace{Embedded: true}, nil
	}
	p, err := parseKafka(text)
	if err != nil {
		return JournalPlace{}, badURL("journal", text, err, journalHint)
	}
	return p, nil
}

func parseKafka(text string) (p JournalPlace, err error) {
	rest, isKafka := strings.CutPrefix(text, "kafka://")
	if !isKafka {
		return p, errors.New("it is neither embedded: nor kafka://")
	}
	rest, query, _ := strings.Cut(rest, "?")
	list := rest
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		list = rest[at+1:]
		if p.User, err = parseUser(rest[:at]); err != nil {
			return p, err
		}
	}
	if strings.ContainsAny(list, "/#") {
		return p, errors.New("there is more than brokers in it")
	}
	for _, b := range strings.Split(list, ",") {
		broker, err := parseBroker(b)
		if err != nil {
			return p, err
		}
		p.Brokers = append(p.Brokers, broker)
	}
	return p, p.parseQuery(query)
}

func parseUser(text string) (string, error) {
	if strings.Contains(text, ":") {
		return "", errJournalPassword
	}
	user, err := url.PathUnescape(text)
	if err != nil || user == "" {
		return "", errors.New("there is no user before the @ that can be read")
	}
	return user, nil
}

// parseQuery reads what stands behind the question mark.
func (p *JournalPlace) parseQuery(text string) error {
	query, err := url.ParseQuery(text)
	if err != nil {
		return errors.New("what is behind the question mark cannot be read")
	}
	tls := ""
	known := map[string]*string{"tls": &tls, "ca": &p.CAFile, "cert": &p.CertFile, "key": &p.KeyFile, "sasl": &p.SASL}
	for name, values := range query {
		switch to := known[name]; {
		case strings.Contains(strings.ToLower(name), "pass"):
			return errJournalPassword
		case to == nil:
			return fmt.Errorf("the parameter %q is not known; those that are: tls, ca, cert, key, sasl", name)
		case len(values) != 1 || values[0] == "":
			return fmt.Errorf("the parameter %q has not one value", name)
		default:
			*to = values[0]
		}
	}
	return p.agree(tls)
}

// agree takes tls=…, and refuses what contradicts itself.
func (p *JournalPlace) agree(tls string) error {
	files := p.CAFile != "" || p.CertFile != "" || p.KeyFile != ""
	p.TLS = tls == "true" || tls == "" && files
	switch {
	case tls != "" && tls != "true" && tls != "false":
		return fmt.Errorf("tls=%s is neither true nor false", tls)
	case files && !p.TLS:
		return errors.New("there are certificates, and tls=false")
	case (p.CertFile == "") != (p.KeyFile == ""):
		return errors.New("cert and key belong together, and one of them is missing")
	case p.User == "" && p.SASL != "":
		return errors.New("there is sasl=… and no user: write it before the hosts, as in kafka://user@host")
	case p.User != "" && p.SASL == "":
		p.SASL = saslMechanisms[0]
	case p.SASL != "" && !slices.Contains(saslMechanisms[:], p.SASL):
		return fmt.Errorf("sasl=%s is none of %s", p.SASL, strings.Join(saslMechanisms[:], ", "))
	}
	return nil
}
