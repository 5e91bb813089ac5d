package access

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"path"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

//go:embed page
var pageFiles embed.FS

// isBrowser tells whether a person would see the answer.
func isBrowser(r *http.Request) bool {
	return r.Header.Get("Authorization") == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// showSignIn answers with the page that asks for a key.
func (m *Mux) showSignIn(w http.ResponseWriter, r *http.Request, no *denial) {
	name, status, to := "page/signin.html", no.status, r.URL.RequestURI()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		to = local(r.PostForm.Get("to"))
	}
	// Who follows a link from another site comes without the cookie. Sent here once more by this site, the browser has it with it.
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		name, status = "page/again.html", http.StatusOK
		w.Header().Del("WWW-Authenticate")
	}
	style, err := pageFiles.ReadFile("page/signin.css")
	var t *template.Template
	if err == nil {
		t, err = template.ParseFS(pageFiles, name)
	}
	why := no.detail
	if no.reason == "missing" {
		why = "Sign in with a key to go on."
	}
	up := strings.Repeat("../", max(0, strings.Count(r.URL.EscapedPath(), "/")-1))
	var body bytes.Buffer
	if err == nil {
		err = t.Execute(&body, map[string]any{"Style": template.CSS(style), "Why": why, "Action": "./" + up + "session", "To": to, "Self": self(r)})
	}
	if err != nil {
		problem.Write(w, problem.Of(&pinflow.Error{Op: "write the sign-in page", Err: err}))
		return
	}
	sum := sha256.Sum256(style)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer the browser would hide the form's origin
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a client that has gone needs no answer
}

// self is a request's own address, relative to itself: a proxy may show this server below a path.
func self(r *http.Request) string {
	_, last := path.Split(r.URL.EscapedPath())
	to := "./" + last
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	return to
}
