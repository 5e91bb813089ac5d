package lake

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
)

// grownFile is raw/<topic>/_partitions-<n>.json: from some moment on, the topic has n partitions. The greatest n counts.
type grownFile struct {
	Version    int    `json:"version"`
	Topic      string `json:"topic"`
	Partitions int    `json:"partitions"`
}

const grownPrefix = "_partitions-"

// PartitionCount returns how many partitions the topic has by now, as far as this Topic has heard.
func (t *Topic) PartitionCount() int { return int(t.grown.Load()) }

// grow takes up partitions that were added to the topic in the journal.
func (t *Topic) grow(ctx context.Context, n int) error {
	text, err := json.Marshal(grownFile{Version: formatVersion, Topic: t.Topic, Partitions: n})
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s%s%05d.json", topicFolder(t.Topic), grownPrefix, n)
	if _, err := t.objects.PutIfAbsent(ctx, name, append(text, '\n')); err != nil {
		return err
	}
	t.heard(n)
	return nil
}

// countGrown looks for partitions that were taken up since.
func (t *Topic) countGrown(ctx context.Context) error {
	prefix := topicFolder(t.Topic) + grownPrefix
	for info, err := range t.objects.List(ctx, prefix, "/") {
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(info.Name, prefix), ".json"))
		if err != nil || !strings.HasSuffix(info.Name, ".json") {
			return &pinflow.Error{Op: "read the partition count", On: at(t.objects, info.Name), Kind: pinflow.Invalid, Err: err,
				Hint: "Move files that Pinflow did not write out of the lake."}
		}
		t.heard(n)
	}
	return nil
}

func (t *Topic) heard(n int) {
	for {
		have := t.grown.Load()
		if int(have) >= n || t.grown.CompareAndSwap(have, int32(n)) {
			return
		}
	}
}
