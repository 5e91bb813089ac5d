package kafka_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/realtest"
	"github.com/pinflow/pinflow/journal/journaltest"
	"github.com/pinflow/pinflow/journal/kafka"
)

// realKafka starts Kafka if it does not run, and returns its address and the script that runs it.
func realKafka(t *testing.T) (address, script string) {
	return "127.0.0.1:" + cmp.Or(os.Getenv("KAFKA_PORT"), "19092"), realtest.Service(t, "kafka.sh", "start")
}

// TestConformance holds Kafka itself to the promises of a journal.
func TestConformance(t *testing.T) {
	address, script := realKafka(t)
	connect := func(t testing.TB) *kafka.Journal {
		t.Helper()
		j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{address}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { j.Close() })
		return j
	}
	journaltest.Run(t, func(t testing.TB) journaltest.Env {
		return journaltest.Env{
			Journal: connect(t),
			Brokers: address,
			Restart: func(t testing.TB) journaltest.Journal {
				for _, verb := range []string{"stop", "start"} {
					if out, err := exec.CommandContext(t.Context(), "bash", script, verb).CombinedOutput(); err != nil {
						t.Fatalf("kafka.sh %s: %v\n%s", verb, err, out)
					}
				}
				return connect(t)
			},
			Trim: func(t testing.TB, tp pinflow.TopicPartition, before int64) int64 {
				cl, err := kgo.NewClient(kgo.SeedBrokers(address))
				if err != nil {
					t.Fatal(err)
				}
				defer cl.Close()
				offsets := kadm.Offsets{}
				offsets.AddOffset(tp.Topic, tp.Partition, before, -1)
				deleted, err := kadm.NewClient(cl).DeleteRecords(t.Context(), offsets)
				if err == nil {
					err = deleted.Error()
				}
				if err != nil {
					t.Fatal(err)
				}
				return before
			},
		}
	})
}

// TestDescribe prints what Kafka's own tool does, to the letter.
func TestDescribe(t *testing.T) {
	address, script := realKafka(t)
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	tools := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", append([]string{script, "topics"}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	topic := fmt.Sprintf("describe-%d", time.Now().UnixNano())
	args := []string{"--create", "--topic", topic, "--partitions", "3"}
	for _, c := range []string{"retention.ms=1000000", "max.message.bytes=2000000", "segment.bytes=20000000", "message.timestamp.type=LogAppendTime",
		"cleanup.policy=compact", "flush.ms=1000", "compression.type=gzip", "unclean.leader.election.enable=true"} {
		args = append(args, "--config", c)
	}
	tools(args...)
	if _, err := j.EnsureTopic(t.Context(), topic, 3); err != nil { // waits until the broker has heard of it
		t.Fatal(err)
	}
	d, err := j.Describe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	if want := tools("--describe", "--topic", topic); d.String() != want {
		t.Errorf("described as\n%s, Kafka's tool as\n%s", d, want)
	}
	if err := j.Create(t.Context(), topic, 1, 0); pinflow.KindOf(err) != pinflow.Exists {
		t.Errorf("creating it again: %v, want exists", err)
	}
	for _, c := range []struct {
		topic               string
		partitions, factors int
	}{{topic + "-x", 0, 1}, {topic + "-x", 1, 99}, {"not a name", 1, 1}} {
		if err := j.Create(t.Context(), c.topic, c.partitions, c.factors); pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("creating %q with %d partitions, factor %d: %v, want invalid", c.topic, c.partitions, c.factors, err)
		}
	}
	if topics, err := j.List(t.Context()); err != nil || !slices.Contains(topics, topic) || slices.Contains(topics, "__consumer_offsets") {
		t.Errorf("topics are %v, %v", topics, err)
	}
}
