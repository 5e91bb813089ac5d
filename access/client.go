package access

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
)

// Credentials are how a client shows who it is, and knows the server.
type Credentials struct {
	Key         string // sent with each request to the server; "" for none
	Fingerprint string // of the certificate that the server must show, in place of one that others vouch for; "" for the usual check
}

// Client returns an HTTP client for the server at base, a URL: the key is sent there and nowhere else, wherever an answer leads.
// connections is how many it keeps for the next requests.
func (c Credentials) Client(base string, connections int) (*http.Client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = connections, connections
	if c.Fingerprint != "" {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, // the next line verifies
			VerifyConnection: func(s tls.ConnectionState) error {
				if len(s.PeerCertificates) == 0 || fingerprint(s.PeerCertificates[0].Raw) != c.Fingerprint {
					return errors.New("the server shows another certificate than the one that it has told of")
				}
				return nil
			}}
	}
	if u.Scheme == "http" && isLoopbackHost(u.Host) {
		t.Proxy = nil // a key must not leave the machine for one on it
	}
	return &http.Client{Transport: keyed{t, u.Scheme, u.Host, c.Key}}, nil
}

// keyed sends a key to one server.
type keyed struct {
	*http.Transport
	scheme, host string
	key          string
}

// RoundTrip implements http.RoundTripper.
func (t keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.key != "" && r.URL.Scheme == t.scheme && r.URL.Host == t.host {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+t.key)
	}
	return t.Transport.RoundTrip(r)
}

// String hides the key.
func (c Credentials) String() string { return "credentials" }

// GoString hides the key.
func (c Credentials) GoString() string { return "credentials" }
