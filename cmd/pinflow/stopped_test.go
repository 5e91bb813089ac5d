package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
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
	if got := status.Partitions[0].Stopped; !strings.Contains(got, "The journal has deleted records that are not counted yet") {
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
