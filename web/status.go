package web

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
)

// statusKey is that of the feed of the status.
const statusKey = "status"

const statusTimeout = 5 * time.Second // a status that takes longer is an error

// Status is how far and how fast the live half is.
type Status struct {
	Pipeline         string            `json:"pipeline"`
	Generation       string            `json:"generation" doc:"The hash of the definition that computes the metrics"`
	Time             string            `json:"time" doc:"When this was true, RFC 3339"`
	Ready            bool              `json:"ready" doc:"Whether posts are taken and reads answered"`
	Counted          int64             `json:"counted" doc:"Records counted: the sum of the next offsets"`
	Rejected         *int64            `json:"rejected" doc:"How many of these are rejects; null if that can't be read just now"`
	PostsPerSecond   float64           `json:"posts_per_second" doc:"Over the last 5 s: records appended to the journal, or counted where its end is not known"`
	CountedPerSecond float64           `json:"counted_per_second" doc:"Over the last 5 s"`
	Lag              *int64            `json:"lag" doc:"Records in the journal that are not counted yet; null if its end is not known"`
	DelaySeconds     *float64          `json:"delay_seconds" doc:"For how long the oldest of these has been waiting, to the second; null if not known"`
	History          []float64         `json:"history" doc:"Posts per second of the last two minutes, one a second, the oldest first"`
	Partitions       []PartitionStatus `json:"partitions"`
}

// PartitionStatus is how far one partition is counted.
type PartitionStatus struct {
	Position
	JournalEnd *int64 `json:"journal_end" doc:"The offset after the partition's last record; null if not known"`
	Lag        *int64 `json:"lag" doc:"Records not counted yet; null if not known"`
	Stopped    string `json:"stopped,omitempty" doc:"Why it is not counted any further, and what to do; absent while all is well"`
}

func (s *Web) status(w http.ResponseWriter, r *http.Request) error {
	st, _, err := s.readStatus(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, st)
}

// statusWatch is the feed that also takes the meter's samples. It runs from New to Close, so that whoever
// comes sees the last two minutes.
func (s *Web) statusWatch() watched {
	return watched{key: statusKey, about: "/api/status", question: question{pace: samplePace, next: func(ctx context.Context, _ *version) (*version, error) {
		st, at, err := s.readStatus(ctx)
		if err != nil {
			return nil, err
		}
		s.meter.add(at)
		return &version{event: "status", full: sync.OnceValue(func() []byte { return mustJSON(st) })}, nil
	}}}
}

func (s *Web) readStatus(ctx context.Context) (Status, sample, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	at, _, err := s.progress.get(ctx, s.Store)
	if err != nil {
		return Status{}, sample{}, err
	}
	plan := s.plan()
	st := Status{Pipeline: plan.Pipeline, Generation: plan.Generation, Ready: s.Ready() == nil}
	bounds, known := s.bounds(ctx)
	st.Partitions = partitions(at, bounds)
	if s.Stopped != nil {
		stopped := s.Stopped()
		for i := range st.Partitions {
			if p := &st.Partitions[i]; stopped[pinflow.TopicPartition{Topic: p.Topic, Partition: p.Partition}] != nil {
				p.Stopped = stopped[pinflow.TopicPartition{Topic: p.Topic, Partition: p.Partition}].Error()
			}
		}
	}
	now := sample{at: time.Now(), end: -1}
	var lag, end int64
	for _, p := range st.Partitions {
		now.counted += p.NextOffset
		if p.Lag != nil {
			lag += *p.Lag
			end += *p.JournalEnd
		}
	}
	if known {
		now.end, st.Lag = end, &lag
	}
	sp := s.meter.speed(now)
	if known {
		delay := float64(sp.delay.Milliseconds()/100) / 10
		st.DelaySeconds = &delay
	}
	st.Time, st.Counted, st.History = formatTime("", now.at), now.counted, sp.history
	st.PostsPerSecond, st.CountedPerSecond = sp.posted, sp.counted
	if n, err := s.rejected.count(ctx, s, at); err == nil { // the rest can be told even if a query can't be run
		st.Rejected = &n
	}
	return st, now, nil
}

// bounds asks the journal for its topics' ends. A journal that does not answer is no reason not to tell the
// rest: known is false then.
func (s *Web) bounds(ctx context.Context) (bounds map[pinflow.TopicPartition]pinflow.PartitionBounds, known bool) {
	if s.Journal == nil {
		return nil, false
	}
	bounds = map[pinflow.TopicPartition]pinflow.PartitionBounds{}
	for _, src := range s.plan().Sources {
		topic, err := s.Journal.Topic(ctx, src.Topic)
		if err != nil {
			return nil, false
		}
		for _, p := range topic.Partitions {
			bounds[pinflow.TopicPartition{Topic: src.Topic, Partition: p.Partition}] = p
		}
	}
	return bounds, true
}

// partitions joins what the store and the journal tell. What nobody has begun to count waits from its start on.
func partitions(at map[pinflow.TopicPartition]pinflow.Progress, bounds map[pinflow.TopicPartition]pinflow.PartitionBounds) []PartitionStatus {
	all := maps.Clone(at)
	if all == nil {
		all = map[pinflow.TopicPartition]pinflow.Progress{}
	}
	for tp, b := range bounds {
		if _, ok := all[tp]; !ok {
			all[tp] = pinflow.Progress{NextOffset: b.Start}
		}
	}
	list := []PartitionStatus{}
	for _, p := range sortedPositions(all) {
		st := PartitionStatus{Position: p}
		if b, ok := bounds[pinflow.TopicPartition{Topic: p.Topic, Partition: p.Partition}]; ok {
			end := max(b.End, p.NextOffset) // a broker may tell of an end that is a moment old
			lag := end - p.NextOffset
			st.JournalEnd, st.Lag = &end, &lag
		}
		list = append(list, st)
	}
	return list
}

// rejected counts the rejects, again only when the positions have moved.
type rejected struct {
	mu sync.Mutex
	at map[pinflow.TopicPartition]pinflow.Progress
	n  int64
}

func (c *rejected) count(ctx context.Context, s *Web, at map[pinflow.TopicPartition]pinflow.Progress) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at != nil && maps.Equal(c.at, at) {
		return c.n, nil
	}
	n, err := s.count(ctx, "status", pinflow.RejectsTable().Name)
	if err != nil {
		return 0, err
	}
	c.at, c.n = maps.Clone(at), n
	return n, nil
}
