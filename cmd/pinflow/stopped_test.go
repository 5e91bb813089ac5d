package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/kafka"
	"github.com/pinflow/pinflow/web"
)

// TestNewStoreOfATrimmedJournal stops counting, for what is gone would be missing from every number, and says so; posts
// are taken all the same.
func TestNewStoreOfATrimmedJournal(t *testing.T) {
	broker, err := embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RetentionBytes: 1, SegmentBytes: 4096})
	must(t, err)
	defer broker.Close()
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{broker.Addr()}})
	must(t, err)
	defer j.Close()
	_, err = j.EnsureTopic(t.Context(), pins, 1)
	must(t, err)
	for range 20 {
		must(t, j.Append(t.Context(), []pinflow.Draft{{Topic: pins, Value: bytes.Repeat([]byte("x"), 1000)}})[0].Err)
	}
	freed, err := broker.Trim(t.Context(), map[pinflow.TopicPartition]int64{{Topic: pins}: 20})
	must(t, err)
	if freed == 0 {
		t.Fatal("nothing was deleted")
	}
	p := start(t, dataFolder(t), "up", "--journal", "kafka://"+broker.Addr())
	var status web.Status
	eventually(t, "the partition has stopped", func() bool {
		answer, err := http.Get(p.info.HTTP + "/api/status")
		must(t, err)
		defer answer.Body.Close()
		must(t, json.NewDecoder(answer.Body).Decode(&status))
		return len(status.Partitions) == 1 && status.Partitions[0].Stopped != "" && status.Partitions[0].NextOffset == 0
	})
	if got := status.Partitions[0].Stopped; !strings.Contains(got, "are neither in the journal nor in the lake") {
		t.Errorf("it says %q", got)
	}
	answer, err := http.Post(p.info.HTTP+"/pin/", "application/json", strings.NewReader(aPin))
	must(t, err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("a post is answered %s", answer.Status)
	}
	p.interrupt()
	if !strings.Contains(p.out.String(), "level=ERROR") {
		t.Errorf("the log says nothing of it: %s", p.out)
	}
}

// TestTrimmedJournalIsNoObstacle gives a new store, and then another definition, a journal that has forgotten most of what the lake holds.
func TestTrimmedJournalIsNoObstacle(t *testing.T) {
	broker, err := embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RetentionBytes: 1, SegmentBytes: 4096})
	must(t, err)
	defer broker.Close()
	data := dataFolder(t)
	args := []string{"up", "--journal", "kafka://" + broker.Addr(), "--log-period", "1s", "--seal-grace", "0s", "--lake-flush", "100ms"}
	p := start(t, data, args...)
	const posts = 300
	emulated, err := emulate.Run(t.Context(), emulate.Options{To: p.info.HTTP + "/pin/", Seed: 3, Rate: 100, Connections: 4, Count: posts})
	must(t, err)
	if emulated.Acknowledged != posts {
		t.Fatalf("%+v", emulated)
	}
	waitUntilCounted(t, p, pins)
	want := map[string][]string{}
	for _, metric := range []string{"category_popularity", "pins_by_category", "popular_tags"} {
		want[metric] = shown(t, data, metric)
	}
	p.interrupt()
	freed, err := broker.Trim(t.Context(), map[pinflow.TopicPartition]int64{{Topic: pins}: posts})
	must(t, err)
	if freed == 0 {
		t.Fatal("nothing was deleted")
	}
	fresh := append(args, "--store", "duckdb://"+filepath.Join(data, "new.duckdb"))
	p = start(t, data, fresh...)
	waitUntilCounted(t, p, pins)
	compareMetrics(t, want, func(metric string) []string { return shown(t, data, metric) })
	p.interrupt()

	mine := filepath.Join(t.TempDir(), "mine")
	command(t, "init", mine)
	must(t, os.WriteFile(filepath.Join(mine, "metrics", "extra.sql"), []byte("SELECT category, count(*) AS n FROM posts GROUP BY category"), 0o600))
	p = start(t, data, append(fresh, "--pipeline", mine)...)
	eventually(t, "the new metric has come", func() bool {
		return run(t.Context(), []string{"metric", "extra", "--data", data}, discard{}, discard{}) == exitDone
	})
	compareMetrics(t, want, func(metric string) []string { return shown(t, data, metric) })
	if got := strings.TrimSpace(command(t, "sql", "SELECT sum(n) AS n FROM extra", "--data", data, "--output", "csv")); got != "n\n300" && got != "n\r\n300" {
		t.Errorf("the new metric counts %q", got)
	}
	p.interrupt()
}
