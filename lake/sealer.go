package lake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
	"github.com/prometheus/client_golang/prometheus"
)

// DefaultGrace is how long after a period's end it is sealed, by default: a broker's clock may step back by less than that.
const DefaultGrace = 5 * time.Minute

// SealerOptions are what a Sealer needs.
type SealerOptions struct {
	Objects pinflow.Objects
	Journal pinflow.JournalReader
	Topics  []string
	Grace   time.Duration    // 0 for none; see DefaultGrace
	Clock   func() time.Time // nil for the machine's
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Sealer says which periods are complete, and as which records: it puts a _SUCCESS into the folder of each. Any number of
// sealers may work on one lake; the first to seal a period decides.
type Sealer struct {
	SealerOptions
	mu      sync.Mutex       // one pass at a time
	last    map[string]*seal // the newest known, by topic
	metrics *sealMetrics
}

// Sealing is how far a lake is sealed.
type Sealing struct {
	Sealed []pinflow.Period // by this call alone, oldest first
	Last   pinflow.Period   // the newest that is sealed for all topics; NoPeriod if there is none
	Next   pinflow.Period   // the one to be sealed next; NoPeriod if the lake has no record yet
	// Waiting tells what the next one waits for; Partition, if not nil, is the one of which records are missing.
	Waiting   string
	Partition *pinflow.TopicPartition
	// Until is when the grace of the next one is over, by the newest append time or the sealer's clock; zero if there is none.
	Until time.Time
}

// NewSealer makes a Sealer and registers its metrics.
func NewSealer(o SealerOptions) (*Sealer, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Grace < 0 {
		return nil, &pinflow.Error{Op: "make a sealer", Kind: pinflow.Invalid, Err: fmt.Errorf("a grace of %s", o.Grace), Hint: "A grace is 0 or more."}
	}
	o.Topics = slices.Compact(slices.Sorted(slices.Values(o.Topics))) // all sealers seal topics in the same order
	s := &Sealer{SealerOptions: o, last: map[string]*seal{}}
	var err error
	if s.metrics, err = newSealMetrics(o.Metrics); err != nil {
		return nil, &pinflow.Error{Op: "register the metrics of the sealer", Err: err}
	}
	return s, nil
}

// Seal seals every period that can be, oldest first, for all topics together. With an error, what was sealed before is told all the same.
func (s *Sealer) Seal(ctx context.Context) (Sealing, error) {
	st, err := s.run(ctx, true)
	s.metrics.told(st, err)
	if n := len(st.Sealed); n > 0 {
		s.Log.Info("lake: periods sealed", "periods", n, "from", time.UnixMilli(int64(st.Sealed[0])).UTC(), "to", time.UnixMilli(int64(st.Sealed[n-1])).UTC())
	}
	return st, err
}

// Status tells how far the lake is sealed, and what the next period waits for; "" if Seal would seal it now.
func (s *Sealer) Status(ctx context.Context) (Sealing, error) { return s.run(ctx, false) }

func (s *Sealer) run(ctx context.Context, put bool) (st Sealing, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var before errGap
	for {
		again, err := s.pass(ctx, &st, put)
		var gap errGap
		if errors.As(err, &gap) && gap != before {
			// The lake has gone on while it was looked at: an object came after its place was looked at, and one behind it before its
			// own was. If it is there, the next look finds it.
			before = gap
			continue
		}
		if err != nil || !again {
			return st, err
		}
	}
}

// pass looks at lake and journal once and seals by what it has seen. It returns true if somebody else has sealed meanwhile.
func (s *Sealer) pass(ctx context.Context, st *Sealing, put bool) (again bool, err error) {
	// The order counts: what is appended after the journal was asked has a later append time than now, but for the grace.
	// So now comes first, then the lake (whose newest append time may be later than now), then the journal.
	now := s.Clock().UnixMilli()
	st.Last, st.Next, st.Waiting, st.Partition, st.Until = pinflow.NoPeriod, pinflow.NoPeriod, "", nil, time.Time{}
	var views []*view
	for _, name := range s.Topics {
		v, err := s.look(ctx, name)
		if pinflow.KindOf(err) == pinflow.NotFound {
			st.Waiting = fmt.Sprintf("the topic %s is not in the lake yet", name)
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if len(views) > 0 && v.PeriodLength() != views[0].PeriodLength() {
			return false, &pinflow.Error{Op: "seal", On: name, Kind: pinflow.Invalid, Err: fmt.Errorf("its log period is %s, that of %s is %s", time.Duration(v.PeriodLength()), views[0].Topic.Topic, time.Duration(views[0].PeriodLength())),
				Hint: "All topics of a lake have one log period: keep the topic in another lake."}
		}
		now = max(now, v.newest)
		views = append(views, v)
	}
	for _, v := range views {
		if err := v.askJournal(ctx, s.Journal); err != nil {
			return false, err
		}
	}
	for {
		st.Last = lastOfAll(views)
		p, which := next(views)
		if len(which) == 0 {
			st.Waiting = "no record is in the lake yet"
			return false, nil
		}
		ranges, ok, err := s.sealable(ctx, st, p, now, which)
		if err != nil || !ok || !put {
			return false, err
		}
		for _, v := range which {
			created, err := s.seal(ctx, v, p, ranges, together(views, p))
			if err != nil {
				return false, err
			}
			if !created {
				return true, nil // whoever did it may have sealed other topics with this one
			}
		}
		st.Sealed = append(st.Sealed, p)
	}
}

// sealable asks the protocol whether a period can be sealed for some topics.
func (s *Sealer) sealable(ctx context.Context, st *Sealing, p pinflow.Period, now int64, which []*view) ([]protocol.Range, bool, error) {
	l, grace := which[0].PeriodLength(), s.Grace.Milliseconds()
	st.Next, st.Until = p, time.UnixMilli(int64(l.Next(p))+grace).UTC()
	if _, over, _ := protocol.Sealable(p, l, now, grace, nil); !over {
		st.Waiting = fmt.Sprintf("the period %s is sealed at %s", l.Name(p), st.Until.Format(time.RFC3339))
		return nil, false, nil
	}
	var parts []protocol.Partition
	for _, v := range which {
		for _, c := range v.chains {
			part, err := c.at(ctx, p, s.Journal)
			if err != nil {
				return nil, false, err
			}
			parts = append(parts, part)
		}
	}
	ranges, ok, missing := protocol.Sealable(p, l, now, grace, parts)
	if !ok && missing != nil {
		st.Partition = missing
		st.Waiting = fmt.Sprintf("the journal has records of %s that are not in the lake yet, and may be of the period %s", missing, l.Name(p))
	}
	return ranges, ok, nil
}

// seal puts the seal of a topic's period. If somebody else has put one, that is the one that counts.
func (s *Sealer) seal(ctx context.Context, v *view, p pinflow.Period, ranges []protocol.Range, topics []string) (created bool, err error) {
	made, err := v.make(ctx, p, ranges)
	if err != nil {
		return false, err
	}
	made.topics = topics
	if created, err = v.putSeal(ctx, made); err != nil {
		return false, err
	}
	if !created {
		if made, err = v.readSeal(ctx, p); err != nil {
			return false, err
		}
	}
	s.last[v.Topic.Topic] = made
	v.goOn(made)
	s.metrics.sealed(v.Topic.Topic, created)
	s.Log.Debug("lake: period sealed", "topic", v.Topic.Topic, "period", v.PeriodLength().Name(p), "by_us", created)
	return created, nil
}
