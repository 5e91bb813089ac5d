package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
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
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
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

// TestConsumers has every client read what Pinflow took over HTTP, in the codec that Pinflow chose, as the original's two consumers
// do: one after the other as they come, and in batches, at the same time, while posts arrive. Each must see everything.
func TestConsumers(t *testing.T) {
	others := kafkaClients(t)
	eachJournal(t, func(t *testing.T, p *process) {
		const count = 200
		type reader struct {
			who  string
			seen []sent
		}
		var readers []*reader
		var reading sync.WaitGroup
		start := func(who string, read func() []sent) {
			r := &reader{who: who}
			readers = append(readers, r)
			reading.Go(func() { r.seen = read() })
		}
		for _, c := range others {
			for _, verb := range []string{"consume", "batches"} {
				if verb == "batches" && c.isConfluent() {
					continue // its consume takes batches
				}
				start(c.name+" "+verb, func() (seen []sent) {
					c.run(t, verb, p.ask("group", c.name+"-"+verb+"-"+p.topic, "count", count), &seen)
					return seen
				})
			}
		}
		start("franz-go", func() (seen []sent) {
			franzConsume(t, p, func(r sent) bool {
				seen = append(seen, r)
				return len(seen) == count
			})
			return seen
		})
		start("Kafka's console consumer", func() []sent { return consoleConsume(t, p, count) })
		taken := post(t, p, posts(t, "consumers one by one", count/2))
		taken = append(taken, postBulk(t, p, posts(t, "consumers in bulk", count/2))...) // in batches, which a codec could compress
		reading.Wait()
		want := byPlace(t, taken, false)
		for _, r := range readers {
			same(t, r.who, byPlace(t, r.seen, false), want)
			for _, one := range r.seen {
				if !one.AppendTime || one.Timestamp == 0 {
					t.Errorf("%s does not see the append time of %s: %d", r.who, one.at(), one.Timestamp)
					break
				}
			}
		}
		p.arrived(want)
	})
}

// post posts to the source's route, one by one, and returns what was answered.
func post(t *testing.T, p *process, all []json.RawMessage) []sent {
	t.Helper()
	var taken []sent
	for _, one := range all {
		answer, err := http.Post(p.http+"/pin/", "application/json", bytes.NewReader(one))
		if err != nil {
			t.Fatal(err)
		}
		receipt := sent{Value: string(one)}
		err = json.NewDecoder(answer.Body).Decode(&receipt)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK || err != nil {
			t.Fatalf("a post is answered %s, %v", answer.Status, err)
		}
		taken = append(taken, receipt)
	}
	return taken
}

// postBulk posts all at once and returns what was answered.
func postBulk(t *testing.T, p *process, all []json.RawMessage) []sent {
	t.Helper()
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(p.http+"/pin/", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var bulk struct{ Results []sent }
	err = json.NewDecoder(answer.Body).Decode(&bulk)
	if answer.StatusCode != http.StatusOK || err != nil || len(bulk.Results) != len(all) {
		t.Fatalf("a bulk of %d is answered %s with %d results, %v", len(all), answer.Status, len(bulk.Results), err)
	}
	for i, one := range all {
		bulk.Results[i].Value = string(one)
	}
	return bulk.Results
}

// consoleConsume reads with Kafka's console consumer.
func consoleConsume(t *testing.T, p *process, count int) (seen []sent) {
	t.Helper()
	out := tool(t, "", "consumer.ConsoleConsumer", "--bootstrap-server", p.brokers, "--topic", p.topic, "--from-beginning", "--max-messages", fmt.Sprint(count),
		"--timeout-ms", "120000", "--isolation-level", "read_committed", "--formatter-property", "print.timestamp=true",
		"--formatter-property", "print.partition=true", "--formatter-property", "print.offset=true")
	for line := range strings.Lines(out) {
		var r sent
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 4)
		if len(fields) != 4 {
			t.Fatalf("the console consumer prints %q", line)
		}
		_, err := fmt.Sscanf(strings.Join(fields[:3], " "), "LogAppendTime:%d Partition:%d Offset:%d", &r.Timestamp, &r.Partition, &r.Offset)
		if err != nil {
			t.Fatalf("the console consumer prints %q: %v", line, err)
		}
		r.AppendTime, r.Value = true, fields[3]
		seen = append(seen, r)
	}
	return seen
}

// TestReadCommitted has consumers read a topic with aborted transactions: those who ask for committed records see no others.
func TestReadCommitted(t *testing.T) {
	others := kafkaClients(t)
	eachJournal(t, func(t *testing.T, p *process) {
		var outcome struct{ Committed, Aborted []sent }
		for _, c := range others {
			if c.isConfluent() && c.path == "" {
				c.run(t, "transact", p.ask("seed", "tx-"+p.topic, "count", 20), &outcome)
			}
		}
		committed := byPlace(t, outcome.Committed, false)
		all := byPlace(t, append(outcome.Aborted, outcome.Committed...), false)
		if len(committed) == 0 || len(all) == len(committed) {
			t.Fatalf("%d of %d records are committed", len(committed), len(all))
		}
		for _, c := range others {
			if c.isBefore("2.1") {
				continue // it has no isolation level
			}
			for isolation, want := range map[string]map[string]any{"read_committed": committed, "read_uncommitted": all} {
				var seen []sent
				c.run(t, "consume", p.ask("group", c.name+isolation+p.topic, "isolation", isolation, "count", len(want)), &seen)
				same(t, c.name+" "+isolation, byPlace(t, seen, false), want)
			}
		}
		same(t, "Kafka's console consumer", byPlace(t, consoleConsume(t, p, len(committed)), false), committed)
		p.arrived(committed)
	})
}
