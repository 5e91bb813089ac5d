package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/kafka"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/folder"
	"github.com/pinflow/pinflow/lake/s3"
)

// closers closes what has been opened, the last first.
type closers []func() error

func (c *closers) add(f func() error) { *c = append(*c, f) }

func (c closers) close() error {
	var all error
	for i := len(c) - 1; i >= 0; i-- {
		all = errors.Join(all, c[i]())
	}
	return all
}

// journal is the client, and the broker if it runs in this process.
type journal struct {
	*kafka.Journal
	broker *embedded.Broker // nil with another's
	addr   string           // where Kafka clients connect
	local  string           // where this machine's processes do, without a login to an embedded broker
}

// openJournal starts the embedded broker or finds the one that is given, and connects to it. Who reads it gets about so many bytes at a time.
func openJournal(ctx context.Context, s *config.Settings, fetch int64, log *slog.Logger, metrics prometheus.Registerer, c *closers) (*journal, error) {
	return openJournalBy(ctx, s, nil, fetch, log, metrics, c)
}

// openJournalBy connects to another's broker by dial, nil for the network's.
func openJournalBy(ctx context.Context, s *config.Settings, dial dialFunc, fetch int64, log *slog.Logger, metrics prometheus.Registerer, c *closers) (*journal, error) {
	place, err := config.ParseJournalURL(s.Journal)
	if err != nil {
		return nil, err
	}
	j := &journal{}
	if place.Embedded {
		j.broker, err = embedded.Open(ctx, embedded.Options{Dir: s.JournalDir(), Listen: s.KafkaListen, RetentionBytes: int64(s.JournalRetention), Log: log,
			UsersFile: s.KafkaUsers, CertFile: s.KafkaTLSCert, KeyFile: s.KafkaTLSKey, Advertise: s.KafkaAdvertise})
		if err != nil {
			return nil, err
		}
		c.add(j.broker.Close)
		place.Brokers, j.addr, dial = []string{j.broker.Local()}, j.broker.Addr(), j.broker.Dial
	} else {
		j.addr = place.Brokers[0]
	}
	j.local = place.Brokers[0]
	j.Journal, err = kafka.Open(ctx, kafka.Options{Brokers: place.Brokers, Dial: dial, Security: securityOf(place, s.Places), Log: log, Metrics: metrics, FetchBytes: int(fetch)})
	if err != nil {
		return nil, err
	}
	c.add(j.Journal.Close)
	return j, nil
}

// kafkaPassword is where the environment may have the password for the journal.
const kafkaPassword = "PINFLOW_KAFKA_PASSWORD"

// securityOf is how brokers are reached and logged in to.
func securityOf(p config.JournalPlace, places config.Places) kafka.Security {
	s := kafka.Security{TLS: p.TLS, CAFile: p.CAFile, CertFile: p.CertFile, KeyFile: p.KeyFile, Mechanism: p.SASL, User: p.User}
	if p.SASL != "" {
		s.Password, s.PasswordFile = kafka.Password(os.Getenv(kafkaPassword)), places.KafkaPasswordFile
	}
	return s
}

// openLake opens the place of the lake's objects.
func openLake(ctx context.Context, s *config.Settings, log *slog.Logger, metrics prometheus.Registerer, c *closers) (pinflow.Objects, error) {
	return openLakeWith(ctx, s, s3.Options{Log: log, Metrics: metrics}, c)
}

// openLakeWith opens a folder, or a bucket with options.
func openLakeWith(ctx context.Context, s *config.Settings, o s3.Options, c *closers) (pinflow.Objects, error) {
	_, bucket, err := config.ParseLake(s.LakeURL())
	if err != nil {
		return nil, err
	}
	if bucket != nil {
		o.URL = s.LakeURL()
		b, err := s3.Open(ctx, o)
		if err != nil {
			return nil, err
		}
		c.add(b.Close)
		return b, nil
	}
	f, err := folder.OpenURL(s.LakeURL())
	if err != nil {
		return nil, err
	}
	c.add(f.Close)
	return f, nil
}

// openSources makes the topics that are missing, for one who only appends.
func openSources(ctx context.Context, j *journal, p *pinflow.Plan) error {
	for _, source := range p.Sources {
		if _, err := openSource(ctx, j, p, source); err != nil {
			return err
		}
	}
	return nil
}

// openSource makes a source's topic if it is missing, and holds it to the definition.
func openSource(ctx context.Context, j *journal, p *pinflow.Plan, source pinflow.PlannedSource) (pinflow.Topic, error) {
	topic, err := j.EnsureTopic(ctx, source.Topic, source.Partitions)
	if err != nil {
		return topic, err
	}
	if n := len(topic.Partitions); n != source.Partitions && (n < source.Partitions || isKeyed(p, source.Name)) {
		return topic, &pinflow.Error{Op: "open topic", On: source.Topic, Kind: pinflow.Invalid,
			Err:  fmt.Errorf("it has %s, the definition says %d", count(len(topic.Partitions), "partition"), source.Partitions),
			Hint: "Partition counts are fixed when a topic is made: write the topic's into pipeline.yaml."}
	}
	return topic, nil
}

// openTopics makes the topics that are missing and holds journal, lake and definition to one
// another. It returns the log period that the lake was made with.
func openTopics(ctx context.Context, j *journal, objects pinflow.Objects, p *pinflow.Plan, given pinflow.PeriodLength) (pinflow.PeriodLength, error) {
	length := given
	for _, source := range p.Sources {
		topic, err := openSource(ctx, j, p, source)
		if err != nil {
			return 0, err
		}
		kept, err := lake.EnsureTopic(ctx, objects, topic, length, isKeyed(p, source.Name))
		if err != nil {
			return 0, err
		}
		if err := checkEnds(ctx, j, kept); err != nil {
			return 0, err
		}
		length = kept.PeriodLength()
	}
	return length, nil
}

// checkEnds refuses a journal whose log ends before the lake does. Posts would be given offsets of which the lake has other records already, and
// never get there.
func checkEnds(ctx context.Context, j *journal, kept *lake.Topic) error {
	ends, err := kept.Ends(ctx)
	if err != nil {
		return err
	}
	topic, err := j.Topic(ctx, kept.Topic) // after the lake: its end is not before that of what the lake has of it
	if err != nil {
		return err
	}
	for _, b := range topic.Partitions {
		if end := ends[b.Partition].End; end > b.End {
			return &pinflow.Error{Op: "open topic", On: pinflow.TopicPartition{Topic: kept.Topic, Partition: b.Partition}.String(), Kind: pinflow.OutOfRange,
				Err:  fmt.Errorf("the journal's log ends at %d, the lake at %d: the journal has lost records or is another one", b.End, end),
				Hint: "Restore the journal, or use another lake."}
		}
	}
	return nil
}

// bindTopics holds the store to the topics whose records it counts.
func bindTopics(ctx context.Context, j *journal, store store, p *pinflow.Plan) error {
	for _, name := range topicsOf(p) {
		topic, err := j.Topic(ctx, name)
		if err != nil {
			return err
		}
		if err := store.Bind(ctx, topic); err != nil {
			return err
		}
	}
	return nil
}

// newWriter makes a writer of the lake.
func newWriter(s *config.Settings, j *journal, objects pinflow.Objects, p *pinflow.Plan, period pinflow.PeriodLength, log *slog.Logger, metrics prometheus.Registerer) (*lake.Writer, error) {
	return lake.NewWriter(lake.Options{
		Journal: j, Objects: objects, Topics: topicsOf(p), Unkeyed: unkeyedOf(p), PeriodLength: period,
		Group: groupOf("lake", objects.String()), FlushAge: s.LakeFlush, Memory: int64(s.LakeMemory), Log: log, Metrics: metrics,
	})
}

// groupOf names a consumer group: those who write to the same place share the partitions, all others see every one.
func groupOf(role, place string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(place)) // never fails
	return fmt.Sprintf("pinflow-%s-%016x", role, h.Sum64())
}

// isKeyed tells whether a model over the source has a key: then its topic's partition count is fixed, as it says where a key's records lie.
func isKeyed(p *pinflow.Plan, source string) bool {
	return slices.ContainsFunc(p.Models, func(m pinflow.PlannedModel) bool { return m.Source == source && len(m.Key) > 0 })
}

// unkeyedOf returns the topics to which partitions may be added.
func unkeyedOf(p *pinflow.Plan) []string {
	var topics []string
	for _, s := range p.Sources {
		if !isKeyed(p, s.Name) {
			topics = append(topics, s.Topic)
		}
	}
	return topics
}

// topicsOf returns the topics of a plan.
func topicsOf(p *pinflow.Plan) []string {
	var topics []string
	for _, s := range p.Sources {
		topics = append(topics, s.Topic)
	}
	return topics
}
