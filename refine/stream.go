package refine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/prometheus/client_golang/prometheus"
)

// Options are what a Stream needs. Zero limits take the defaults.
type Options struct {
	Journal pinflow.Subscriber
	// History is read where the journal has deleted what is to be counted; nil for nowhere: then such a partition stops.
	History History
	Engine  pinflow.LiveEngine
	Store   pinflow.LiveStore
	Plan    *pinflow.Plan
	Period  pinflow.PeriodLength
	Group   string // the consumer group; "pinflow-live"
	// Start returns the offset at which counting starts in partitions of which the generation has no
	// progress; nil for 0 everywhere.
	Start func(context.Context, []pinflow.TopicPartition) (map[pinflow.TopicPartition]int64, error)

	MaxRecords int           // records of a batch; one per 1.5 KiB of Memory, so 16,384 of 24 MiB
	Memory     int64         // bytes of the records in hand, over both batches, and a quarter of it more while the history is read; 24 MiB
	Gather     time.Duration // how long a batch that is not full waits for more; 15 ms, negative for not at all
	Log        *slog.Logger
	// Metrics takes the worker's metrics; nil for none. Each worker of a process needs a registerer of its
	// own, as prometheus.WrapRegistererWith makes.
	Metrics prometheus.Registerer
}

func (o *Options) setDefaults() {
	if o.Period == 0 {
		o.Period = pinflow.DefaultPeriodLength
	}
	if o.Group == "" {
		o.Group = "pinflow-live"
	}
	if o.Memory <= 0 {
		o.Memory = 24 << 20
	}
	if o.MaxRecords <= 0 {
		o.MaxRecords = int(max(o.Memory/1536, 1))
	}
	if o.Gather == 0 {
		o.Gather = 15 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

const (
	firstDelay = 100 * time.Millisecond // before trying again, doubling
	longDelay  = 15 * time.Second
	// finishTime is how long a commit that has begun may go on after the worker has been told to end.
	finishTime = 10 * time.Second
)

// Stream is a live worker. Any number of them share the partitions of the plan's topics, in one
// process or in several.
type Stream struct {
	Options
	metrics *metrics
	ctx     context.Context // that of Run
	unread  int             // how often in a row positions could not be read again; of the goroutine of Run
	readers sync.WaitGroup  // of the history
	reading chan struct{}   // a token per partition that is being read from the history

	mu      sync.Mutex
	parts   map[pinflow.TopicPartition]*partition // those assigned
	hands   map[*hand]bool                        // batches formed and not yet done with
	turn    int                                   // which partition a batch takes records of first
	wake    context.CancelFunc                    // ends the poll under way: a partition has been lost
	lastErr error
}

// NewStream makes a worker and registers its metrics.
func NewStream(o Options) (*Stream, error) {
	o.setDefaults()
	s := &Stream{Options: o, ctx: context.Background(), parts: map[pinflow.TopicPartition]*partition{}, hands: map[*hand]bool{}, wake: func() {}, reading: make(chan struct{}, pastReaders)}
	if o.Journal == nil || o.Engine == nil || o.Store == nil || o.Plan == nil {
		return nil, &pinflow.Error{Op: "make a live worker", Kind: pinflow.Invalid, Err: errors.New("it needs a journal, an engine, a store and a plan")}
	}
	var err error
	if s.metrics, err = newMetrics(s, o.Metrics); err != nil {
		return nil, &pinflow.Error{Op: "register the metrics of the live worker", Err: err}
	}
	return s, nil
}

// Run works until ctx ends; then it lets a commit that has begun end, drops the rest and returns nil. What can be tried
// again is tried again. A partition whose records the journal no longer has stops by itself, see Partitions; an
// error that Run returns is one that stops all: a store of another pipeline, say. Run may be called once.
func (s *Stream) Run(ctx context.Context) error {
	s.ctx = ctx
	err := s.retry(ctx, "prepare the store", unavailable, func() error { return s.Store.Prepare(ctx, s.Plan) })
	delay := firstDelay
	for err == nil && ctx.Err() == nil {
		began := time.Now()
		err = s.session(ctx)
		if ctx.Err() != nil || !unavailable(err) {
			break
		}
		s.failed("read the journal", err)
		if time.Since(began) > longDelay {
			delay = firstDelay
		}
		pause(ctx, delay)
		delay, err = min(2*delay, longDelay), nil
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// session is one membership in the group, until ctx ends or it fails.
func (s *Stream) session(ctx context.Context) error {
	sub, err := s.Journal.Subscribe(ctx, s.Group, s.topics(), group{s})
	if err != nil {
		return err
	}
	err = s.work(ctx, sub)
	closing := sub.Close()
	s.forgetAll()
	s.readers.Wait()
	if err == nil && ctx.Err() == nil {
		err = closing
	}
	return err
}

// work fetches and refines a batch while the one before is being committed.
func (s *Stream) work(ctx context.Context, sub pinflow.Subscription) error {
	var before *hand
	defer func() {
		if before != nil {
			<-before.done
		}
	}()
	for {
		if err := s.rewind(ctx, sub); err != nil {
			return err
		}
		h, err := s.gather(ctx, sub)
		if err != nil {
			return err
		}
		if h == nil {
			continue
		}
		delta, ok := s.refine(ctx, h)
		if before != nil {
			await(sub, before)
		}
		if before = nil; ok && s.begin(h, &delta) {
			before = h
			go s.commit(ctx, sub, h, delta)
		}
	}
}

// await waits until a batch is done with, and lets the group rebalance meanwhile.
func await(sub pinflow.Subscription, h *hand) {
	select {
	case <-h.done:
	default:
		sub.Release()
		<-h.done
	}
}

func (s *Stream) topics() []string {
	topics := make([]string, len(s.Plan.Sources))
	for i := range s.Plan.Sources {
		topics[i] = s.Plan.Sources[i].Topic
	}
	return topics
}

// unavailable tells whether an error goes away by itself.
func unavailable(err error) bool { return pinflow.KindOf(err) == pinflow.Unavailable }

// passing tells whether an error may go away: in a worker that has run, a fault of the machine (a full disk, say) is no
// reason to end.
func passing(err error) bool { return unavailable(err) || pinflow.KindOf(err) == pinflow.Internal }

// retry calls f until it succeeds, fails for good, or ctx ends.
func (s *Stream) retry(ctx context.Context, what string, again func(error) bool, f func() error) error {
	for delay := firstDelay; ; delay = min(2*delay, longDelay) {
		err := f()
		if err == nil || ctx.Err() != nil || !again(err) {
			return err
		}
		s.failed(what, err)
		pause(ctx, delay)
	}
}

// failed reports an error that the worker gets over.
func (s *Stream) failed(what string, err error) {
	s.metrics.failed(err)
	s.Log.Warn("live: could not "+what, "error", err, "hint", pinflow.HintOf(err))
	s.mu.Lock()
	s.lastErr = fmt.Errorf("could not %s: %w", what, err)
	s.mu.Unlock()
}

// pause waits for a time or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
