package web

import (
	"context"
	"fmt"
	"sync"

	"github.com/pinflow/pinflow"
)

// hub is all event streams and what feeds them: one feed per different question, however many ask it.
type hub struct {
	ctx    context.Context // ends with close
	cancel context.CancelFunc
	max    int // clients

	mu      sync.Mutex
	renewed chan struct{} // closed when streams are to begin anew
	clients int
	feeds   map[string]*feed
	running sync.WaitGroup
}

func newHub(maxClients int) *hub {
	h := &hub{max: maxClients, feeds: map[string]*feed{}, renewed: make(chan struct{})}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// enter counts a client in, or refuses it: Unavailable. It must leave.
func (h *hub) enter() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var why error
	switch {
	case h.ctx.Err() != nil:
		why = fmt.Errorf("this Pinflow is stopping")
	case h.clients >= h.max:
		why = fmt.Errorf("there are %d already, which is the limit", h.max)
	default:
		h.clients++
		return nil
	}
	return &pinflow.Error{Op: "open an event stream", Kind: pinflow.Unavailable, Err: why, Hint: "Try again later, or ask for the rows without /events."}
}

func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients--
}

// join makes wake (of capacity 1) hear of the feed's versions, and starts the feed if nobody watches it
// yet. Part with it in the end.
func (h *hub) join(key string, q question, wake chan struct{}) *feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds[key]
	if f == nil {
		f = &feed{key: key, question: q, watchers: map[chan struct{}]struct{}{}}
		h.feeds[key] = f
		ctx, stop := context.WithCancel(h.ctx)
		f.stop = stop
		if h.ctx.Err() == nil {
			h.running.Go(func() { f.run(ctx) })
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers[wake] = struct{}{}
	return f
}

// part ends what join began; the last to part stops the feed.
func (h *hub) part(f *feed, wake chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.watchers, wake)
	if len(f.watchers) == 0 {
		f.stop()
		if h.feeds[f.key] == f {
			delete(h.feeds, f.key)
		}
	}
}

// renewal returns a channel that is closed when what feeds ask no longer holds.
func (h *hub) renewal() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.renewed
}

// renew ends all streams. Nobody joins the feeds of metrics that there are; each ends with its last watcher.
func (h *hub) renew() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.renewed)
	h.renewed = make(chan struct{})
	for key := range h.feeds {
		if key != statusKey {
			delete(h.feeds, key)
		}
	}
}

func (h *hub) size() (clients, feeds int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clients, len(h.feeds)
}

// close ends the feeds and waits for them. Streams end by themselves when they see it.
func (h *hub) close() {
	h.mu.Lock()
	h.cancel()
	h.mu.Unlock()
	h.running.Wait()
}
