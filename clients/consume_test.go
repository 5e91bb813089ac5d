package clients

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// franzConsume reads the topic's committed records from the beginning until it is told that it has enough.
func franzConsume(t *testing.T, p *process, enough func(sent) bool) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(p.brokers), kgo.ConsumeTopics(p.topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		for r := range fetches.RecordsAll() {
			if enough(sentOf(r)) {
				return
			}
		}
	}
}

func sentOf(r *kgo.Record) sent {
	return sent{Partition: int(r.Partition), Offset: r.Offset, Value: string(r.Value), Timestamp: r.Timestamp.UnixMilli(), AppendTime: r.Attrs.TimestampType() == 1}
}
