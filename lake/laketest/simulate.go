package laketest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
)

// Simulate runs writers against one lake through what chance (seed) has in store for them: rebalances, members that are
// lost and do not know, crashes, puts that fail, that succeed and say they failed, or that land minutes later, a broker's clock
// that steps back, quiet hours, partitions that are added or never get a record, retention, while sealers, which are killed too, seal what they can. Then it
// lets one writer and one sealer finish, and returns what is wrong with the lake. All of it happens on a clock of its own, so hours take milliseconds.
func Simulate(t *testing.T, seed uint64) (err error) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, seed)
		err = s.run()
	})
	return err
}

// simulation is one run.
type simulation struct {
	t       *testing.T
	random  *rand.Rand
	journal *Journal
	memory  *Memory
	unzip   gzip.Reader
	late    sync.WaitGroup
	length  time.Duration
	options lake.Options
	faults  float64
	slow    time.Duration
	clock   int64        // the broker's, Unix ms
	latest  atomic.Int64 // the latest that it ever was
	quiet   map[pinflow.TopicPartition]bool
	sealing sealing
	crew    []*worker
	leavers sync.WaitGroup // workers that take their time to leave

	mu     sync.Mutex
	faulty error // the first promise broken on the way
}

// worker is a process with a writer.
type worker struct {
	*lake.Writer
	process *Process
	client  *Client
	cancel  context.CancelFunc
	done    chan error
	killed  bool
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	r := rand.New(rand.NewPCG(seed, 3))
	s := &simulation{t: t, random: r, memory: &Memory{}, clock: 1_790_000_000_000, quiet: map[pinflow.TopicPartition]bool{}}
	s.latest.Store(s.clock)
	s.length = []time.Duration{time.Second, 5 * time.Second, time.Minute, time.Hour, 24 * time.Hour}[r.IntN(5)]
	s.faults = []float64{0, 0.05, 0.3}[r.IntN(3)]
	s.slow = []time.Duration{0, 100 * time.Millisecond, 5 * time.Second}[r.IntN(3)]
	s.journal = NewJournal(seed, s.slow)
	s.journal.Faults = s.faults / 3
	s.journal.OnCommitted = func(tp pinflow.TopicPartition, offset int64) { s.promised("the group was told", tp, offset) }
	topics := []string{testTopic}
	s.journal.Create(testTopic, 1+r.IntN(4))
	if r.IntN(2) == 0 {
		topics = append(topics, "another")
		s.journal.Create("another", 1+r.IntN(2))
	}
	for _, tp := range s.journal.Partitions() {
		s.quiet[tp] = r.IntN(6) == 0
	}
	s.options = lake.Options{Topics: topics, Unkeyed: topics, PeriodLength: pinflow.PeriodLength(s.length),
		FlushAge:   []time.Duration{time.Second, 20 * time.Second, 10 * time.Minute}[r.IntN(3)],
		FlushCount: []int{0, 1, 7, 100}[r.IntN(4)], FlushBytes: []int64{0, 300, 5000}[r.IntN(3)],
		Memory: []int64{0, 1, 4000}[r.IntN(3)], LeaveTimeout: []time.Duration{time.Second, 20 * time.Second, 0}[r.IntN(3)],
		Log: slog.New(slog.DiscardHandler)}
	s.newSealing()
	return s
}

func (s *simulation) run() error {
	ctx := s.t.Context()
	for range 1 + s.random.IntN(3) {
		s.hire(s.faults, s.slow)
	}
	for range 60 + s.random.IntN(100) {
		s.step()
		time.Sleep(s.pauses())
	}
	for _, w := range s.crew {
		s.leave(w)
	}
	s.crew = nil
	last := s.hire(0, 0)
	for i := 0; !s.complete() && i < 100; i++ {
		time.Sleep(time.Minute)
	}
	err := s.leave(last)
	s.leavers.Wait()
	s.late.Wait()
	if err != nil {
		return fmt.Errorf("the last writer: %w", err)
	}
	if s.faulty != nil {
		return s.faulty
	}
	for _, topic := range s.options.Topics {
		if err := Check(ctx, s.journal, s.memory, topic, s.length, true); err != nil {
			return err
		}
	}
	return s.sealRest(ctx)
}

// complete tells whether the lake has the journal's last records.
func (s *simulation) complete() bool {
	for _, tp := range s.journal.Partitions() {
		if all := s.journal.Records(tp); len(all) > 0 && s.end(tp) <= all[len(all)-1].Offset {
			return false
		}
	}
	return true
}

func (s *simulation) pauses() time.Duration {
	d := []time.Duration{0, 10 * time.Millisecond, time.Second, 30 * time.Second, 5 * time.Minute}[s.random.IntN(5)]
	if d > 0 {
		d = time.Duration(s.random.Int64N(int64(d)))
	}
	return d
}

// step does one thing that may happen at any time.
func (s *simulation) step() {
	tps := s.journal.Partitions()
	tp := tps[s.random.IntN(len(tps))]
	switch n := s.random.IntN(100); {
	case n < 40:
		for range s.random.IntN(30) {
			s.tick()
			if tp := tps[s.random.IntN(len(tps))]; !s.quiet[tp] {
				s.journal.Append(Draft(s.random, tp, s.clock))
			}
		}
	case n < 55:
		s.sealStep()
	case n < 57:
		s.wind(s.random.Int64N(4 * s.length.Milliseconds())) // nobody posts
	case n < 59:
		s.journal.Skip(tp)
	case n < 60:
		if len(tps) < 7 {
			s.journal.Grow(tp.Topic, 1+s.partitions(tp.Topic))
		}
	case n < 67:
		s.journal.Rebalance()
	case n < 79:
		s.journal.Steal(tp, s.pauses())
	case n < 83:
		s.journal.AssignAgain(tp)
	case n < 87:
		if len(s.crew) < 4 {
			s.hire(s.faults, s.slow)
		}
	case n < 90:
		s.leaveOne(false)
	case n < 94:
		s.leaveOne(true)
	case n < 97:
		s.retain(tp)
	default:
		for _, w := range s.crew {
			for tp, end := range w.Ends() {
				s.promised("a writer said that the lake ends at", tp, end)
			}
		}
	}
}

// tick moves the broker's clock, at times back, at times far.
func (s *simulation) tick() {
	length := s.length.Milliseconds()
	switch n := s.random.IntN(40); {
	case n == 0:
		s.wind(-s.random.Int64N(3 * length))
	case n < 3:
		s.wind(s.random.Int64N(3 * length))
	default:
		s.wind(s.random.Int64N(length/10 + 1))
	}
}

// wind sets the broker's clock forward or back.
func (s *simulation) wind(by int64) {
	s.clock += by
	if least := s.latest.Load() - s.sealing.grace.Milliseconds(); s.sealing.within {
		s.clock = max(s.clock, least)
	}
	s.latest.Store(max(s.latest.Load(), s.clock))
}

// partitions is how many a topic has.
func (s *simulation) partitions(topic string) (n int) {
	for _, tp := range s.journal.Partitions() {
		if tp.Topic == topic {
			n++
		}
	}
	return n
}

// hire starts a process with a writer.
func (s *simulation) hire(faults float64, slow time.Duration) *worker {
	w := &worker{process: NewProcess(s.memory, &s.late, s.random.Uint64(), faults, slow), client: s.journal.Client(), done: make(chan error, 1)}
	o := s.options
	o.Journal, o.Objects = w.client, w.process
	var err error
	if w.Writer, err = lake.NewWriter(o); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	w.cancel = cancel
	go func() { w.done <- w.Run(ctx) }()
	s.crew = append(s.crew, w)
	return w
}

// leaveOne ends a process, by a signal or by a kill.
func (s *simulation) leaveOne(killed bool) {
	if len(s.crew) < 2 {
		return
	}
	i := s.random.IntN(len(s.crew))
	w := s.crew[i]
	s.crew = append(s.crew[:i], s.crew[i+1:]...)
	if killed {
		w.killed = true
		w.client.Kill()
		w.process.Kill()
	}
	if s.random.IntN(2) == 0 {
		s.leavers.Go(func() { s.leave(w) })
	} else {
		s.leave(w)
	}
}

// leave ends a writer. It may leave records to the journal if its place of objects is bad, and nothing else may be wrong.
func (s *simulation) leave(w *worker) error {
	w.cancel()
	err := <-w.done
	bad := s.faults > 0 || s.slow > 0
	if err != nil && !w.killed && !(bad && strings.Contains(err.Error(), "it was not done within")) {
		s.fault(fmt.Errorf("a writer gave up: %w", err))
	}
	return err
}

func (s *simulation) fault(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faulty == nil {
		s.faulty = err
	}
}

// retain lets the journal forget what the lake has.
func (s *simulation) retain(tp pinflow.TopicPartition) {
	end := s.end(tp)
	s.journal.Truncate(tp, end)
}

// promised checks that the lake has all that it was said to have.
func (s *simulation) promised(who string, tp pinflow.TopicPartition, end int64) {
	if has := s.end(tp); end > has {
		s.fault(fmt.Errorf("%s %d of %s when the lake ended at %d", who, end, tp, has))
	}
}

// end is where the partition's objects end, found by looking at all of them.
func (s *simulation) end(tp pinflow.TopicPartition) (end int64) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	part := fmt.Sprintf("/%05d-", tp.Partition)
	newest := ""
	for name := range s.memory.objects {
		if at := strings.Index(name, part); at > 0 && strings.HasPrefix(name, "raw/"+tp.Topic+"/") && strings.HasSuffix(name, ".json.gz") && (newest == "" || name[at:] > newest[strings.Index(newest, part):]) {
			newest = name
		}
	}
	if newest == "" {
		return 0
	}
	if err := s.unzip.Reset(bytes.NewReader(s.memory.objects[newest])); err != nil {
		s.t.Fatal(err)
	}
	d := json.NewDecoder(&s.unzip)
	for d.More() {
		var line struct {
			Offset int64 `json:"_offset"`
		}
		if err := d.Decode(&line); err != nil {
			s.t.Fatal(err)
		}
		end = line.Offset + 1
	}
	return end
}
