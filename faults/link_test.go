package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// link is a proxy between a process and a service.
type link struct {
	proxy *toxiproxy.Proxy
	mu    sync.Mutex
	names []string // of the toxics in it
	// broken tells that toxics in it end connections
	broken bool
}

// linkHost is where links listen. At 127.0.0.1 an outgoing connection may take a link's port while the link starts again.
const linkHost = "127.0.0.2"

// newLink makes one to a service.
func newLink(t testing.TB, upstream string) *link {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &link{proxy: toxiproxy.NewProxy(server, upstream, linkHost+":0", upstream)}
	must(t, l.proxy.Start())
	return l
}

func (l *link) addr() string { return l.proxy.Listen }

// toxic is what happens on a link, for all its connections and in one direction.
type toxic struct {
	kind      string
	direction string // upstream, to the service, or downstream
	how       map[string]int64
}

// ail puts toxics into the link.
func (l *link) ail(t testing.TB, toxics ...toxic) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range toxics {
		name := fmt.Sprintf("%s %s %d", x.kind, x.direction, len(l.names))
		text, err := json.Marshal(map[string]any{"name": name, "type": x.kind, "stream": x.direction, "toxicity": 1, "attributes": x.how})
		must(t, err)
		_, err = l.proxy.Toxics.AddToxicJson(strings.NewReader(string(text)))
		must(t, err)
		l.names = append(l.names, name)
		l.broken = l.broken || x.kind != "latency" && x.kind != "bandwidth"
	}
}

// heal takes all toxics out of the link. Connections that were broken by them end; the others go on.
func (l *link) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken { // the proxy trips over toxics that come to a connection which is about to end: those get a collection of their own to end with
		l.proxy.Stop()
		l.proxy.Toxics = toxiproxy.NewToxicCollection(l.proxy)
		if err := l.proxy.Start(); err != nil {
			panic(fmt.Errorf("the proxy at %s does not start again: %w", l.addr(), err)) // all that follows would be wrong
		}
	} else {
		for _, name := range l.names {
			_ = l.proxy.Toxics.RemoveToxic(context.Background(), name) // it is there
		}
	}
	l.names, l.broken = nil, false
}
