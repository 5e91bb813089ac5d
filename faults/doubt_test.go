package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestInDoubt aims at the moments in which a writer cannot know what became of what it wrote: the answer to a COMMIT that was carried out gets lost, and writers are
// paused in the middle of what they do for so long that others have gone on when they wake. Links have a latency, so that most of a writer's time is such a moment.
func TestInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--log-period", "5s")
	f, addr := newForgetful(t)
	w.postgres = addr
	w.startAll("ingest-1", "lake-1", "lake-2", "stream-1", "stream-2", "schedule-1", "web-1")
	p := w.post(6, 400, 1)
	r := rand.New(rand.NewPCG(uint64(number(t, "PINFLOW_SEED", 6)), 17))
	w.moves("store", w.counted)
	for range 5 {
		f.lose.Store(4)
		eventually(t, "answers have got lost", func() bool { return f.lose.Load() <= 0 })
		w.moves("store", w.counted)
	}
	lost := w.fences()
	for round := range 2 {
		zombies := []*process{w.of("lake")[round], w.of("stream")[round]}
		for _, zombie := range zombies {
			for _, service := range []string{toS3, toPostgres} {
				zombie.ail(t, service, both("latency", map[string]int64{"latency": 20})...)
			}
		}
		rest(t.Context(), time.Duration(200+r.IntN(300))*time.Millisecond)
		for _, zombie := range zombies {
			zombie.signal(syscall.SIGSTOP)
		}
		w.moves("lake", w.lakeEnds)
		w.moves("store", w.counted)
		for _, zombie := range zombies {
			zombie.signal(syscall.SIGCONT)
		}
		w.moves("lake", w.lakeEnds)
		w.moves("store", w.counted)
		for _, zombie := range zombies {
			zombie.heal()
		}
	}
	t.Logf("%d answers to a COMMIT were lost; %d batches were fenced off, and %d more after pauses", f.lost.Load(), lost, w.fences()-lost)
	if lost == 0 {
		t.Error("no live worker has lost the answer to a commit")
	}
	p.end(t)
	w.check(p)
}

// fences is how many batches the live workers that run were not let commit, since the store was further than they.
func (w *world) fences() (n int) {
	w.t.Helper()
	for _, p := range w.of("stream") {
		status, _, text := p.answers(http.MethodGet, "/metrics", "")
		if status != http.StatusOK {
			w.t.Errorf("%s answers %d", p.name, status)
		}
		for l := range strings.Lines(text) {
			var value float64
			if _, rest, ok := strings.Cut(l, "} "); ok && strings.HasPrefix(l, "pinflow_live_fenced_total{") {
				if _, err := fmt.Sscan(rest, &value); err != nil {
					w.t.Error(err)
				}
				n += int(value)
			}
		}
	}
	return n
}
