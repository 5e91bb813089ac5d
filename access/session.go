package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// sessions are the browsers that have signed in. A cookie says by which key and until when, with a MAC that only this process can make: nothing is
// kept, the key can't be read from it, and it ends with the key, with its time and with the process.
type sessions struct{ secret [32]byte }

func newSessions() sessions {
	var s sessions
	_, _ = rand.Read(s.secret[:]) // never fails
	return s
}

// cookie returns the cookie's value: id.until.mac.
func (s *sessions) cookie(k *Key, until time.Time) string {
	return k.ID + "." + strconv.FormatInt(until.Unix(), 36) + "." + s.mac(k, until.Unix())
}

// mac is over the key's hash too: another key with its id is not meant.
func (s *sessions) mac(k *Key, until int64) string {
	m := hmac.New(sha256.New, s.secret[:])
	m.Write([]byte(k.ID))
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(until)))
	m.Write(k.hash[:])
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// callerIn returns who a cookie stands for.
func (m *Mux) callerIn(cookie string) (*caller, *denial) {
	parts := strings.Split(cookie, ".")
	if len(parts) != 3 {
		return nil, signedOut()
	}
	until, err := strconv.ParseInt(parts[1], 36, 64)
	if err != nil {
		return nil, signedOut()
	}
	k, no := m.keyOf(parts[0])
	if no != nil {
		return nil, no
	}
	if k == nil || !equal(parts[2], m.sessions.mac(k, until)) || m.Now().Unix() >= until {
		return nil, signedOut()
	}
	c, no := m.callerBy(k)
	if no != nil {
		return nil, no
	}
	c.session = true
	holds := c.holds
	c.holds = func() *denial {
		if m.Now().Unix() >= until {
			return signedOut()
		}
		return holds()
	}
	return c, nil
}

// signIn takes the form of the sign-in page: a key, and where to go then.
func (m *Mux) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refusalTime)) // what can't do that has no connection
	if err := r.ParseForm(); err != nil {
		m.refuse(w, r, nil, malformed("the form can't be read"))
		return
	}
	if from, err := url.Parse(r.Header.Get("Origin")); err == nil && from.Scheme == "http" && isSecure(r) {
		m.refuse(w, r, nil, unencrypted())
		return
	}
	c, no := m.callerOf(strings.TrimSpace(r.PostForm.Get("key")))
	var k *Key
	if no == nil {
		k, no = m.keyOf(c.by)
	}
	if no == nil && k == nil {
		no = wrong() // what stands for a key on this machine is for commands
	}
	if no != nil {
		m.refuse(w, r, nil, no)
		return
	}
	until := m.Now().Add(sessionTime)
	if !k.Expires.IsZero() && k.Expires.Before(until) {
		until = k.Expires
	}
	http.SetCookie(w, newCookie(r, m.sessions.cookie(k, until), int(until.Sub(m.Now()).Seconds())))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", "./"+strings.TrimPrefix(local(r.PostForm.Get("to")), "/")) // relative: a proxy may show this server below a path
	w.WriteHeader(http.StatusSeeOther)
}

// signOut takes the cookie away.
func (m *Mux) signOut(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, newCookie(r, "", -1))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

const maxForm = 4 << 10

func newCookie(r *http.Request, value string, seconds int) *http.Cookie {
	return &http.Cookie{Name: cookieName(r), Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: isSecure(r), SameSite: http.SameSiteStrictMode}
}

// cookieName tells servers on different ports of a host apart, which share their cookies.
func cookieName(r *http.Request) string {
	name := "pinflow"
	if isSecure(r) {
		name = "__Host-pinflow" // which browsers take from this very host only
	}
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		name += "-" + port
	}
	return name
}

// isSecure tells whether a browser has come over TLS: to this process, or, for a host that is not loopback, to what stands before it.
func isSecure(r *http.Request) bool { return r.TLS != nil || !isLoopbackHost(r.Host) }

// local is a path of this server, whatever was asked for.
func local(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}
