package access

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// isOurs tells whether this server goes by the host that a request is for. If it did not look, a page of another site could have its own name lead
// here (DNS rebinding), and then read every answer. An IP address can't be led elsewhere, but on loopback there is no need for others.
func (m *Mux) isOurs(host string) bool {
	name := nameOf(host)
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Unmap().IsLoopback() || m.Public || m.isNamed(host)
	}
	return strings.EqualFold(name, "localhost") || m.isNamed(host)
}

// isNamed tells whether the host is among Hosts. One that is given with its port is meant with that alone.
func (m *Mux) isNamed(host string) bool {
	for _, h := range m.Hosts {
		if strings.EqualFold(h, host) || strings.EqualFold(h, nameOf(host)) {
			return true
		}
	}
	return false
}

// isForeign tells whether a browser sent the request for a page of another origin than this server's. A person who follows a link from there is
// no such page, and it does not see the answer.
func (m *Mux) isForeign(r *http.Request) bool {
	site, mode := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Sec-Fetch-Mode")
	elsewhere := site != "" && site != "same-origin" && site != "none"
	origin := r.Header.Get("Origin")
	switch {
	case origin == "":
		return elsewhere && (r.Method != http.MethodGet && r.Method != http.MethodHead || mode != "" && mode != "navigate")
	case origin == "null": // a browser hides a page's own origin for the sake of its referrer policy, but tells that it is the same
		return site != "same-origin"
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return true
	}
	// A proxy may have changed the host on the way; the names that it shows this server under are ours, on the usual port or on the one given.
	return !strings.EqualFold(u.Host, r.Host) && !m.isPublic(u)
}

// isPublic tells whether an origin is one of Hosts.
func (m *Mux) isPublic(origin *url.URL) bool {
	for _, h := range m.Hosts {
		if strings.EqualFold(h, origin.Host) {
			return true
		}
	}
	return false
}

// nameOf is a host without its port.
func nameOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// isLoopbackHost tells whether a host is this machine's loopback.
func isLoopbackHost(host string) bool {
	name := nameOf(host)
	ip, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// addressOf is the address that a request comes from: of IPv6 the network that one client has.
func addressOf(r *http.Request) netip.Prefix {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	ip := at.Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // of a valid address with at least so many
	return p
}
