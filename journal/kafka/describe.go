package kafka

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Description is all that Kafka's own tool shows of a topic.
type Description struct {
	Topic             string                 `json:"topic"`
	TopicID           string                 `json:"topic_id"`
	ReplicationFactor int                    `json:"replication_factor"`
	Configs           []Config               `json:"configs"` // those that are not the default, in the order in which Kafka's tool has them
	Partitions        []PartitionDescription `json:"partitions"`
}

// Config is a setting of a topic.
type Config struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// PartitionDescription is a partition and the brokers that hold it. Leader is -1 if there is none. The eligible
// leader replicas (KIP-966) are nil if the cluster does not tell.
type PartitionDescription struct {
	Partition    int32   `json:"partition"`
	Leader       int32   `json:"leader"`
	Replicas     []int32 `json:"replicas"`
	ISR          []int32 `json:"isr"`
	ELR          []int32 `json:"elr,omitempty"`
	LastKnownELR []int32 `json:"last_known_elr,omitempty"`
}

// Describe describes a topic; NotFound if there is none.
func (j *Journal) Describe(ctx context.Context, topic string) (Description, error) {
	t, err := j.topic(ctx, topic)
	if err != nil {
		return Description{}, j.failure("describe topic", topic, err)
	}
	configs, err := j.configs(ctx, topic)
	if err != nil {
		return Description{}, j.failure("describe topic", topic, err)
	}
	eligible := j.eligibleLeaders(ctx, topic)
	d := Description{Topic: topic, TopicID: topicID(t.ID), ReplicationFactor: t.Partitions.NumReplicas(), Configs: shown(configs)}
	for _, p := range t.Partitions.Sorted() {
		e := eligible[p.Partition]
		d.Partitions = append(d.Partitions, PartitionDescription{Partition: p.Partition, Leader: p.Leader, Replicas: p.Replicas, ISR: p.ISR,
			ELR: e.EligibleLeaderReplicas, LastKnownELR: e.LastKnownELR})
	}
	return d, nil
}

// eligibleLeaders asks for what only Kafka 4 knows; a broker that does not has none.
func (j *Journal) eligibleLeaders(ctx context.Context, topic string) map[int32]kmsg.DescribeTopicPartitionsResponseTopicPartition {
	eligible := make(map[int32]kmsg.DescribeTopicPartitionsResponseTopicPartition)
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 2000
	rt := kmsg.NewDescribeTopicPartitionsRequestTopic()
	rt.Topic = topic
	req.Topics = append(req.Topics, rt)
	for {
		resp, err := req.RequestWith(ctx, j.cl)
		if err != nil || len(resp.Topics) == 0 || kerr.ErrorForCode(resp.Topics[0].ErrorCode) != nil {
			return eligible
		}
		for _, p := range resp.Topics[0].Partitions {
			p.EligibleLeaderReplicas, p.LastKnownELR = append([]int32{}, p.EligibleLeaderReplicas...), append([]int32{}, p.LastKnownELR...)
			eligible[p.Partition] = p
		}
		if resp.NextCursor == nil || resp.NextCursor.Topic != topic {
			return eligible
		}
		next := kmsg.NewDescribeTopicPartitionsRequestCursor()
		next.Topic, next.Partition = topic, resp.NextCursor.Partition
		req.Cursor = &next
	}
}

// shown are the configs that are not the default. A broker may say one twice, the more special value last.
func shown(configs []kadm.Config) []Config {
	last := make(map[string]kadm.Config)
	var names []string
	for _, c := range configs {
		if _, twice := last[c.Key]; !twice {
			names = append(names, c.Key)
		}
		last[c.Key] = c
	}
	list := []Config{}
	for _, name := range hashOrder(names) {
		if c := last[name]; c.Source != kmsg.ConfigSourceDefaultConfig {
			list = append(list, Config{name, c.MaybeValue()})
		}
	}
	return list
}

// hashOrder is the order in which Java's HashMap has the names, and so Kafka's tool.
func hashOrder(names []string) []string {
	buckets := 16
	for 4*len(names) > 3*buckets {
		buckets *= 2
	}
	bucket := func(name string) uint32 {
		var h uint32
		for _, c := range utf16.Encode([]rune(name)) {
			h = 31*h + uint32(c)
		}
		return (h ^ h>>16) & uint32(buckets-1)
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(bucket(a), bucket(b)) })
	return names
}

// String formats as Kafka's tool prints it.
func (d Description) String() string {
	var b strings.Builder
	configs := make([]string, len(d.Configs))
	for i, c := range d.Configs {
		configs[i] = c.Name + "=" + c.Value
	}
	fmt.Fprintf(&b, "Topic: %s\tTopicId: %s\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %s\n",
		d.Topic, d.TopicID, len(d.Partitions), d.ReplicationFactor, strings.Join(configs, ","))
	for _, p := range d.Partitions {
		leader := "none"
		if p.Leader >= 0 {
			leader = strconv.Itoa(int(p.Leader))
		}
		fmt.Fprintf(&b, "\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s\tElr: %s\tLastKnownElr: %s\n",
			d.Topic, p.Partition, leader, numbers(p.Replicas), numbers(p.ISR), numbers(p.ELR), numbers(p.LastKnownELR))
	}
	return b.String()
}

// numbers lists brokers; nil is what is not known.
func numbers(list []int32) string {
	if list == nil {
		return "N/A"
	}
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.Itoa(int(n))
	}
	return strings.Join(texts, ",")
}
