package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"unicode"
)

// authenticate returns who sent a request, or why that can't be told. A key is looked for in Authorization, else a browser's cookie.
func (m *Mux) authenticate(r *http.Request) (*caller, *denial) {
	sent := r.Header.Values("Authorization")
	switch {
	case len(sent) > 1:
		return nil, malformed("there are several Authorization headers")
	case len(sent) == 1:
		text, no := keyIn(r, sent[0])
		if no != nil {
			return nil, no
		}
		return m.callerOf(text)
	}
	if c, err := r.Cookie(cookieName(r)); err == nil {
		return m.callerIn(c.Value)
	}
	return nil, missing()
}

// keyIn returns the key in an Authorization header. Of Basic the password is the key, whatever the user's name: Kafka's REST clients send that.
func keyIn(r *http.Request, header string) (string, *denial) {
	scheme, rest, _ := strings.Cut(header, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return strings.TrimFunc(rest, unicode.IsSpace), nil
	case strings.EqualFold(scheme, "Basic"):
		if _, password, ok := r.BasicAuth(); ok {
			return password, nil
		}
		return "", malformed("it is no user and password as Basic has them")
	}
	return "", malformed("Authorization is neither Bearer nor Basic")
}

// callerOf returns who has the key.
func (m *Mux) callerOf(text string) (*caller, *denial) {
	if m.Local != "" && equal(text, m.Local) {
		return &caller{scope: All, by: "local"}, nil
	}
	id, err := idOf(text)
	if err != nil {
		return nil, malformed(err.Error())
	}
	k, no := m.keyOf(id)
	if no != nil {
		return nil, no
	}
	if k == nil || !k.matches(text) {
		return nil, wrong()
	}
	return m.callerBy(k)
}

// keyOf returns the key with the id, nil if there is none.
func (m *Mux) keyOf(id string) (*Key, *denial) {
	k, err := m.Keys.find(id)
	if err != nil {
		if m.failures.isNews("keys") {
			m.Log.Error("the keys can't be read: nobody has access", "error", err)
		}
		return nil, unreadable()
	}
	return k, nil
}

func (m *Mux) callerBy(k *Key) (*caller, *denial) {
	if k.isExpired(m.Now()) {
		return nil, expired(k)
	}
	return &caller{scope: k.Scope, by: k.ID, holds: func() *denial { return m.stillHolds(k) }}, nil
}

// stillHolds looks whether a key still counts.
func (m *Mux) stillHolds(k *Key) *denial {
	now, no := m.keyOf(k.ID)
	switch {
	case no != nil:
		return no
	case now == nil || now.hash != k.hash || !now.Scope.Has(k.Scope):
		return wrong()
	case now.isExpired(m.Now()):
		return expired(now)
	}
	return nil
}

// equal compares secrets in a time that does not depend on them.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
