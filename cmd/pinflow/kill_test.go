package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/journal/kafka"
)

// rounds is how often the kill tests kill: 20, or what PINFLOW_SEEDS says.
func rounds(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("PINFLOW_SEEDS"))
	if os.Getenv("PINFLOW_SEEDS") == "" {
		return 20
	}
	if err != nil || n < 1 {
		t.Fatalf("PINFLOW_SEEDS is no number from 1: %v", err)
	}
	return n
}

// TestKillOneWorker and TestKillTwoWorkers kill pinflow again and again while posts arrive, and look at what is left.
func TestKillOneWorker(t *testing.T) {
	killAndLook(t, nil)
}

func TestKillTwoWorkers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pipeline")
	command(t, "init", dir)
	file := filepath.Join(dir, "pipeline.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "partitions: 1", "partitions: 3", 1)
	if changed == string(text) {
		t.Fatal("pipeline.yaml has no partitions: 1")
	}
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	killAndLook(t, []string{"--pipeline", dir}, "--stream-workers", "2")
}

func killAndLook(t *testing.T, pipeline []string, more ...string) {
	data, acknowledged := dataFolder(t), receipts{}
	args := append(append([]string{"up", "--log-period", "1s", "--lake-flush", "100ms"}, pipeline...), more...)
	for seed := range rounds(t) {
		r := rand.New(rand.NewPCG(uint64(seed), 0))
		p := start(t, data, args...)
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(20+r.IntN(600))*time.Millisecond, p.kill)
		go func() { <-p.done; stop() }()
		bulk := 1
		if r.IntN(3) == 0 {
			bulk = 1 + r.IntN(500)
		}
		_, err := emulate.Run(ctx, emulate.Options{To: p.info.HTTP + "/pin/", Seed: uint64(seed), Rate: 3000, Bulk: bulk, Connections: 8, OnOutcome: acknowledged.take})
		if ctx.Err() == nil {
			t.Fatalf("seed %d: the posts ended before the process: %v", seed, err)
		}
		stop()
	}
	t.Logf("%d posts were acknowledged in %d rounds", len(acknowledged), rounds(t))
	if len(acknowledged) == 0 {
		t.Fatal("no post was acknowledged")
	}
	p := start(t, data, args...)
	waitUntilCounted(t, p, pins)
	p.interrupt()
	a := readAftermath(t, data, pins)
	a.journalHolds(acknowledged)
	a.lakeHolds(pins)
	a.metricsAreExact(pipeline...)
}

// waitUntilCounted waits until every record that is in the topic now is counted.
func waitUntilCounted(t testing.TB, p *process, topic string) {
	t.Helper()
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{p.info.Kafka}, Dial: only(p.info.Kafka)})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	about, err := j.Topic(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"sql", "SELECT 1", "--http", p.info.HTTP}
	for _, bounds := range about.Partitions {
		if bounds.End > 0 {
			last := pinflow.Position{TopicPartition: pinflow.TopicPartition{Topic: topic, Partition: bounds.Partition}, Offset: bounds.End - 1}
			args = append(args, "--after", last.String())
		}
	}
	within(t, 10*time.Minute, fmt.Sprintf("%v are counted", args[4:]), func() bool {
		return run(t.Context(), args, discard{}, discard{}) == exitDone
	})
}

// discard is where nobody looks.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
