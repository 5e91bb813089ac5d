package kafka_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/kafka"
)

// TestCheckTopic finds what is wrong with a topic, and nothing once the commands that it gives were run by Kafka's own tools.
func TestCheckTopic(t *testing.T) {
	address, script := realKafka(t)
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{address}, RecordBytes: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	create := func(settings ...string) string {
		t.Helper()
		topic := fmt.Sprintf("check-%d", time.Now().UnixNano())
		configs := map[string]*string{}
		for _, s := range settings {
			name, value, _ := strings.Cut(s, "=")
			configs[name] = &value
		}
		if _, err := admin.CreateTopic(t.Context(), 1, 1, configs, topic); err != nil {
			t.Fatal(err)
		}
		if _, err := j.EnsureTopic(t.Context(), topic, 1); err != nil { // waits until it is known
			t.Fatal(err)
		}
		return topic
	}
	look := func(topic string, needs kafka.TopicNeeds, want ...string) (found []pinflow.Advice) {
		t.Helper()
		found, err := j.CheckTopic(t.Context(), topic, needs)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range found {
			if i >= len(want) || !strings.HasPrefix(a.Severity.String()+" "+a.What, want[i]) || a.Place != "topic "+topic {
				t.Errorf("found %s: %+v", a.Severity, a)
			}
		}
		if len(found) != len(want) {
			t.Errorf("found %d things, want %q", len(found), want)
		}
		return found
	}
	const oneBroker = "note The cluster has one broker"

	good := create("message.timestamp.type=LogAppendTime", "max.message.bytes=2097152")
	look(good, kafka.TopicNeeds{Partitions: 1, LakeEnds: map[int32]int64{0: 0}}, oneBroker)
	made := fmt.Sprintf("check-made-%d", time.Now().UnixNano())
	if _, err := j.EnsureTopic(t.Context(), made, 1); err != nil {
		t.Fatal(err)
	}
	look(made, kafka.TopicNeeds{Partitions: 1, Fixed: true}, oneBroker)
	look(good, kafka.TopicNeeds{Partitions: 3, Fixed: true}, "broken It has 1 partitions, the definition says 3, and", oneBroker)
	if _, err := j.CheckTopic(t.Context(), good+"-missing", kafka.TopicNeeds{}); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("a missing topic: %v", err)
	}

	// The lake lacks a record of a topic that keeps it for a second, and does not have another that is gone.
	old := create("message.timestamp.type=LogAppendTime", "max.message.bytes=2097152", "retention.ms=1000", "retention.bytes=5000", "segment.ms=86400000")
	for range 3 {
		if r := j.Append(t.Context(), []pinflow.Draft{{Topic: old, Value: make([]byte, 1000)}}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
	}
	if records, err := j.Read(t.Context(), pinflow.TopicPartition{Topic: old}, 2, 1); err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
	lack := "broken Partition 0: the lake lacks "
	pace := time.NewTimer(600 * time.Millisecond)
	defer pace.Stop()
	<-pace.C
	look(old, kafka.TopicNeeds{LakeEnds: map[int32]int64{0: 2}}, lack+"records since ", "warning retention.ms is 1s", oneBroker)
	look(old, kafka.TopicNeeds{LakeEnds: map[int32]int64{0: 0}}, lack+"records since ", lack+"about ", "warning retention.ms is 1s", oneBroker)
	look(old, kafka.TopicNeeds{LakeEnds: map[int32]int64{0: 3}}, "warning retention.ms is 1s", oneBroker)
	offsets := kadm.Offsets{}
	offsets.AddOffset(old, 0, 2, -1)
	if deleted, err := admin.DeleteRecords(t.Context(), offsets); err != nil || deleted.Error() != nil {
		t.Fatal(err, deleted)
	}
	look(old, kafka.TopicNeeds{LakeEnds: map[int32]int64{0: 1}}, "broken Partition 0 begins at 2, the lake ends at 1", "warning retention.ms is 1s", oneBroker)

	bad := create("cleanup.policy=compact", "min.insync.replicas=2", "unclean.leader.election.enable=true", "compression.type=zstd", "retention.ms=3600000")
	found := look(bad, kafka.TopicNeeds{Partitions: 3},
		"broken message.timestamp.type is CreateTime", "broken cleanup.policy is compact", "broken max.message.bytes is 1048588", "broken It has 1 partitions",
		"warning unclean.leader.election.enable", "warning min.insync.replicas is 2", "warning retention.ms is 1h", "note compression.type is zstd")
	run := func(class, command string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "bash", append([]string{script, "run", class}, strings.Fields(command)...)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	configs := "" // all commands that set something, in one: a tool takes seconds to start
	for _, a := range found {
		tool, command, _ := strings.Cut(a.Do, " ")
		if tool != "kafka-configs.sh" {
			run("org.apache.kafka.tools.TopicCommand", command)
			continue
		}
		before, setting, _ := strings.Cut(command, " --add-config ")
		if configs == "" {
			configs = before + " --add-config " + setting
		} else {
			configs += "," + setting
		}
	}
	run("kafka.admin.ConfigCommand", configs)
	look(bad, kafka.TopicNeeds{Partitions: 3}, oneBroker)
}
