package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/pipelines"
	"github.com/pinflow/pinflow/refine/plan"
)

// TestSeeds is the metamorphic suite on the real parts: worlds side by side, each with a log period of two seconds, in which a process that does everything is killed and
// started again while pins are posted, posted again and moved between categories. In every third of them the definition changes on the way. At the end every
// metric is its SQL over all that was accepted. PINFLOW_SEEDS is how many; eight otherwise.
//
// The suite in refine runs in virtual time, in which no real service can take part: what it lets happen is chosen by the seed here, too, but when it does is not.
func TestSeeds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(number(t, "PINFLOW_SEEDS", 8)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 13))
			w := newWorld(t)
			w.startAll("up-1")
			up := w.processes["up-1"]
			p := w.post(100+seed, float64(40+r.IntN(80)), 1)
			readers := w.watchReaders()
			const rounds = 2
			for round := range rounds {
				rest(t.Context(), time.Duration(500+r.IntN(2000))*time.Millisecond)
				switch r.IntN(4) {
				case 0:
					up.stop(t)
				case 1:
					up.ail(t, []string{toKafka, toS3, toPostgres}[r.IntN(3)], illnesses[r.IntN(len(illnesses))].toxics...)
					rest(t.Context(), time.Duration(r.IntN(2000))*time.Millisecond)
					up.kill()
					up.heal()
				default:
					up.kill()
				}
				if seed%3 == 1 && round == rounds-1 {
					w.changeDefinition()
				}
				up.start(t)
			}
			w.moves("journal", w.journalEnds)
			p.end(t)
			if seed%3 == 1 {
				w.isServed(w.plan.Generation)
			}
			w.follow()
			readers()
			w.check(p)
		})
	}
}

// changeDefinition adds a metric to the definition.
func (w *world) changeDefinition() {
	t := w.t
	t.Helper()
	must(t, os.WriteFile(filepath.Join(w.pipeline, "metrics", "pins_by_poster_known.sql"),
		[]byte("-- Pins by whether their poster is known.\nSELECT poster_name IS NOT NULL AS known, category, count(*) AS pins, sum(follower_count) AS followers FROM pins GROUP BY ALL\n"), 0o600))
	var faults []pinflow.Fault
	if w.definition, faults = pipelines.Load(os.DirFS(w.pipeline), w.pipeline); len(faults) > 0 {
		t.Fatal(faults)
	}
	var err error
	if w.plan, faults, err = plan.Compile(t.Context(), w.definition); err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
}

// isServed waits until readers see a generation.
func (w *world) isServed(generation string) {
	w.t.Helper()
	var current string
	within(w.t, patience, func() string { return "readers see " + current + ", not " + generation }, func() bool {
		err := w.db.QueryRow(context.WithoutCancel(w.t.Context()), "SELECT coalesce(current, '') FROM _pinflow.store").Scan(&current)
		return err == nil && strings.TrimSpace(current) == generation
	})
}
