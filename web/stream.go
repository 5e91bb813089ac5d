package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
	"github.com/pinflow/pinflow/problem"
)

// How a stream treats its client.
const (
	keepAlive    = 15 * time.Second // of silence, then a comment
	writeTimeout = 10 * time.Second // a client that has not taken an event by then is cut off
)

var errTwice = fmt.Errorf("the metric is watched twice in one stream")

func cutQuery(s string) (name, query string, found bool) { return strings.Cut(s, "?") }

// mustJSON is for values that can always be written.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return text
}

func (s *Web) metricEvents(w http.ResponseWriter, r *http.Request) error {
	renewed := s.hub.renewal()
	values, err := queryOf(r)
	if err != nil {
		return err
	}
	one, err := s.watch(r.Context(), r.PathValue("name"), values)
	if err != nil {
		return err
	}
	return s.stream(w, r, []watched{one}, renewed)
}

// events is the status and any number of metrics in one stream: browsers open only six at a time.
func (s *Web) events(w http.ResponseWriter, r *http.Request) error {
	renewed := s.hub.renewal()
	values, err := queryOf(r)
	if err != nil {
		return err
	}
	for name := range values {
		if name != "watch" {
			return &pinflow.Error{Op: "read parameters", On: name, Kind: pinflow.Invalid, Hint: "It takes watch only, once per metric.",
				Err: problem.Faults{{Path: name, Reason: "there is no such parameter"}}}
		}
	}
	metrics, err := s.watches(r.Context(), values["watch"])
	if err != nil {
		return err
	}
	return s.stream(w, r, append([]watched{s.statusWatch()}, metrics...), renewed)
}

func queryOf(r *http.Request) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &pinflow.Error{Op: "read parameters", Kind: pinflow.Invalid, Err: err, Hint: "Escape what is not a letter or a digit."}
	}
	return values, nil
}

// subscription is a feed and the number of the version that the client has of it.
type subscription struct {
	*feed
	about string
	has   int64
}

// stream is one client's events until it goes away, web is closed, or another generation takes over.
func (s *Web) stream(w http.ResponseWriter, r *http.Request, all []watched, renewed <-chan struct{}) error {
	if err := s.hub.enter(); err != nil {
		return err
	}
	defer s.hub.leave()
	wake := make(chan struct{}, 1)
	subs := make([]*subscription, len(all))
	for i, each := range all {
		subs[i] = &subscription{feed: s.hub.join(each.key, each.question, wake), about: each.about}
		defer s.hub.part(subs[i].feed, wake)
	}
	if len(subs) == 1 {
		if err := s.first(r, subs[0], wake); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies shall pass events on at once
	if r.Method == http.MethodHead {
		return nil
	}
	out := &eventWriter{w: w, rc: http.NewResponseController(w)}
	if err := out.write("retry: 2000\n\n"); err != nil {
		return gone(err)
	}
	return gone(s.pump(r, out, subs, wake, renewed))
}

// first waits for the first answer of a stream's only feed, so that an error can still be the HTTP
// answer, and skips it if it is what the client has seen before it was cut off.
func (s *Web) first(r *http.Request, sub *subscription, wake chan struct{}) error {
	for sub.latest() == nil {
		select {
		case <-wake:
		case <-r.Context().Done():
			return gone(r.Context().Err())
		case <-s.hub.ctx.Done():
			return &pinflow.Error{Op: "open an event stream", Kind: pinflow.Unavailable, Err: fmt.Errorf("this Pinflow is stopping")}
		}
	}
	v := sub.latest()
	if v.err == nil && r.Header.Get("Last-Event-ID") == v.id {
		sub.has = v.number
	}
	return v.err
}

// pump writes what is new until there is nobody to write to.
func (s *Web) pump(r *http.Request, out *eventWriter, subs []*subscription, wake chan struct{}, renewed <-chan struct{}) error {
	silence := time.NewTimer(keepAlive)
	defer silence.Stop()
	for {
		if err := access.Holds(r.Context()); err != nil { // the key has been revoked: the client is told so when it comes back
			return err
		}
		for _, sub := range subs {
			if err := out.send(sub, len(subs) == 1); err != nil {
				return err
			}
		}
		silence.Reset(keepAlive)
		select {
		case <-wake:
		case <-silence.C:
			if err := out.write(": keep-alive\n\n"); err != nil {
				return err
			}
		case <-r.Context().Done():
			return nil
		case <-renewed:
			return nil
		case <-s.hub.ctx.Done():
			return nil
		}
	}
}

// eventWriter writes server-sent events.
type eventWriter struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	buf []byte
}

// send writes the subscription's newest version if the client does not have it: as a change if it has the
// one before, else in full.
func (o *eventWriter) send(sub *subscription, alone bool) error {
	v := sub.latest()
	if v == nil || v.number == sub.has {
		return nil
	}
	id, event, data := "", v.event, v.change
	if alone {
		id = v.id
	}
	switch {
	case v.err != nil:
		p := problem.Of(v.err)
		p.Instance = sub.about
		event, data = "problem", mustJSON(p)
	case data != nil && sub.has == v.number-1:
		event = "change"
	default:
		data = v.full()
	}
	sub.has = v.number
	o.buf = append(o.buf[:0], "event: "+event+"\n"...)
	if id != "" {
		o.buf = append(o.buf, "id: "+id+"\n"...)
	}
	o.buf = append(append(append(o.buf, "data: "...), data...), "\n\n"...)
	return o.write(string(o.buf))
}

// write writes and flushes within writeTimeout.
func (o *eventWriter) write(text string) error {
	if err := o.rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := o.w.Write([]byte(text)); err != nil {
		return err
	}
	return o.rc.Flush()
}
