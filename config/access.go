package config

import (
	"errors"
	"net"
	"strings"

	"github.com/alecthomas/kong"
)

// Access is who may come to where a process listens for HTTP.
type Access struct {
	KeysFile   string `help:"The file of the keys that pinflow key create makes. By default keys.json in --data. Whoever has none is refused if this is given, if the file is there, or if HTTP listens beyond loopback or has a --public-host. PINFLOW_KEYS in the environment may have the file's content instead." env:"PINFLOW_KEYS_FILE" placeholder:"FILE" example:"/etc/pinflow/keys.json" group:"Access"`
	TLSCert    string `name:"tls-cert" help:"The certificate chain for HTTP, in PEM. It is read anew when it changes." env:"PINFLOW_TLS_CERT" placeholder:"FILE" example:"/etc/pinflow/tls.crt" group:"Access"`
	TLSKey     string `name:"tls-key" help:"The certificate's key, in PEM." env:"PINFLOW_TLS_KEY" placeholder:"FILE" example:"/etc/pinflow/tls.key" group:"Access"`
	PlainHTTP  bool   `name:"plain-http" help:"Listen beyond loopback without TLS, because something in front does that." env:"PINFLOW_PLAIN_HTTP" placeholder:"BOOL" example:"false" group:"Access"`
	PublicHost Hosts  `help:"A name under which clients know this server, besides localhost and IP addresses; may be given several times, or several with commas between them. Requests for other names are refused." env:"PINFLOW_PUBLIC_HOST" placeholder:"NAME" example:"pins.example.com" group:"Access"`
}

// Hosts is names with commas between them.
type Hosts string

// Decode implements kong.MapperValue: each use of the flag adds to those before.
func (h *Hosts) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("name", &text); err != nil {
		return err
	}
	for _, name := range strings.Split(text, ",") {
		if name = strings.TrimSpace(name); name == "" || strings.ContainsAny(name, "/*@ ") {
			return errors.New("a name is written pins.example.com, or with a port pins.example.com:8443")
		}
		*h = Hosts(strings.TrimPrefix(string(*h)+","+name, ","))
	}
	return nil
}

// Names returns the names one by one.
func (h Hosts) Names() []string {
	if h == "" {
		return nil
	}
	return strings.Split(string(h), ",")
}

// IsPublic tells whether HTTP listens beyond loopback.
func (l *Listen) IsPublic() bool { return isPublic(l.HTTP) }

func isPublic(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// httpFaults are those of where HTTP listens, and of how.
func (l *Listen) httpFaults() []error {
	var faults []error
	if _, _, err := splitAddress(l.HTTP); err != nil {
		return append(faults, fault("http", l.HTTP, err.Error(), "Write host:port, such as 127.0.0.1:8000."))
	}
	hasTLS := l.TLSCert != "" || l.TLSKey != ""
	switch {
	case hasTLS && l.TLSKey == "":
		faults = append(faults, fault("tls-cert", l.TLSCert, "the certificate's key is missing", "Give it with --tls-key."))
	case hasTLS && l.TLSCert == "":
		faults = append(faults, fault("tls-key", l.TLSKey, "the certificate is missing", "Give it with --tls-cert."))
	case hasTLS && l.PlainHTTP:
		faults = append(faults, fault("plain-http", "true", "there is a certificate too", "Leave out either --plain-http or --tls-cert and --tls-key."))
	case l.IsPublic() && !hasTLS && !l.PlainHTTP:
		faults = append(faults, fault("http", l.HTTP, "keys and records would travel there for everybody to read",
			"Give --tls-cert and --tls-key; or --plain-http, if a proxy in front of it does TLS; or listen on 127.0.0.1:8000."))
	}
	return faults
}
