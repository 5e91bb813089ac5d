package faults

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// number is that of an environment variable, or otherwise.
func number(t testing.TB, name string, otherwise float64) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(cmp.Or(os.Getenv(name), fmt.Sprint(otherwise)), 64)
	if err != nil || n <= 0 {
		t.Fatalf("%s is no number above 0: %v", name, err)
	}
	return n
}

// maxMemory is what a process may have resident, whatever happens. The batch's has DuckDBs of 96 and of 384 MiB by its settings, besides the records in hand.
func maxMemory(role string) int64 {
	if role == "schedule" {
		return 800 << 20
	}
	return 512 << 20
}

// takeoverTime is within what time others go on with what a process had that is gone.
const takeoverTime = 15 * time.Second

// TestRandomFaults runs every role in processes of its own, two of each at a time, and lets faults come by chance while 2,000 posts arrive per second: kill -9, pauses longer
// than a member of a group may be silent, processes exchanged one after the other, links that go wrong, sessions ended. FAULT_MINUTES is for how long (a third of a minute; in CI three),
// PINFLOW_SEED which ones.
func TestRandomFaults(t *testing.T) {
	minutes := 0.33
	if os.Getenv("CI") == "true" {
		minutes = 3
	}
	d := time.Duration(number(t, "FAULT_MINUTES", minutes) * float64(time.Minute))
	seed := uint64(number(t, "PINFLOW_SEED", float64(1+time.Now().Unix()%1000)))
	t.Logf("PINFLOW_SEED=%d for %s", seed, d)
	w := newWorld(t, "--log-period", "20s")
	w.startAll("ingest-1", "ingest-2", "lake-1", "lake-2", "stream-1", "stream-2", "schedule-1", "schedule-2", "web-1", "web-2")
	for _, role := range roles {
		w.add(role + "-3") // who comes when another goes
	}
	p := w.post(seed, 2000, 4)
	w.follow()
	readers := w.watchReaders()
	c := &chance{w: w, random: rand.New(rand.NewPCG(seed, 11)), ends: map[string]ending{}, counts: map[string]int{}, measure: time.Now().Add(measuredEvery / 4)}
	for end := time.Now().Add(d); time.Now().Before(end); {
		c.step()
	}
	c.calm()
	posting := time.Now()
	p.end(t)
	t.Logf("the last posts were answered %s after the last fault", time.Since(posting).Round(time.Millisecond))
	readers()
	following := time.Now()
	w.follow()
	t.Logf("lake and store had all %s later", time.Since(following).Round(100*time.Millisecond))
	w.check(p)
	c.report()
}

var roles = []string{"ingest", "lake", "stream", "schedule", "web"}

// chance lets faults come.
type chance struct {
	w         *world
	random    *rand.Rand
	ends      map[string]ending // of faults under way, by the process they befell
	counts    map[string]int
	takeovers []takeover
	measure   time.Time // when a takeover is measured next
}

// ending ends a fault when its time has come.
type ending struct {
	at  time.Time
	end func()
}

// takeover is how long others took to go on with what a process had.
type takeover struct {
	how, who string
	took     time.Duration
}

func (c *chance) intN(n int) int { return c.random.IntN(n) }

func (c *chance) span(least, most time.Duration) time.Duration {
	return least + time.Duration(c.random.Int64N(int64(most-least)))
}

// note counts a fault and tells of it.
func (c *chance) note(kind, what string) {
	c.counts[kind]++
	c.w.t.Logf("%s %s: %s", time.Now().UTC().Format("15:04:05.000"), kind, what)
}

// measuredEvery is how often a process with partitions is taken away while nothing else happens.
const measuredEvery = 40 * time.Second

// step lets one thing happen, and some time pass.
func (c *chance) step() {
	c.settle(time.Now())
	switch n := c.intN(20); {
	case !time.Now().Before(c.measure):
		c.gone()
		c.measure = time.Now().Add(measuredEvery)
	case n < 6:
		c.link()
	case n < 11:
		c.kill()
	case n < 15:
		c.roll()
	case n < 18:
		c.pause()
	default:
		c.w.endSessions(300 * time.Millisecond)
		c.note("sessions", "ended for a while")
	}
	rest(c.w.t.Context(), c.span(100*time.Millisecond, 1500*time.Millisecond))
}

// settle ends faults whose time has come.
func (c *chance) settle(now time.Time) {
	for _, name := range slices.Sorted(maps.Keys(c.ends)) {
		if e := c.ends[name]; now.After(e.at) {
			delete(c.ends, name)
			e.end()
		}
	}
}

// calm ends all faults.
func (c *chance) calm() { c.settle(time.Now().Add(time.Hour)) }

// pick picks a process that runs and to which nothing happens; nil if there is none.
func (c *chance) pick(of ...string) *process {
	var all []*process
	for _, name := range slices.Sorted(maps.Keys(c.w.processes)) {
		p := c.w.processes[name]
		role, _, _ := strings.Cut(name, "-")
		if _, ill := c.ends[name]; !ill && slices.Contains(of, role) && !p.hasEnded() {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[c.intN(len(all))]
}

// link lets a link of a process, or of all, go wrong for some seconds.
func (c *chance) link() {
	p := c.pick(roles...)
	if p == nil {
		return
	}
	service := []string{toKafka, toS3, toPostgres}[c.intN(3)]
	ill := illnesses[c.intN(len(illnesses))]
	p.ail(c.w.t, service, ill.toxics...)
	d := c.span(time.Second, 12*time.Second)
	c.ends[p.name] = ending{time.Now().Add(d), p.heal}
	c.note("link", fmt.Sprintf("%s to %s for %s: %s", p.name, service, d.Round(time.Millisecond), ill.name))
}

// kill kills a process and starts it again some time later.
func (c *chance) kill() {
	p := c.pick(roles...)
	if p == nil {
		return
	}
	p.kill()
	d := c.span(0, 4*time.Second)
	c.ends[p.name] = ending{time.Now().Add(d), func() { p.start(c.w.t) }}
	c.note("kill", fmt.Sprintf("%s for %s", p.name, d.Round(time.Millisecond)))
}

// pause pauses a process for some time.
func (c *chance) pause() {
	p := c.pick(roles...)
	if p == nil {
		return
	}
	p.signal(syscall.SIGSTOP)
	d := c.span(100*time.Millisecond, 14*time.Second)
	c.ends[p.name] = ending{time.Now().Add(d), func() { p.signal(syscall.SIGCONT) }}
	c.note("pause", fmt.Sprintf("%s for %s", p.name, d.Round(time.Millisecond)))
}

// roll starts a process that does not run and stops another one of its role, in an orderly way.
func (c *chance) roll() {
	role := roles[c.intN(len(roles))]
	old := c.pick(role)
	for _, next := range c.w.of(role) {
		if _, ill := c.ends[next.name]; !ill && next.hasEnded() && old != nil {
			next.start(c.w.t)
			old.stop(c.w.t)
			c.note("roll", old.name+" to "+next.name)
			return
		}
	}
}

// gone takes a process away that has partitions, once nothing else happens, and measures how long it is until all partitions get on; then brings it back. By turns it
// is a writer of the lake or a live worker, killed or paused.
func (c *chance) gone() {
	c.calm()
	c.w.follow() // what went wrong before is over
	role, how, at := "lake", "killed", c.w.lakeEnds
	if len(c.takeovers)%2 == 1 {
		role, at = "stream", c.w.counted
	}
	p := c.pick(role)
	if len(c.takeovers)/2%2 == 0 {
		p.kill()
	} else {
		how = "paused"
		p.signal(syscall.SIGSTOP)
	}
	began := time.Now()
	c.w.moves(role, at)
	took := time.Since(began)
	c.takeovers = append(c.takeovers, takeover{how, p.name, took})
	c.note("takeover", fmt.Sprintf("%s was %s, others went on after %s", p.name, how, took.Round(time.Millisecond)))
	if took > takeoverTime {
		c.w.t.Errorf("%s was %s, and others went on with what it had after %s", p.name, how, took)
	}
	if how == "killed" {
		p.start(c.w.t)
		return
	}
	rest(c.w.t.Context(), c.span(0, 3*time.Second))
	p.signal(syscall.SIGCONT)
}

// report tells what happened, and what memory it took.
func (c *chance) report() {
	c.w.t.Logf("faults: %v", c.counts)
	for _, o := range c.takeovers {
		c.w.t.Logf("takeover: %s %s, %s", o.who, o.how, o.took.Round(time.Millisecond))
	}
	peaks := map[string]int64{}
	for _, name := range slices.Sorted(maps.Keys(c.w.processes)) {
		peak := c.w.processes[name].peak
		role, _, _ := strings.Cut(name, "-")
		peaks[role] = max(peaks[role], peak>>20)
		if peak > maxMemory(role) {
			c.w.t.Errorf("%s had %d MiB resident", name, peak>>20)
		}
	}
	c.w.t.Logf("the most MiB resident: %v", peaks)
}
