package access

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

// Options are what a Mux needs.
type Options struct {
	Keys    *Keys                 // nil: nobody is asked for one
	Local   string                // a secret that stands for a key with every scope (NewLocal); "" for none
	Hosts   []string              // names, with or without a port, under which browsers may know this server, besides those of loopback
	Public  bool                  // it does not listen on loopback only: every IP address may be its name
	Log     *slog.Logger          // nil: nothing is logged
	Metrics prometheus.Registerer // nil: nothing is counted
	Now     func() time.Time      // nil: time.Now
}

// Mux routes requests that it has judged. Make it with NewMux.
type Mux struct {
	Options
	mux      *http.ServeMux
	sessions sessions
	failures *throttle
	refused  *prometheus.CounterVec
	anybody  *caller // who is not asked for a key

	mu     sync.Mutex
	routes map[string]declared
}

// NewMux returns a Mux with the routes of sign-in, and an answer for what is not found.
func NewMux(o Options) (*Mux, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Mux{Options: o, mux: http.NewServeMux(), sessions: newSessions(), failures: newThrottle(o.Now), routes: map[string]declared{}}
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pinflow_access_refused_total", Help: "Requests refused for where they come from or what key they have, by reason."}, []string{"reason"})
	if o.Metrics != nil {
		if err := o.Metrics.Register(m.refused); err != nil {
			return nil, &pinflow.Error{Op: "count refused requests", Kind: pinflow.Exists, Err: err}
		}
	}
	m.anybody = &caller{scope: All, holds: func() *denial {
		if m.Keys.Needed() {
			return missing()
		}
		return nil
	}}
	m.Handle("POST /session", Open(http.HandlerFunc(m.signIn)))
	m.Handle("DELETE /session", Open(http.HandlerFunc(m.signOut)))
	m.Handle("/", NeedKey(problem.NotFound(m.mux)))
	return m, nil
}

// Handle adds a route. Unless its handler says what it takes, nobody gets there who would need a key.
func (m *Mux) Handle(pattern string, h http.Handler) {
	d, ok := h.(declared)
	if !ok {
		d = declared{Handler: h}
	}
	m.mu.Lock()
	m.routes[pattern] = d
	m.mu.Unlock()
	m.mux.Handle(pattern, m.judged(d))
}

// Routes lists all routes by their pattern.
func (m *Mux) Routes() []Route {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Route
	for pattern, d := range m.routes {
		all = append(all, Route{pattern, d.takes()})
	}
	slices.SortFunc(all, func(a, b Route) int { return strings.Compare(a.Pattern, b.Pattern) })
	return all
}

// ServeHTTP judges where the request comes from, and routes it.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !m.isOurs(r.Host):
		m.refuse(w, r, nil, notOurs(r.Host))
	case m.isForeign(r):
		m.refuse(w, r, nil, foreign(r.Header.Get("Origin")))
	default:
		m.mux.ServeHTTP(w, r)
	}
}

// judged lets requests through that have the right key.
func (m *Mux) judged(d declared) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, no := m.whoSent(r)
		switch {
		case d.need == open && no != nil:
			c, no = &caller{}, nil
		case no != nil || d.need == open || d.need == anyKey:
		case d.need == closed && c != m.anybody:
			no = undeclared()
		case d.need == closed:
		case !c.scope.Has(d.scope):
			no = lesser(d.scope, c.scope)
		}
		if no != nil {
			m.refuse(w, r, d.Handler, no)
			return
		}
		if d.scope != Post { // nobody asks who posts, and posts are many
			r = r.WithContext(with(r.Context(), c))
		}
		d.ServeHTTP(w, r)
	})
}

// whoSent returns who sent a request: anybody, as long as keys are not needed.
func (m *Mux) whoSent(r *http.Request) (*caller, *denial) {
	if m.Keys.Needed() {
		return m.authenticate(r)
	}
	return m.anybody, nil
}

// refusalTime is how long the body of a refused request may still take to come.
const refusalTime = 2 * time.Second

// refuse answers a request that is not let through.
func (m *Mux) refuse(w http.ResponseWriter, r *http.Request, h http.Handler, no *denial) {
	m.refused.WithLabelValues(no.reason).Inc()
	if no.guess {
		if wait := m.failures.failed(addressOf(r)); wait > 0 {
			no = tooMany()
			w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		}
	}
	if m.failures.isNews(no.reason) {
		m.Log.Warn("a request was refused", "reason", no.reason, "from", r.RemoteAddr, "method", r.Method, "path", r.URL.Path, "host", r.Host)
	}
	if r.ContentLength != 0 { // a refused client must not keep the connection by sending slowly
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refusalTime)) // what can't do that has no connection
	}
	if no.status == http.StatusUnauthorized || no.challenge != "" {
		w.Header().Set("WWW-Authenticate", strings.TrimSuffix(`Bearer realm="pinflow", `+no.challenge, ", "))
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch own, has := h.(Refuser); {
	case isBrowser(r) && no.bySignIn:
		m.showSignIn(w, r, no)
	case has:
		own.Refuse(w, r, no.status, no.detail, no.hint)
	default:
		p := problem.New(no.status, no.detail, no.hint)
		p.Instance = r.URL.Path
		problem.Write(w, p)
	}
}
