package kafka

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Description is all that Kafka's own tool shows of a topic.
type Description struct {
	Topic             string                 `json:"topic"`
	TopicID           string                 `json:"topic_id"`
	ReplicationFactor int                    `json:"replication_factor"`
	Configs           []Config               `json:"configs"` // those that are not the default, by name
	Partitions        []PartitionDescription `json:"partitions"`
}

// Config is a setting of a topic.
type Config struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// PartitionDescription is a partition and the brokers that hold it. Leader is -1 if there is none.
type PartitionDescription struct {
	Partition int32   `json:"partition"`
	Leader    int32   `json:"leader"`
	Replicas  []int32 `json:"replicas"`
	ISR       []int32 `json:"isr"`
}

// Describe describes a topic; NotFound if there is none.
func (j *Journal) Describe(ctx context.Context, topic string) (Description, error) {
	t, err := j.topic(ctx, topic)
	if err != nil {
		return Description{}, failure("describe topic", topic, err)
	}
	configs, err := j.configs(ctx, topic)
	if err != nil {
		return Description{}, failure("describe topic", topic, err)
	}
	d := Description{Topic: topic, TopicID: topicID(t.ID), ReplicationFactor: t.Partitions.NumReplicas(), Configs: shown(configs)}
	for _, p := range t.Partitions.Sorted() {
		d.Partitions = append(d.Partitions, PartitionDescription{Partition: p.Partition, Leader: p.Leader, Replicas: p.Replicas, ISR: p.ISR})
	}
	return d, nil
}

// shown are the configs that are not the default. A broker's answer may say one twice, the broker's before the topic's.
func shown(configs []kadm.Config) []Config {
	values := make(map[string]string)
	topics := make(map[string]bool)
	for _, c := range configs {
		if c.Source == kmsg.ConfigSourceDefaultConfig || topics[c.Key] {
			continue
		}
		values[c.Key] = c.MaybeValue()
		topics[c.Key] = c.Source == kmsg.ConfigSourceDynamicTopicConfig
	}
	list := make([]Config, 0, len(values))
	for name, value := range values {
		list = append(list, Config{name, value})
	}
	slices.SortFunc(list, func(a, b Config) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// String formats as Kafka's tool prints it, with the configs in order of their names.
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
		fmt.Fprintf(&b, "\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s\n",
			d.Topic, p.Partition, leader, numbers(p.Replicas), numbers(p.ISR))
	}
	return b.String()
}

func numbers(list []int32) string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.Itoa(int(n))
	}
	return strings.Join(texts, ",")
}
