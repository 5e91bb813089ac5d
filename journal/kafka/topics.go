package kafka

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/pinflow/pinflow"
)

// topicName is what Kafka allows.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// created are the settings of topics that Pinflow makes; all others are the cluster's.
func (o Options) created() map[string]*string {
	settings := map[string]*string{"message.timestamp.type": kadm.StringPtr("LogAppendTime")}
	if o.RecordBytes > defaultMessageBytes {
		settings["max.message.bytes"] = kadm.StringPtr(strconv.Itoa(o.RecordBytes))
	}
	return settings
}

// Topic implements pinflow.JournalReader. An end is the high watermark, and what lies between it and the last stable offset is held.
func (j *Journal) Topic(ctx context.Context, topic string) (pinflow.Topic, error) {
	const op = "describe topic"
	t, err := j.topic(ctx, topic)
	if err != nil {
		return pinflow.Topic{}, j.failure(op, topic, err)
	}
	configs, err := j.configs(ctx, topic)
	if err != nil {
		return pinflow.Topic{}, j.failure(op, topic, err)
	}
	starts, err := j.admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return pinflow.Topic{}, j.failure(op, topic, err)
	}
	ends, err := j.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return pinflow.Topic{}, j.failure(op, topic, err)
	}
	// Asked for after the end: what is appended meanwhile counts as neither.
	stable, err := j.admin.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = stable.Error()
	}
	if err != nil {
		return pinflow.Topic{}, j.failure(op, topic, err)
	}
	d := pinflow.Topic{Name: topic, ID: topicID(t.ID)}
	for _, c := range configs {
		d.AppendTime = d.AppendTime || c.Key == "message.timestamp.type" && c.MaybeValue() == "LogAppendTime"
	}
	for _, p := range t.Partitions.Numbers() {
		start, _ := starts.Lookup(topic, p)
		end, _ := ends.Lookup(topic, p)
		until, _ := stable.Lookup(topic, p)
		d.Partitions = append(d.Partitions, pinflow.PartitionBounds{Partition: p, Start: start.Offset, End: end.Offset, Held: max(0, end.Offset-until.Offset)})
	}
	return d, nil
}

// topicID is a topic's id as Kafka prints it.
func topicID(id kadm.TopicID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func (j *Journal) configs(ctx context.Context, topic string) ([]kadm.Config, error) {
	all, err := j.admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil, err
	}
	rc, err := all.On(topic, nil)
	if err != nil {
		return nil, err
	}
	return rc.Configs, rc.Err
}

// OffsetAt implements pinflow.JournalReader.
func (j *Journal) OffsetAt(ctx context.Context, topic string, timestamp int64) (map[int32]int64, error) {
	err := j.refresh(ctx, topic)
	var listed kadm.ListedOffsets
	if err == nil {
		listed, err = j.admin.ListOffsetsAfterMilli(ctx, max(timestamp, 0), topic)
	}
	if err == nil {
		err = listed.Error()
	}
	if err == nil && len(listed[topic]) == 0 {
		err = kerr.UnknownTopicOrPartition
	}
	if err != nil {
		return nil, j.failure("find offsets of", fmt.Sprintf("%s at %d", topic, timestamp), err)
	}
	offsets := make(map[int32]int64, len(listed[topic]))
	for p, o := range listed[topic] {
		offsets[p] = o.Offset
	}
	return offsets, nil
}

// EnsureTopic implements pinflow.TopicCreator, with the cluster's replication factor.
func (j *Journal) EnsureTopic(ctx context.Context, topic string, partitions int) (pinflow.Topic, error) {
	t, err := j.Topic(ctx, topic)
	if pinflow.KindOf(err) != pinflow.NotFound {
		return t, err
	}
	if err := j.Create(ctx, topic, partitions, 0); err != nil && pinflow.KindOf(err) != pinflow.Exists {
		return pinflow.Topic{}, err
	}
	// Not every broker has heard of it yet.
	for try := 1; ; try++ {
		t, err := j.Topic(ctx, topic)
		if err == nil || try == readTries || pinflow.KindOf(err) != pinflow.NotFound && pinflow.KindOf(err) != pinflow.Unavailable {
			return t, err
		}
		if err := wait(ctx, backoff(try)); err != nil {
			return t, j.failure("create topic", topic, err)
		}
	}
}

// Create makes a topic with append time; Exists if it is there, Invalid for a name or numbers that cannot be.
// A replication factor of 0 is the cluster's default.
func (j *Journal) Create(ctx context.Context, topic string, partitions, replicationFactor int) error {
	if replicationFactor == 0 {
		replicationFactor = -1
	}
	if partitions < 1 || partitions > 1<<20 || replicationFactor > 1<<10 {
		return invalid("create topic", topic, fmt.Errorf("%d partitions, replication factor %d", partitions, replicationFactor), "A topic has at least one partition.")
	}
	if !topicName.MatchString(topic) || topic == "." || topic == ".." {
		return j.failure("create topic", topic, kerr.InvalidTopicException)
	}
	resp, err := j.admin.CreateTopic(ctx, int32(partitions), int16(replicationFactor), j.o.created(), topic)
	if err == nil {
		err = resp.Err
	}
	if err != nil && resp.ErrMessage != "" && !errors.Is(err, kerr.TopicAlreadyExists) {
		err = fmt.Errorf("%w (%s)", err, resp.ErrMessage)
	}
	if errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) || errors.Is(err, kerr.PolicyViolation) {
		return invalid("create topic", topic, err, fmt.Sprintf("An administrator of the cluster makes it with: kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions %d --config message.timestamp.type=LogAppendTime; "+
			"or lets Pinflow do it with: %s", j.o.Brokers[0], topic, partitions, j.acl("--operation Create --topic "+topic)))
	}
	return j.failure("create topic", topic, err)
}

// List returns the names of all topics that are not the cluster's own, in order.
func (j *Journal) List(ctx context.Context) ([]string, error) {
	if err := j.refresh(ctx); err != nil {
		return nil, j.failure("list topics of", brokers(j.o), err)
	}
	topics, err := j.admin.ListTopics(ctx)
	if err != nil {
		return nil, j.failure("list topics of", brokers(j.o), err)
	}
	return slices.Sorted(maps.Keys(topics)), nil
}
