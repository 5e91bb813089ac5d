package access

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// denial is why a request is refused.
type denial struct {
	status       int
	reason       string // for counting: one of a few
	detail, hint string
	challenge    string // what WWW-Authenticate says besides the realm
	guess        bool   // it came with something that is no key: too many of these from one address are slowed down
	bySignIn     bool   // in a browser, signing in is what helps
}

const hintKey = "Send a key as Authorization: Bearer, or as the password of Basic. The commands of pinflow take it from PINFLOW_KEY or from --key-file; pinflow key create makes one."

// unauthorized is a denial that another key would help against.
func unauthorized(reason, detail, hint string) *denial {
	return &denial{status: http.StatusUnauthorized, reason: reason, detail: detail, hint: hint, challenge: `error="invalid_token"`, bySignIn: true}
}

func missing() *denial {
	d := unauthorized("missing", "This takes a key, and none was sent.", hintKey)
	d.challenge = ""
	return d
}

func malformed(why string) *denial {
	d := unauthorized("malformed", "What was sent is no key: "+why+".", hintKey)
	d.guess = true
	return d
}

func wrong() *denial {
	d := unauthorized("wrong", "The key is not known here: it is wrong, or has been revoked.", hintKey)
	d.guess = true
	return d
}

func expired(k *Key) *denial {
	return unauthorized("expired", "The key expired at "+k.Expires.Format(time.RFC3339)+".", "Ask for a new one: pinflow key create.")
}

func signedOut() *denial { return unauthorized("session", "The sign-in is over.", "Sign in again.") }

func lesser(need, has Scope) *denial {
	return &denial{status: http.StatusForbidden, reason: "scope", detail: fmt.Sprintf("This takes a key with the scope %s; this one has %s.", need, strings.Join(has.Names(), " and ")),
		hint: hintScope(need), challenge: `error="insufficient_scope", scope="` + need.String() + `"`, bySignIn: true}
}

func undeclared() *denial {
	return &denial{status: http.StatusForbidden, reason: "scope", detail: "No key opens this.", hint: "The routes are listed at /docs and /openapi.json."}
}

func unreadable() *denial {
	return &denial{status: http.StatusServiceUnavailable, reason: "unreadable", detail: "The keys of this server can't be read.", hint: "The server's log says why. Until it is mended nobody has access."}
}

// notOurs refuses a host.
func notOurs(host string) *denial {
	return &denial{status: http.StatusMisdirectedRequest, reason: "host", detail: "This Pinflow does not answer for the host " + strconv.Quote(host) + ".",
		hint: "Ask for one of its own names; --public-host gives it another one."}
}

// foreign refuses a page of another site.
func foreign(origin string) *denial {
	return &denial{status: http.StatusForbidden, reason: "origin", detail: "A page of another site (" + strconv.Quote(origin) + ") may not use this Pinflow.",
		hint: "Open the dashboard of this Pinflow itself, or send the request without a browser; --public-host names where a proxy shows it."}
}

// tooMany asks an address to wait.
func tooMany() *denial {
	return &denial{status: http.StatusTooManyRequests, reason: "rate", detail: "Too many wrong keys come from this address.", hint: "A right one is taken all the same. Wait before the next attempt."}
}

// unencrypted refuses to sign in over plain HTTP from elsewhere: the browser would not keep the cookie.
func unencrypted() *denial {
	return &denial{status: http.StatusForbidden, reason: "plain", detail: "This page was opened over plain HTTP. Sign in over https.", hint: "Use the address that begins with https.", bySignIn: true}
}
