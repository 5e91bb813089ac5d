package lake

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/prometheus/client_golang/prometheus"
)

// Journal is what a writer needs of the journal.
type Journal interface {
	pinflow.Subscriber
	// Topic describes a topic; NotFound if there is none.
	Topic(ctx context.Context, topic string) (pinflow.Topic, error)
}

// Options are what a Writer needs. Zero limits take the defaults.
type Options struct {
	Journal      Journal
	Objects      pinflow.Objects
	Topics       []string
	Unkeyed      []string             // those of Topics to which partitions may be added; the others' count is fixed
	Group        string               // the consumer group; "pinflow-lake"
	PeriodLength pinflow.PeriodLength // 0 takes the lake's; a day in a new one
	FlushAge     time.Duration        // how long a record is kept before its object is put; 60 s
	FlushBytes   int64                // lines of an object, uncompressed; 64 MiB
	FlushCount   int                  // records of an object; 0 for no limit
	Memory       int64                // bytes held over all partitions, mostly compressed; what is more is flushed early; 64 MiB
	LeaveTimeout time.Duration        // for the flush of partitions that leave, by rebalance or shutdown; 20 s
	Log          *slog.Logger
	Metrics      prometheus.Registerer
}

func (o *Options) setDefaults() {
	if o.Group == "" {
		o.Group = "pinflow-lake"
	}
	if o.FlushAge <= 0 {
		o.FlushAge = time.Minute
	}
	if o.FlushBytes <= 0 {
		o.FlushBytes = 64 << 20
	}
	if o.Memory <= 0 {
		o.Memory = 64 << 20
	}
	if o.LeaveTimeout <= 0 {
		o.LeaveTimeout = 20 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

const (
	pollRecords = 10_000
	maxPuts     = 8                      // objects on their way at a time
	firstDelay  = 100 * time.Millisecond // before trying again, doubling
	longDelay   = 15 * time.Second
)

// Writer moves the records of topics from the journal to the lake.
type Writer struct {
	Options
	metrics *metrics
	packer  *packer
	puts    sync.WaitGroup
	slots   chan struct{}   // one per object on its way
	ctx     context.Context // that of Run: when it ends, what is held is flushed
	life    context.Context // ends when Run does

	// mu is held by whoever touches what is below: the goroutine of Run, one that puts an object, and
	// the one that tells of a rebalance.
	mu      sync.Mutex
	topics  map[string]*Topic
	parts   map[pinflow.TopicPartition]*partition
	held    int64         // bytes in buffers
	changed chan struct{} // closed, and replaced, when a put has ended or a partition has left
	wake    context.CancelFunc
	dropped error // what could not be flushed when it had to leave
}

// NewWriter makes a Writer and registers its metrics.
func NewWriter(o Options) (*Writer, error) {
	o.setDefaults()
	w := &Writer{Options: o, topics: map[string]*Topic{}, parts: map[pinflow.TopicPartition]*partition{},
		slots: make(chan struct{}, maxPuts), changed: make(chan struct{}), wake: func() {}}
	var err error
	if w.packer, err = newPacker(level); err != nil {
		return nil, &pinflow.Error{Op: "make a lake writer", Err: err}
	}
	if w.metrics, err = newMetrics(w, o.Metrics); err != nil {
		return nil, &pinflow.Error{Op: "register the metrics of the lake", Err: err}
	}
	return w, nil
}

// Run writes until ctx ends; then it flushes all that it has and returns nil. A topic that is not the lake's (another id,
// partition count or period length) and a partition whose log ends before the lake does are stopped, the
// others go on, and Run returns why at its end; if there is no topic that it can keep, it does so at once. What could not be flushed
// within LeaveTimeout is an error too; it is still in the journal. Run may be called once.
func (w *Writer) Run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	w.ctx, w.life = ctx, life
	defer w.puts.Wait()
	defer end()

	topics, refused, err := w.ensureTopics(ctx)
	if err != nil || len(topics) == 0 {
		if ctx.Err() != nil {
			return nil
		}
		return errors.Join(err, refused)
	}
	delay := firstDelay
	for {
		began := time.Now()
		err = w.session(ctx, topics)
		if ctx.Err() != nil || pinflow.KindOf(err) != pinflow.Unavailable {
			break
		}
		w.metrics.failed(err)
		w.Log.Warn("lake: the journal is not available; trying again", "error", err, "in", delay)
		if time.Since(began) > longDelay {
			delay = firstDelay
		}
		pause(ctx, delay)
		delay = min(2*delay, longDelay)
	}
	return errors.Join(err, refused, w.dropped)
}

// ensureTopics returns the topics that are kept, and joined in refused why others are not.
func (w *Writer) ensureTopics(ctx context.Context) (topics []string, refused, err error) {
	for _, name := range w.Topics {
		t, err := retry(ctx, w, name, func() (*Topic, error) {
			return w.ensureTopic(ctx, name)
		})
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case err != nil:
			w.Log.Error("lake: topic refused", "topic", name, "error", err)
			w.metrics.failed(err)
			refused = errors.Join(refused, err)
		default:
			w.topics[name] = t
			topics = append(topics, name)
		}
	}
	return topics, refused, nil
}

// ensureTopic holds a topic of the journal to the lake's. If partitions are added just then, the lake may have heard of it after the journal
// was asked: it is asked again until its answer stands.
func (w *Writer) ensureTopic(ctx context.Context, name string) (*Topic, error) {
	for partitions := -1; ; {
		topic, err := w.Journal.Topic(ctx, name)
		if err != nil {
			return nil, err
		}
		t, err := EnsureTopic(ctx, w.Objects, topic, w.PeriodLength, !slices.Contains(w.Unkeyed, name))
		if pinflow.KindOf(err) != pinflow.Invalid || len(topic.Partitions) == partitions {
			return t, err
		}
		partitions = len(topic.Partitions)
	}
}

// Ends returns where the lake ends in each partition that is this writer's at the moment. The journal must keep all from there on.
func (w *Writer) Ends() map[pinflow.TopicPartition]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	ends := make(map[pinflow.TopicPartition]int64, len(w.parts))
	for tp, p := range w.parts {
		if p.err == nil {
			ends[tp] = p.lakeEnd
		}
	}
	return ends
}

// Stopped returns why partitions have stopped; it is empty while all is well.
func (w *Writer) Stopped() map[pinflow.TopicPartition]error {
	w.mu.Lock()
	defer w.mu.Unlock()
	stopped := map[pinflow.TopicPartition]error{}
	for tp, p := range w.parts {
		if p.err != nil {
			stopped[tp] = p.err
		}
	}
	return stopped
}

// stoppedBy joins why the writer's partitions have stopped.
func (w *Writer) stoppedBy() error {
	stopped := w.Stopped()
	var all []error
	for _, tp := range slices.SortedFunc(maps.Keys(stopped), pinflow.TopicPartition.Compare) {
		all = append(all, stopped[tp])
	}
	return errors.Join(all...)
}
