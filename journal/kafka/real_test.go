package kafka_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/realtest"
	"github.com/pinflow/pinflow/journal/journaltest"
	"github.com/pinflow/pinflow/journal/kafka"
)

// realKafka starts Kafka if it does not run, and returns its address.
func realKafka(t *testing.T) string {
	script := filepath.Join(realtest.Stack(t), "kafka.sh")
	if out, err := exec.CommandContext(t.Context(), "bash", script, "start").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("Kafka does not start: %v\n%s", err, out)
		}
		t.Skipf("Kafka does not start: %v", err)
	}
	return "127.0.0.1:19092"
}

// TestConformance holds Kafka itself to the promises of a journal.
func TestConformance(t *testing.T) {
	address := realKafka(t)
	journaltest.Run(t, func(t testing.TB) journaltest.Env {
		j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{address}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { j.Close() })
		return journaltest.Env{
			Journal: j,
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
