package faults

import (
	"net/http"
	"testing"
	"time"
)

// illness is how a link can go wrong.
type illness struct {
	name   string
	toxics []toxic
	dumb   bool // nothing gets through
}

// both is a toxic in both directions.
func both(kind string, how map[string]int64) []toxic {
	return []toxic{{kind, "upstream", how}, {kind, "downstream", how}}
}

var illnesses = []illness{
	{name: "latency", toxics: both("latency", map[string]int64{"latency": 150, "jitter": 100})},
	{name: "connections are reset", toxics: []toxic{{"reset_peer", "upstream", map[string]int64{"timeout": 20}}}, dumb: true},
	{name: "requests are cut off", toxics: []toxic{{"limit_data", "upstream", map[string]int64{"bytes": 3000}}}},
	{name: "answers are cut off", toxics: []toxic{{"limit_data", "downstream", map[string]int64{"bytes": 700}}}},
	{name: "half open", toxics: both("timeout", map[string]int64{"timeout": 0}), dumb: true},
	{name: "slow close", toxics: append(both("slow_close", map[string]int64{"delay": 3000}), toxic{"limit_data", "upstream", map[string]int64{"bytes": 20_000}})},
	{name: "10 kB/s", toxics: both("bandwidth", map[string]int64{"rate": 10})},
}

// TestPairs lets every link between a kind of service and all processes go wrong in every way, one after the other. What does not need the service goes on
// meanwhile, and what does catches up afterwards by itself.
func TestPairs(t *testing.T) {
	t.Parallel()
	for _, service := range []string{toKafka, toS3, toPostgres} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "--log-period", "5s")
			w.startAll("ingest-1", "lake-1", "stream-1", "schedule-1", "web-1")
			p := w.post(1, 150, 1)
			w.follow()
			for _, ill := range illnesses {
				began := time.Now()
				for _, process := range w.processes {
					process.ail(t, service, ill.toxics...)
				}
				switch {
				case service == toPostgres: // a slow store slows the live half only
					w.moves("journal", w.journalEnds)
					w.moves("lake", w.lakeEnds)
				case service == toS3: // the lake waits, and nobody else
					w.moves("journal", w.journalEnds)
					w.moves("store", w.counted)
				case ill.dumb:
					w.refuses(w.processes["ingest-1"])
				}
				rest(t.Context(), 2*time.Second)
				during := time.Since(began)
				for _, process := range w.processes {
					process.heal()
				}
				healed := time.Now()
				w.moves("journal", w.journalEnds)
				w.follow()
				t.Logf("%s for %s: all caught up %s later", ill.name, during.Round(100*time.Millisecond), time.Since(healed).Round(100*time.Millisecond))
			}
			p.end(t)
			w.check(p)
		})
	}
}

// refuses checks that a post which the journal cannot take is answered 503 with Retry-After, in time.
func (w *world) refuses(ingest *process) {
	w.t.Helper()
	began := time.Now()
	status, header, text := ingest.answers(http.MethodPost, "/pin/", string(newRows(99, nil).newPin()))
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		w.t.Errorf("a post that Kafka cannot take is answered %d, Retry-After %q after %s: %s", status, header.Get("Retry-After"), time.Since(began), text)
	}
}
