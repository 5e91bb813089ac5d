package kafka

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/pinflow/pinflow"
)

// TopicNeeds are what a topic is held to by CheckTopic.
type TopicNeeds struct {
	Partitions int             // as the definition says; 0 for any
	Fixed      bool            // a model over it has a key: its partition count says where a key's records lie
	LakeEnds   map[int32]int64 // where the lake ends, per partition; nil if that is not known
}

// CheckTopic holds a topic's settings and state to what Pinflow needs of them. It changes nothing. NotFound if there is no such topic.
func (j *Journal) CheckTopic(ctx context.Context, topic string, needs TopicNeeds) ([]pinflow.Advice, error) {
	const op = "check topic"
	t, err := j.topic(ctx, topic)
	if err != nil {
		return nil, j.failure(op, topic, err)
	}
	configs, err := j.configs(ctx, topic)
	if err != nil {
		return nil, j.failure(op, topic, err)
	}
	brokers, err := j.admin.ListBrokers(ctx)
	if err != nil {
		return nil, j.failure(op, topic, err)
	}
	c := &check{journal: j, topic: topic, needs: needs, detail: t, brokers: len(brokers), configs: map[string]string{}}
	for _, config := range configs { // a broker may say one twice, the more special value last
		c.configs[config.Key] = config.MaybeValue()
	}
	c.time()
	c.policy()
	c.replication()
	c.sizes()
	c.partitions()
	if err := c.retention(ctx); err != nil {
		return nil, err
	}
	slices.SortStableFunc(c.found, func(a, b pinflow.Advice) int { return int(b.Severity) - int(a.Severity) })
	return c.found, nil
}

// check is a look at a topic.
type check struct {
	journal *Journal
	topic   string
	needs   TopicNeeds
	detail  kadm.TopicDetail
	brokers int
	configs map[string]string
	found   []pinflow.Advice
}

func (c *check) find(s pinflow.Severity, do, what string, args ...any) {
	c.found = append(c.found, pinflow.Advice{Severity: s, Place: "topic " + c.topic, What: fmt.Sprintf(what, args...), Do: do})
}

// set is the command that gives the topic a setting.
func (c *check) set(name string, value any) string {
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config %s=%v", c.journal.o.Brokers[0], c.topic, name, value)
}

// number returns a setting, and whether there is one.
func (c *check) number(name string) (int64, bool) {
	n, err := strconv.ParseInt(c.configs[name], 10, 64)
	return n, err == nil
}

func (c *check) time() {
	if is := c.configs["message.timestamp.type"]; is != "LogAppendTime" {
		c.find(pinflow.Broken, c.set("message.timestamp.type", "LogAppendTime"),
			"message.timestamp.type is %s: the time of a record is what its producer says, so nobody could tell when a log period is complete.", is)
	}
}

func (c *check) policy() {
	if is := c.configs["cleanup.policy"]; strings.Contains(is, "compact") {
		c.find(pinflow.Broken, c.set("cleanup.policy", "delete"),
			"cleanup.policy is %s: Kafka deletes a record once its key has a newer one, perhaps before the lake has it.", is)
	}
	if c.configs["unclean.leader.election.enable"] == "true" {
		c.find(pinflow.Warning, c.set("unclean.leader.election.enable", false),
			"unclean.leader.election.enable is true: a broker that lacks acknowledged records may become leader, and they are lost.")
	}
	if is := c.configs["compression.type"]; is == "snappy" || is == "lz4" || is == "zstd" {
		c.find(pinflow.Note, c.set("compression.type", "producer"), "compression.type is %s: clients need a library for it to read the topic, such as kafka-python.", is)
	}
}

// replication looks at how many brokers have an acknowledged record.
func (c *check) replication() {
	factor := c.detail.Partitions.NumReplicas()
	least, ok := c.number("min.insync.replicas")
	if !ok {
		least = 1
	}
	reassign := "Give it three replicas with kafka-reassign-partitions.sh, and then: " + c.set("min.insync.replicas", 2)
	switch {
	case int64(factor) < least:
		c.find(pinflow.Warning, c.set("min.insync.replicas", max(factor-1, 1)), "min.insync.replicas is %d, but each record has %d: some versions of Kafka refuse every append, others take %d for enough.", least, factor, factor)
	case factor == 1 && c.brokers == 1:
		c.find(pinflow.Note, "", "The cluster has one broker: if its disk is lost, so are the records that are not in the lake yet.")
	case factor == 1:
		c.find(pinflow.Warning, reassign, "The replication factor is 1: if that broker's disk is lost, so are the records that are not in the lake yet, and while it is down posts are answered with 503.")
	case least == 1:
		c.find(pinflow.Warning, c.set("min.insync.replicas", max(factor-1, 2)),
			"min.insync.replicas is 1: a record may be acknowledged while only one broker has it, and be lost with that broker.")
	case int64(factor) == least:
		c.find(pinflow.Warning, c.set("min.insync.replicas", factor-1), "min.insync.replicas is %d, as many as each record has: while one broker is down, posts are answered with 503.", least)
	}
	least = min(least, int64(factor))
	for _, p := range c.detail.Partitions.Sorted() {
		switch isr := len(p.ISR); {
		case p.Leader < 0:
			c.find(pinflow.Broken, "Start the brokers "+numbers(p.Replicas)+" again.", "Partition %d has no leader: nothing can be appended to it or read from it.", p.Partition)
		case int64(isr) < least:
			c.find(pinflow.Broken, "Start the brokers "+numbers(p.Replicas)+" again.", "Partition %d has %d of %d replicas in sync, fewer than min.insync.replicas (%d): appends to it are refused.", p.Partition, isr, factor, least)
		case isr < len(p.Replicas):
			c.find(pinflow.Warning, "Start the brokers "+numbers(p.Replicas)+" again, or let them catch up.", "Partition %d has %d of %d replicas in sync.", p.Partition, isr, factor)
		}
	}
}

// sizes compares the largest batch that this client makes, of one record or many, with what the topic takes.
func (c *check) sizes() {
	if most, ok := c.number("max.message.bytes"); ok && most < int64(c.journal.o.RecordBytes) {
		c.find(pinflow.Broken, c.set("max.message.bytes", c.journal.o.RecordBytes),
			"max.message.bytes is %d: records and batches of up to %d bytes, which Pinflow takes, are refused.", most, c.journal.o.RecordBytes)
	}
}

func (c *check) partitions() {
	have, want := len(c.detail.Partitions), c.needs.Partitions
	switch {
	case want == 0 || have == want || have > want && !c.needs.Fixed:
	case have < want && !c.needs.Fixed:
		c.find(pinflow.Broken, fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --alter --topic %s --partitions %d", c.journal.o.Brokers[0], c.topic, want),
			"It has %d partitions, the definition says %d.", have, want)
	default:
		c.find(pinflow.Broken, fmt.Sprintf("Write partitions: %d into pipeline.yaml, or use a topic that has %d.", have, want),
			"It has %d partitions, the definition says %d, and a model over it has a key: a key's records lie where the count says.", have, want)
	}
}

// shortRetention is a retention that an outage of the lake may outlast over a weekend.
const shortRetention = 3 * 24 * time.Hour

// retention compares what Kafka deletes with what the lake has.
func (c *check) retention(ctx context.Context) error {
	kept := time.Duration(-1)
	if ms, ok := c.number("retention.ms"); ok && ms >= 0 {
		kept = time.Duration(min(ms, int64(1<<63-1)/int64(time.Millisecond))) * time.Millisecond
	}
	if kept >= 0 && kept < shortRetention {
		c.find(pinflow.Warning, c.set("retention.ms", (7*24*time.Hour).Milliseconds()), "retention.ms is %s: if the lake cannot be written for so long, records are lost.", kept)
	}
	if c.needs.LakeEnds == nil {
		return nil
	}
	t, err := c.journal.Topic(ctx, c.topic)
	if err != nil {
		return err
	}
	sizes := c.logSizes(ctx)
	for _, b := range t.Partitions {
		if err := c.lag(ctx, b, kept, sizes[b.Partition]); err != nil {
			return err
		}
	}
	return nil
}

// lag looks at the records of a partition that the lake does not have yet. size is that of the log, 0 if it is not known.
func (c *check) lag(ctx context.Context, b pinflow.PartitionBounds, kept time.Duration, size int64) error {
	end, known := c.needs.LakeEnds[b.Partition]
	switch {
	case !known || end >= b.End:
		return nil
	case end < b.Start && end > 0:
		c.find(pinflow.Broken, c.set("retention.ms", -1), "Partition %d begins at %d, the lake ends at %d: Kafka has deleted records that the lake does not have.", b.Partition, b.Start, end)
		return nil
	}
	tp := pinflow.TopicPartition{Topic: c.topic, Partition: b.Partition}
	first, err := c.journal.Read(ctx, tp, max(end, b.Start), 1)
	if err != nil && pinflow.KindOf(err) != pinflow.OutOfRange || len(first) == 0 {
		return err
	}
	if age := time.Since(first[0].Time()); kept >= 0 && 2*age > kept {
		c.find(pinflow.Broken, c.set("retention.ms", -1)+", until the lake has caught up",
			"Partition %d: the lake lacks records since %s, %s old, and Kafka deletes them after %s.", b.Partition, first[0].Time().Format(time.RFC3339), age.Round(time.Second), kept)
	}
	if most, ok := c.number("retention.bytes"); ok && most >= 0 {
		if lags := int64(float64(size) * float64(b.End-end) / float64(b.End-b.Start)); 2*lags > most {
			c.find(pinflow.Broken, c.set("retention.bytes", -1)+", until the lake has caught up",
				"Partition %d: the lake lacks about %d bytes of it, and Kafka deletes what is beyond %d.", b.Partition, lags, most)
		}
	}
	return nil
}

// logSizes returns how large each partition's log is, as far as the cluster tells this user.
func (c *check) logSizes(ctx context.Context) map[int32]int64 {
	sizes := map[int32]int64{}
	if most, ok := c.number("retention.bytes"); !ok || most < 0 {
		return sizes
	}
	set := kadm.TopicsSet{}
	set.Add(c.topic, c.detail.Partitions.Numbers()...)
	all, err := c.journal.admin.DescribeAllLogDirs(ctx, set)
	if err != nil {
		return sizes
	}
	all.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) { sizes[p.Partition] = max(sizes[p.Partition], p.Size) })
	})
	return sizes
}
