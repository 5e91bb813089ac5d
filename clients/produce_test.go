package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestProducers has every client produce to a topic, in every codec that it has; what each one sent arrives in lake and metrics.
func TestProducers(t *testing.T) {
	others := kafkaClients(t)
	eachJournal(t, func(t *testing.T, p *process) {
		all := map[string]any{}
		took := func(who string, records []sent) {
			t.Helper()
			if len(records) == 0 {
				t.Errorf("%s sent nothing", who)
			}
			maps.Copy(all, byPlace(t, records, false))
		}
		for _, c := range others {
			var records []sent
			c.run(t, "produce", p.ask("seed", c.name, "count", 30), &records)
			took(c.name, records)
			if c.isConfluent() {
				var outcome struct{ Committed, Aborted []sent }
				c.run(t, "transact", p.ask("seed", c.name+"-tx-"+p.topic, "count", 10), &outcome)
				if len(outcome.Aborted) == 0 {
					t.Errorf("%s aborted nothing", c.name)
				}
				took(c.name+" in transactions", outcome.Committed)
			}
		}
		took("franz-go", franz(t, p, 30))
		took("Kafka's console producer", consoleProduce(t, p, 30))
		p.arrived(all)
	})
}

// ask is what a script is asked, with what all of them want to know.
func (p *process) ask(more ...any) map[string]any {
	ask := map[string]any{"brokers": p.brokers, "topic": p.topic, "partitions": topicParts}
	for i := 0; i < len(more); i += 2 {
		ask[more[i].(string)] = more[i+1]
	}
	return ask
}

// posts are pins of the scripts' making.
func posts(t *testing.T, seed string, count int) []json.RawMessage {
	t.Helper()
	var all []json.RawMessage
	script(t, "", &all, "print_pins.py", seed, fmt.Sprint(count))
	return all
}

// keyOf is the key of a post.
func keyOf(t *testing.T, post json.RawMessage) string {
	t.Helper()
	var v struct {
		Key string `json:"unique_id"`
	}
	decode(t, string(post), &v)
	return v.Key
}

// franz produces with franz-go, in every codec.
func franz(t *testing.T, p *process, count int) []sent {
	t.Helper()
	var all []sent
	for name, codec := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		cl, err := kgo.NewClient(kgo.SeedBrokers(p.brokers), kgo.DefaultProduceTopic(p.topic), kgo.ProducerBatchCompression(codec))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		var records []*kgo.Record
		for _, post := range posts(t, "franz-"+name, count) {
			records = append(records, &kgo.Record{Key: []byte(keyOf(t, post)), Value: post})
		}
		results := cl.ProduceSync(context.WithoutCancel(t.Context()), records...)
		if err := results.FirstErr(); err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			all = append(all, sent{Partition: int(r.Record.Partition), Offset: r.Record.Offset, Value: string(r.Record.Value)})
		}
	}
	return all
}

// consoleProduce has Kafka's console producer send posts. It does not tell where they lie: they are looked for.
func consoleProduce(t *testing.T, p *process, count int) []sent {
	t.Helper()
	var lines strings.Builder
	missing := map[string]int{}
	for _, post := range posts(t, "console", count) {
		fmt.Fprintf(&lines, "%s\t%s\n", keyOf(t, post), post)
		missing[string(post)]++
	}
	tool(t, lines.String(), "ConsoleProducer", "--bootstrap-server", p.brokers, "--topic", p.topic, "--reader-property", "parse.key=true", "--compression-codec", "lz4")
	var found []sent
	franzConsume(t, p, func(r sent) bool {
		if missing[r.Value] > 0 {
			missing[r.Value]--
			found = append(found, r)
		}
		return len(found) == count
	})
	return found
}
