package access

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow/problem"
)

// clock is a time that tests set.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// guarded is a Mux with a route per need, and keys in a file.
type guarded struct {
	*Mux
	path  string
	clock *clock
}

func guard(t *testing.T, o Options) *guarded {
	t.Helper()
	g := &guarded{path: filepath.Join(t.TempDir(), FileName), clock: &clock{time.Now()}}
	keys, err := OpenKeys(g.path, true)
	if err != nil {
		t.Fatal(err)
	}
	o.Keys, o.Now, o.Metrics = keys, g.clock.now, prometheus.NewRegistry()
	if g.Mux, err = NewMux(o); err != nil {
		t.Fatal(err)
	}
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, of(r.Context()).by) })
	for _, s := range []Scope{Post, Read, SQL, Admin} {
		g.Handle("/"+s.String(), NeedScope(s, ok))
	}
	g.Handle("/key", NeedKey(ok))
	g.Handle("/open", Open(ok))
	g.Handle("/forgotten", ok)
	return g
}

// refresh makes the keys look at the file at once.
func (g *guarded) refresh() { g.Keys.look() }

func (g *guarded) key(t *testing.T, s Scope, expires time.Time) (Key, string) {
	t.Helper()
	k, text := create(t, g.path, s.String(), s, expires)
	g.refresh()
	return k, text
}

// ask sends a request, with headers by name and value.
func (g *guarded) ask(method, path string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, body)
	r.Host = "127.0.0.1:8000"
	r.RemoteAddr = "192.0.2.7:1234"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestEveryKeyAgainstEveryNeed(t *testing.T) {
	g := guard(t, Options{Local: "local_secret"})
	keys := map[Scope]string{}
	for s := Scope(1); s <= All; s++ {
		_, keys[s] = g.key(t, s, time.Time{})
	}
	for s, text := range keys {
		for _, path := range []string{"/post", "/read", "/sql", "/admin", "/key", "/open", "/forgotten", "/nowhere"} {
			want := 200
			switch need, err := ParseScope(path[1:]); {
			case err == nil && !s.Has(need), path == "/forgotten":
				want = 403
			case path == "/nowhere":
				want = 404
			}
			for _, how := range []string{"Bearer " + text, "bearer  " + text, basic("anybody", text), basic("", text)} {
				w := g.ask("GET", path, nil, "Authorization", how)
				if w.Code != want {
					t.Fatalf("%s with %s: %d, want %d", path, s, w.Code, want)
				}
				if challenge := w.Header().Get("WWW-Authenticate"); want == 403 && path != "/forgotten" && challenge != `Bearer realm="pinflow", error="insufficient_scope", scope="`+path[1:]+`"` {
					t.Fatalf("%s: %s", path, challenge)
				}
			}
		}
	}
	for path, want := range map[string]int{"/post": 200, "/read": 200, "/sql": 200, "/admin": 200, "/key": 200, "/open": 200, "/forgotten": 403} {
		if w := g.ask("GET", path, nil, "Authorization", "Bearer local_secret"); w.Code != want {
			t.Errorf("%s with the machine's own secret: %d", path, w.Code)
		}
	}
}

func TestWhoIsNotLetIn(t *testing.T) {
	g := guard(t, Options{Local: "local_secret"})
	valid, text := g.key(t, All, time.Time{})
	_, expiring := g.key(t, All, g.clock.Add(time.Minute))
	revoked, revokedText := g.key(t, All, time.Time{})
	if err := Revoke(g.path, revoked.ID); err != nil {
		t.Fatal(err)
	}
	g.refresh()
	g.clock.Time = g.clock.Add(2 * time.Minute)
	other, otherText := newKey("other", All, g.clock.now(), time.Time{})
	forged := prefix + valid.ID + "_" + otherText[len(prefix)+idLen+1:keyLen-checkLen]
	forged += check(forged)
	for name, c := range map[string]struct{ header, reason string }{
		"none":                       {"", "missing"},
		"empty":                      {"Bearer ", "malformed"},
		"no scheme":                  {text, "malformed"},
		"other scheme":               {"Digest " + text, "malformed"},
		"mistyped":                   {"Bearer " + text[:20] + "x" + text[21:], "malformed"},
		"cut off":                    {"Bearer " + text[:len(text)-1], "malformed"},
		"as user":                    {basic(text, ""), "malformed"},
		"broken basic":               {"Basic !!", "malformed"},
		"the stored hash":            {"Bearer " + fmt.Sprintf("%x", valid.hash), "malformed"},
		"of nobody":                  {"Bearer " + otherText, "wrong"},
		"another secret, right id":   {"Bearer " + forged, "wrong"},
		"revoked":                    {"Bearer " + revokedText, "wrong"},
		"expired":                    {"Bearer " + expiring, "expired"},
		"local, cut off":             {"Bearer local_secre", "malformed"},
		"the id alone":               {"Bearer " + other.ID, "malformed"},
		"a key and more":             {"Bearer " + text + ", " + text, "malformed"},
		"a session as a bearer":      {"Bearer " + g.sessions.cookie(&valid, g.clock.Add(time.Hour)), "malformed"},
		"a key behind another's key": {"Bearer " + otherText + text, "malformed"},
	} {
		for _, path := range []string{"/post", "/read", "/sql", "/admin", "/key", "/forgotten", "/nowhere"} {
			var headers []string
			if c.header != "" {
				headers = []string{"Authorization", c.header}
			}
			g.failures = newThrottle(g.clock.now)
			w := g.ask("POST", path, strings.NewReader("{}"), headers...)
			var p problem.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 401 || p.Status != 401 || p.Detail == "" || p.Hint == "" || p.Instance != path {
				t.Errorf("%s at %s: %d %s", name, path, w.Code, w.Body)
			}
			if challenge := w.Header().Get("WWW-Authenticate"); !strings.HasPrefix(challenge, `Bearer realm="pinflow"`) || strings.Contains(challenge, "invalid_token") != (c.reason != "missing") {
				t.Errorf("%s at %s: challenge %s", name, path, challenge)
			}
			if len(c.header) > 20 && strings.Contains(w.Body.String(), c.header[12:]) {
				t.Errorf("%s: the answer repeats what was sent: %s", name, w.Body)
			}
		}
		r := httptest.NewRequest("GET", "/read", nil)
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		if _, no := g.authenticate(r); no == nil || no.reason != c.reason {
			t.Errorf("%s: %+v, want %s", name, no, c.reason)
		}
		if w := g.ask("GET", "/open", nil, "Authorization", c.header); w.Code != 200 || w.Body.Len() > 0 {
			t.Errorf("%s: an open route answers %d as %s", name, w.Code, w.Body)
		}
	}
	session := "pinflow-8000=" + g.sessions.cookie(&valid, g.clock.Add(time.Hour))
	if w := g.ask("GET", "/read", nil, "Authorization", "Bearer "+text, "Authorization", "Bearer "+text, "Cookie", session); w.Code != 401 {
		t.Errorf("two headers: %d", w.Code)
	}
}

func TestHostAndOrigin(t *testing.T) {
	for _, c := range []struct {
		public                           bool
		method, host, origin, site, mode string
		want                             int
	}{
		{false, "POST", "127.0.0.1:8000", "", "", "", 200},
		{false, "POST", "localhost:8000", "", "", "", 200},
		{false, "POST", "LOCALHOST", "", "", "", 200},
		{false, "POST", "[::1]:8000", "", "", "", 200},
		{false, "POST", "[::1]", "", "", "", 200},
		{false, "POST", "127.8.9.1:8000", "", "", "", 200},
		{false, "POST", "evil.example:8000", "", "", "", 421},
		{false, "GET", "evil.example:8000", "", "none", "navigate", 421},
		{false, "POST", "127.0.0.1.evil.example", "", "", "", 421},
		{false, "POST", "localhost.evil.example", "", "", "", 421},
		{false, "POST", "10.0.0.5:8000", "", "", "", 421},
		{true, "POST", "10.0.0.5:8000", "", "", "", 200},
		{true, "POST", "[2001:db8::1]:8000", "", "", "", 200},
		{true, "POST", "evil.example:8000", "", "", "", 421},
		{true, "POST", "127.0.0.1:8000", "", "", "", 200},
		{false, "POST", "", "", "", "", 421},
		{false, "POST", "pins.example", "", "", "", 200},
		{false, "POST", "Pins.Example:443", "", "", "", 200},
		{false, "POST", "xpins.example", "", "", "", 421},
		{false, "POST", "ported.example:8443", "", "", "", 200},
		{false, "POST", "ported.example", "", "", "", 421},
		{false, "POST", "localhost", "http://localhost", "same-origin", "cors", 200},
		{false, "POST", "127.0.0.1:8000", "http://127.0.0.1:8000", "same-origin", "cors", 200},
		{false, "POST", "127.0.0.1:8000", "http://127.0.0.1:9999", "same-site", "cors", 403},
		{false, "POST", "127.0.0.1:8000", "http://localhost:8000", "cross-site", "cors", 403},
		{false, "POST", "127.0.0.1:8000", "https://evil.example", "cross-site", "cors", 403},
		{false, "POST", "127.0.0.1:8000", "https://evil.example", "", "", 403},
		{false, "GET", "127.0.0.1:8000", "https://evil.example", "", "", 403},
		{false, "POST", "127.0.0.1:8000", "null", "cross-site", "navigate", 403},
		{false, "POST", "127.0.0.1:8000", "null", "", "", 403},
		{false, "POST", "127.0.0.1:8000", "null", "same-origin", "navigate", 200},
		{false, "POST", "127.0.0.1:8000", "not a url at all", "", "", 403},
		{false, "POST", "127.0.0.1:8000", "", "cross-site", "", 403},
		{false, "DELETE", "127.0.0.1:8000", "", "same-site", "", 403},
		{false, "GET", "127.0.0.1:8000", "", "cross-site", "navigate", 200},
		{false, "GET", "127.0.0.1:8000", "", "cross-site", "no-cors", 403},
		{false, "GET", "127.0.0.1:8000", "", "none", "navigate", 200},
		{false, "POST", "127.0.0.1:8000", "https://pins.example", "same-origin", "cors", 200},
		{false, "POST", "127.0.0.1:8000", "https://pins.example:444", "same-site", "cors", 403},
		{false, "POST", "127.0.0.1:8000", "https://ported.example:8443", "same-origin", "cors", 200},
		{false, "POST", "127.0.0.1:8000", "https://ported.example", "same-origin", "cors", 403},
	} {
		g := guard(t, Options{Public: c.public, Hosts: []string{"pins.example", "ported.example:8443"}})
		_, text := g.key(t, All, time.Time{})
		headers := []string{"Host", c.host, "Accept", "text/html"} // a browser is not asked to sign in where it is refused
		if c.want == 200 {
			headers = append(headers, "Authorization", "Bearer "+text)
		}
		for name, value := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site, "Sec-Fetch-Mode": c.mode} {
			if value != "" {
				headers = append(headers, name, value)
			}
		}
		w := g.ask(c.method, "/post", nil, headers...)
		if w.Code != c.want {
			t.Errorf("%+v: %d", c, w.Code)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%+v: %v", c, w.Header())
		}
		if w.Code >= 400 && w.Header().Get("Content-Type") != problem.ContentType {
			t.Errorf("%+v: %v", c, w.Header())
		}
	}
}

func TestWhenKeysAreNeeded(t *testing.T) {
	long := t.Context()
	ok := NeedScope(Admin, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { long = r.Context() }))
	path := filepath.Join(t.TempDir(), FileName)
	keys, err := OpenKeys(path, false)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMux(Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	m.Handle("/x", ok)
	m.Handle("/forgotten", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	g := &guarded{Mux: m, path: path}
	if w := g.ask("GET", "/x", nil); w.Code != 200 {
		t.Errorf("without a file: %d", w.Code)
	}
	if w := g.ask("GET", "/forgotten", nil); w.Code != 200 {
		t.Errorf("a route that does not say what it takes: %d", w.Code)
	}
	if err := Holds(long); err != nil {
		t.Error(err)
	}
	k, text := g.key(t, Admin, time.Time{})
	if w := g.ask("GET", "/x", nil); w.Code != 401 {
		t.Errorf("with a file: %d", w.Code)
	}
	if err := Holds(long); err == nil {
		t.Error("who came before there was a file may stay")
	}
	if w := g.ask("GET", "/x", nil, "Authorization", "Bearer "+text); w.Code != 200 {
		t.Errorf("with a key: %d", w.Code)
	}
	if err := Revoke(path, k.ID); err != nil {
		t.Fatal(err)
	}
	g.refresh()
	if w := g.ask("GET", "/x", nil, "Authorization", "Bearer "+text); w.Code != 401 {
		t.Errorf("all revoked: %d", w.Code)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	g.refresh()
	if w := g.ask("GET", "/x", nil); w.Code != 401 {
		t.Errorf("the file is gone: %d", w.Code)
	}
	nobody, err := NewMux(Options{})
	if err != nil {
		t.Fatal(err)
	}
	nobody.Handle("/x", ok)
	if w := (&guarded{Mux: nobody}).ask("GET", "/x", nil); w.Code != 200 {
		t.Errorf("nobody is asked: %d", w.Code)
	}
	if w := (&guarded{Mux: nobody}).ask("POST", "/session", strings.NewReader("key="+text), "Content-Type", "application/x-www-form-urlencoded"); w.Code != 401 {
		t.Errorf("sign in where nobody is asked: %d", w.Code)
	}
}

// TestChangesAreNoticed without anybody telling: by whoever asks lookEvery later, however long asking takes.
func TestChangesAreNoticed(t *testing.T) {
	g := guard(t, Options{})
	noticed := func(what string, holds func() bool) {
		t.Helper()
		changed := time.Now()
		for tick := time.Tick(10 * time.Millisecond); ; <-tick {
			asked := time.Now()
			if holds() {
				return
			}
			if asked.Sub(changed) > lookEvery {
				t.Fatalf("not noticed after %s: %s", asked.Sub(changed), what)
			}
		}
	}
	k, text := create(t, g.path, "a", Read, time.Time{})
	code := func() int { return g.ask("GET", "/read", nil, "Authorization", "Bearer "+text).Code }
	noticed("made", func() bool { return code() == 200 })
	if err := Revoke(g.path, k.ID); err != nil {
		t.Fatal(err)
	}
	noticed("revoked", func() bool { return code() != 200 })
}

// TestUnreadableKeysLetNobodyIn, and say so; when they are mended all is as before.
func TestUnreadableKeysLetNobodyIn(t *testing.T) {
	g := guard(t, Options{Local: "local_secret"})
	k, text := g.key(t, All, time.Time{})
	good, err := os.ReadFile(g.path)
	if err != nil {
		t.Fatal(err)
	}
	session := (&http.Cookie{Name: "pinflow-8000", Value: g.sessions.cookie(&k, g.clock.Add(time.Hour))}).String()
	for name, spoil := range map[string]func() error{
		"corrupt": func() error { return os.WriteFile(g.path, good[:len(good)/2], 0o600) },
		"empty":   func() error { return os.Truncate(g.path, 0) },
		"mode":    func() error { return os.Chmod(g.path, 0o666) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		g.refresh()
		for _, header := range [][]string{{"Authorization", "Bearer " + text}, {"Cookie", session}} {
			w := g.ask("GET", "/read", nil, header...)
			if w.Code != 503 || strings.Contains(w.Body.String(), g.path) {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		if w := g.ask("GET", "/read", nil); w.Code != 401 {
			t.Errorf("%s, without a key: %d", name, w.Code)
		}
		if w := g.ask("GET", "/open", nil, "Authorization", "Bearer "+text); w.Code != 200 {
			t.Errorf("%s, an open route: %d", name, w.Code)
		}
		if _, err := OpenKeys(g.path, false); err == nil {
			t.Errorf("%s: it is opened", name)
		}
		if err := os.WriteFile(g.path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(g.path, 0o600); err != nil {
			t.Fatal(err)
		}
		g.refresh()
		if w := g.ask("GET", "/read", nil, "Authorization", "Bearer "+text); w.Code != 200 {
			t.Errorf("%s and mended: %d", name, w.Code)
		}
	}
	if err := errors.Join(os.Remove(g.path), os.Symlink(g.path, g.path)); err != nil {
		t.Fatal(err)
	}
	g.refresh()
	if w := g.ask("GET", "/read", nil, "Authorization", "Bearer "+text); w.Code != 503 {
		t.Errorf("a file that can't be looked at: %d", w.Code)
	}
}

func TestWrongKeysAreSlowedDown(t *testing.T) {
	g := guard(t, Options{})
	_, text := g.key(t, Read, time.Time{})
	_, other := newKey("x", Read, time.Now(), time.Time{})
	attempt := func(from, key string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/read", nil)
		r.Host, r.RemoteAddr = "localhost", from
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w
	}
	for i := range burst {
		if w := attempt("192.0.2.1:1", other); w.Code != 401 {
			t.Fatalf("attempt %d: %d", i, w.Code)
		}
	}
	if w := attempt("192.0.2.1:2", other); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("too many: %d %v", w.Code, w.Header())
	}
	for name, got := range map[string]int{"a right key": attempt("192.0.2.1:1", text).Code, "another address": attempt("192.0.2.2:1", other).Code, "no key": attempt("192.0.2.1:1", "").Code} {
		if want := map[string]int{"a right key": 200}[name]; got != cmp.Or(want, 401) {
			t.Errorf("%s: %d", name, got)
		}
	}
	g.clock.Time = g.clock.Add(2 * pace)
	if w := attempt("192.0.2.1:1", other); w.Code != 401 {
		t.Errorf("after a while: %d", w.Code)
	}
	for i := range 2 * burst { // one client of IPv6 has a whole network of addresses
		if w := attempt(fmt.Sprintf("[2001:db8::%x]:1", i+1), other); (w.Code == 429) != (i >= burst) {
			t.Errorf("address %d of a network: %d", i, w.Code)
		}
	}
}

func TestSessions(t *testing.T) {
	g := guard(t, Options{Public: true, Hosts: []string{"pins.example"}, Local: "local_secret"})
	k, text := g.key(t, Read|SQL, time.Time{})
	signIn := func(key, to string, headers ...string) *httptest.ResponseRecorder {
		return g.ask("POST", "/session", strings.NewReader(url.Values{"key": {key}, "to": {to}}.Encode()), append([]string{"Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html"}, headers...)...)
	}
	cookieOf := func(w *httptest.ResponseRecorder) *http.Cookie {
		t.Helper()
		if all := w.Result().Cookies(); w.Code == 303 && len(all) == 1 {
			return all[0]
		}
		t.Fatalf("signing in: %d %v %s", w.Code, w.Header(), w.Body)
		return nil
	}
	c := cookieOf(signIn(" "+text+"\n", "/docs?x=1"))
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Secure || c.Name != "pinflow-8000" || strings.Contains(c.Value, text[12:]) || c.MaxAge <= 0 {
		t.Errorf("the cookie on loopback is %v", c)
	}
	far := cookieOf(signIn(text, "/", "Host", "pins.example", "Origin", "https://pins.example"))
	if !far.Secure || far.Name != "__Host-pinflow" {
		t.Errorf("the cookie elsewhere is %v", far)
	}
	if w := signIn(text, "/", "Host", "pins.example", "Origin", "http://pins.example"); w.Code != 403 || len(w.Result().Cookies()) > 0 || !strings.Contains(w.Body.String(), "https") {
		t.Errorf("over plain HTTP from elsewhere: %d %s", w.Code, w.Body)
	}
	as := func(path, value string) *httptest.ResponseRecorder {
		return g.ask("GET", path, nil, "Cookie", "pinflow-8000="+value)
	}
	for path, want := range map[string]int{"/read": 200, "/sql": 200, "/key": 200, "/post": 403, "/admin": 403} {
		if w := as(path, c.Value); w.Code != want {
			t.Errorf("%s by a session: %d", path, w.Code)
		}
	}
	if w := g.ask("GET", "/read", nil, "Cookie", "pinflow-8000="+c.Value, "Authorization", "Bearer nonsense"); w.Code != 401 {
		t.Errorf("a cookie beside a wrong key: %d", w.Code)
	}
	for name, value := range map[string]string{"": "", "garbage": "x", "three parts": "a.b.c", "no mac": k.ID + ".zzzzzz.", "later": later(c.Value), "cut off": c.Value[:len(c.Value)-1]} {
		if w := as("/read", value); w.Code != 401 {
			t.Errorf("a cookie that is %q: %d", name, w.Code)
		}
	}
	namesake := k
	namesake.hash[0]++
	if w := as("/read", g.sessions.cookie(&namesake, g.clock.Add(time.Hour))); w.Code != 401 {
		t.Errorf("a cookie of another key with the same id: %d", w.Code)
	}
	if w := (func() *httptest.ResponseRecorder { // of another process
		other := newSessions()
		return as("/read", other.cookie(&k, g.clock.Add(time.Hour)))
	})(); w.Code != 401 {
		t.Errorf("a cookie of another process: %d", w.Code)
	}
	for to, want := range map[string]string{"/docs?x=1": "./docs?x=1", "/": "./", "": "./", "https://evil.example": "./", "//evil.example": "./", `/\evil.example`: "./", "/a\r\nSet-Cookie: x": "./", "evil": "./"} {
		if got := signIn(text, to).Header().Get("Location"); got != want {
			t.Errorf("to %q goes to %q", to, got)
		}
	}
	for name, key := range map[string]string{"wrong": text[:len(text)-1] + "x", "none": "", "the machine's": "local_secret"} {
		if w := signIn(key, "/docs"); w.Code != 401 || len(w.Result().Cookies()) > 0 || !strings.Contains(w.Body.String(), "<form") || !strings.Contains(w.Body.String(), `value="/docs"`) {
			t.Errorf("signing in with a key that is %s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := signIn(text, "/", "Origin", "https://evil.example"); w.Code != 403 || len(w.Result().Cookies()) > 0 {
		t.Errorf("signing in for another site: %d", w.Code)
	}
	if w := signIn(strings.Repeat("x", 1<<20), "/"); w.Code != 401 {
		t.Errorf("a huge form: %d", w.Code)
	}
	out := g.ask("DELETE", "/session", nil, "Cookie", "pinflow-8000="+c.Value)
	if gone := out.Result().Cookies(); out.Code != 204 || len(gone) != 1 || gone[0].MaxAge >= 0 {
		t.Errorf("signing out: %d %v", out.Code, out.Header())
	}
	g.clock.Time = g.clock.Add(sessionTime + time.Second)
	if w := as("/read", c.Value); w.Code != 401 {
		t.Errorf("after %s: %d", sessionTime, w.Code)
	}
	fresh := cookieOf(signIn(text, "/")).Value
	if w := as("/read", fresh); w.Code != 200 {
		t.Errorf("signed in anew: %d", w.Code)
	}
	if err := Revoke(g.path, k.ID); err != nil {
		t.Fatal(err)
	}
	g.refresh()
	if w := as("/read", fresh); w.Code != 401 {
		t.Errorf("the key is revoked: %d", w.Code)
	}
	_, short := g.key(t, Read, g.clock.Add(time.Hour))
	if c := cookieOf(signIn(short, "/")); c.MaxAge > 3600 {
		t.Errorf("the cookie outlives its key: %v", c)
	}
}

// later is a cookie's value with a later end.
func later(cookie string) string {
	parts := strings.Split(cookie, ".")
	return parts[0] + ".zzzzzz." + parts[2]
}

func TestTheSignInPage(t *testing.T) {
	g := guard(t, Options{})
	_, text := g.key(t, Post, time.Time{})
	for path, action := range map[string]string{"/read": "./session", "/key": "./session", "/a/b/c?d=%22%3E%3Cscript%3E": "./../../session"} {
		w := g.ask("GET", path, nil, "Accept", "text/html,*/*", "Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate")
		body := w.Body.String()
		if w.Code != 401 || !strings.Contains(body, `action="`+action+`"`) || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || w.Header().Get("Cache-Control") != "no-store" || strings.Contains(body, "<script") {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), body)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Error(csp)
		}
	}
	w := g.ask("GET", "/read?a=b", nil, "Accept", "text/html", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `url=./read?a=b`) || strings.Contains(w.Body.String(), "form") {
		t.Errorf("from another site: %d %s", w.Code, w.Body)
	}
	k, _ := List(g.path)
	w = g.ask("GET", "/read", nil, "Accept", "text/html", "Cookie", "pinflow-8000="+g.sessions.cookie(&k[0], g.clock.Add(time.Hour)))
	if w.Code != 403 || !strings.Contains(w.Body.String(), "the scope read") || !strings.Contains(w.Body.String(), "<form") {
		t.Errorf("with a lesser key: %d %s", w.Code, w.Body)
	}
	w = g.ask("GET", "/read", nil, "Accept", "text/html", "Authorization", "Bearer "+text)
	if w.Code != 403 || w.Header().Get("Content-Type") != problem.ContentType {
		t.Errorf("a program that takes HTML: %d %s", w.Code, w.Body)
	}
	for _, path := range []string{"*", ""} {
		r := httptest.NewRequest("OPTIONS", "/", nil)
		r.URL.Path, r.Host = path, "localhost"
		r.Header.Set("Accept", "text/html")
		g.refuse(httptest.NewRecorder(), r, nil, missing())
	}
}

func TestWhatOnlySomeMayAsk(t *testing.T) {
	g := guard(t, Options{})
	var inside error
	g.Handle("/some", NeedScope(Read, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		inside = Require(r.Context(), SQL, "The parameter filter")
	})))
	_, reader := g.key(t, Read, time.Time{})
	_, both := g.key(t, Read|SQL, time.Time{})
	g.ask("GET", "/some", nil, "Authorization", "Bearer "+reader)
	if d, ok := inside.(*Denied); !ok || d.Problem.Status != 403 || !strings.Contains(d.Problem.Detail, "filter") || !strings.Contains(d.Problem.Hint, "sql") {
		t.Error(inside)
	}
	if g.ask("GET", "/some", nil, "Authorization", "Bearer "+both); inside != nil {
		t.Error(inside)
	}
	if err := Require(t.Context(), Admin, "x"); err != nil {
		t.Errorf("where nobody is asked: %v", err)
	}
}

// TestLongAnswersEndWithTheKey: who asks again and again whether the key still holds.
func TestLongAnswersEndWithTheKey(t *testing.T) {
	g := guard(t, Options{})
	k, text := g.key(t, Read, g.clock.Add(time.Hour))
	var ctx = t.Context()
	g.Handle("/long", NeedScope(Read, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })))
	ask := func(headers ...string) error {
		g.ask("GET", "/long", nil, headers...)
		return Holds(ctx)
	}
	if err := ask("Authorization", "Bearer "+text); err != nil {
		t.Fatal(err)
	}
	bearer := ctx
	if err := ask("Cookie", "pinflow-8000="+g.sessions.cookie(&k, g.clock.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	session := ctx
	g.clock.Time = g.clock.Add(2 * time.Minute)
	if Holds(bearer) != nil || Holds(session) == nil {
		t.Error("the session's time:", Holds(bearer), Holds(session))
	}
	g.clock.Time = g.clock.Add(2 * time.Hour)
	if Holds(bearer) == nil {
		t.Error("the key's time is over")
	}
	g.clock.Time = g.clock.Add(-2 * time.Hour)
	if err := Revoke(g.path, k.ID); err != nil {
		t.Fatal(err)
	}
	g.refresh()
	if Holds(bearer) == nil {
		t.Error("the key is revoked")
	}
}

type ownWords struct{ http.Handler }

func (ownWords) Refuse(w http.ResponseWriter, _ *http.Request, status int, detail, _ string) {
	w.WriteHeader(status)
	fmt.Fprint(w, "own words: ", detail)
}

func TestRefusedInItsOwnWords(t *testing.T) {
	g := guard(t, Options{})
	g.Handle("/own", NeedScope(Post, ownWords{}))
	if w := g.ask("POST", "/own", nil); w.Code != 401 || !strings.HasPrefix(w.Body.String(), "own words: ") || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestRoutes(t *testing.T) {
	g := guard(t, Options{})
	takes := map[string]string{}
	for _, r := range g.Routes() {
		takes[r.Pattern] = r.Takes
	}
	for pattern, want := range map[string]string{"/post": "post", "/admin": "admin", "/key": "key", "/open": "nothing", "/forgotten": "", "/": "key", "POST /session": "nothing"} {
		if got, ok := takes[pattern]; !ok || got != want {
			t.Errorf("%s takes %q, want %q", pattern, got, want)
		}
	}
}
