package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/folder"
)

// TestJournalThatEndsBeforeTheLake is refused at the start: it would give out offsets that the lake has already.
func TestJournalThatEndsBeforeTheLake(t *testing.T) {
	data := t.TempDir()
	objects, err := folder.OpenURL("file://" + filepath.Join(data, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	settings := &config.Settings{Places: config.Places{Data: data, Journal: "embedded:"}, Listen: config.Listen{KafkaListen: "127.0.0.1:0"}}
	var opened closers
	t.Cleanup(func() {
		if err := opened.close(); err != nil {
			t.Error(err)
		}
	})
	opened.add(objects.Close)
	j, err := openJournal(t.Context(), settings, leastFetch, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), &opened)
	if err != nil {
		t.Fatal(err)
	}
	plan := &pinflow.Plan{Sources: []pinflow.PlannedSource{{Source: pinflow.Source{Name: "s", Topic: "t", Partitions: 1}}}}
	if _, err := openTopics(t.Context(), j, objects, plan, 0); err != nil {
		t.Fatal(err)
	}
	for _, receipt := range j.Append(t.Context(), []pinflow.Draft{{Topic: "t", Value: []byte(`{}`)}, {Topic: "t", Value: []byte(`{}`)}}) {
		if receipt.Err != nil {
			t.Fatal(receipt.Err)
		}
	}
	put := func(start, offset int64) {
		line, err := json.Marshal(map[string]any{"_partition": 0, "_offset": offset, "_timestamp": "1970-01-01T00:00:00.000Z"})
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		if _, err := zip.Write(append(line, '\n')); err != nil {
			t.Fatal(err)
		}
		if err := zip.Close(); err != nil {
			t.Fatal(err)
		}
		name := lake.Object{TopicPartition: pinflow.TopicPartition{Topic: "t"}, Start: start}.Name(pinflow.DefaultPeriodLength)
		if created, err := objects.PutIfAbsent(t.Context(), name, packed.Bytes()); err != nil || !created {
			t.Fatal(created, err)
		}
	}
	put(0, 1)
	if _, err := openTopics(t.Context(), j, objects, plan, 0); err != nil {
		t.Fatalf("both end at 2: %v", err)
	}
	put(2, 2)
	_, err = openTopics(t.Context(), j, objects, plan, 0)
	if pinflow.KindOf(err) != pinflow.OutOfRange || !strings.Contains(err.Error(), "the journal's log ends at 2, the lake at 3") {
		t.Errorf("got %v", err)
	}
}
