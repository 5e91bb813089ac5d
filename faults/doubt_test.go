package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestInDoubt aims at the moments in which a writer cannot know what became of what it wrote: the answer to a COMMIT that was carried out gets lost, and writers are
// paused in the middle of what they do for so long that others have gone on when they wake. Links have a latency, so that most of a writer's time is such a moment.
// No other world runs beside it, since how soon others go on counts.
func TestInDoubt(t *testing.T) {
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
		zombies[0].signal(syscall.SIGSTOP)
		w.pauseWithLocks(zombies[1], r)
		paused := time.Now()
		w.moves("store", w.counted)
		took := time.Since(paused)
		t.Logf("%s was paused with its partitions locked; others went on after %s", zombies[1].name, took.Round(time.Millisecond))
		if took > takeoverTime {
			t.Error("that is too long")
		}
		w.moves("lake", w.lakeEnds)
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

// pauseWithLocks pauses a live worker at a moment in which its transaction holds the lock on partitions.
func (w *world) pauseWithLocks(p *process, r *rand.Rand) {
	w.t.Helper()
	const unlocked = `SELECT count(*) FROM (SELECT FROM _pinflow.progress WHERE topic = $1 AND generation = (SELECT current FROM _pinflow.store) FOR UPDATE SKIP LOCKED) x`
	locked := func() bool {
		var n int
		must(w.t, w.db.QueryRow(w.t.Context(), unlocked, w.name).Scan(&n))
		return n < partitions
	}
	others := slices.DeleteFunc(w.of("stream"), func(o *process) bool { return o == p })
	eventually(w.t, p.name+" holds a lock while it is paused", func() bool {
		rest(w.t.Context(), time.Duration(r.IntN(200))*time.Millisecond)
		p.signal(syscall.SIGSTOP)
		for _, other := range others { // so that it is none of theirs
			other.signal(syscall.SIGSTOP)
		}
		rest(w.t.Context(), 300*time.Millisecond) // what is under way gets there
		held := locked()
		for _, other := range others {
			other.signal(syscall.SIGCONT)
		}
		rest(w.t.Context(), 300*time.Millisecond)
		if held = held && locked(); !held {
			p.signal(syscall.SIGCONT)
		}
		return held
	})
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
