package kafka_test

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/kafka"
)

// TestBrokerRestarted stops Kafka and starts it again while records are appended and read: what was acknowledged is there, each record is there
// once, and readers and appenders go on by themselves.
func TestBrokerRestarted(t *testing.T) {
	address, script := realKafka(t)
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	const partitions, appenders = 2, 8
	topic := fmt.Sprintf("restarted-%d", time.Now().UnixNano())
	if _, err := j.EnsureTopic(t.Context(), topic, partitions); err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	acknowledged := map[pinflow.Position]string{} // what must be there
	unknown := map[string]bool{}                  // what may be there: not acknowledged
	stop := make(chan struct{})
	var work sync.WaitGroup
	for a := range appenders {
		work.Go(func() {
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for i := 0; ; i++ {
				value := fmt.Sprintf("%d/%d", a, i)
				r := j.Append(t.Context(), []pinflow.Draft{{Topic: topic, Partition: int32(a % partitions), Value: []byte(value)}})[0]
				mu.Lock()
				if r.Err == nil {
					if other, twice := acknowledged[r.Position]; twice {
						t.Errorf("%s and %s are both said to lie at %s", other, value, r.Position)
					}
					acknowledged[r.Position] = value
				} else if unknown[value] = true; pinflow.KindOf(r.Err) != pinflow.Unavailable {
					t.Errorf("%v, want unavailable", r.Err)
				}
				mu.Unlock()
				select {
				case <-pace.C:
				case <-stop:
					return
				}
			}
		})
	}
	read := map[pinflow.Position]string{}
	reading, enough := context.WithCancel(t.Context())
	defer enough()
	sub, err := j.Subscribe(t.Context(), "readers-of-"+topic, []string{topic}, nothing{})
	if err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		next := map[int32]int64{}
		for {
			runs, err := sub.Poll(reading, 1000)
			if reading.Err() != nil {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			for _, run := range runs {
				if run.Err != nil {
					t.Error(run.Err)
					return
				}
				mu.Lock()
				for _, r := range run.Records {
					if r.Offset < next[run.Partition] {
						continue // begun anew: the group had given the reader up, and the assignee always begins at 0
					}
					if r.Offset != next[run.Partition] {
						t.Errorf("%s was read where %d was next", r.Position(), next[run.Partition])
					}
					next[run.Partition] = r.Offset + 1
					read[r.Position()] = string(r.Value)
				}
				mu.Unlock()
			}
		}
	})
	acks := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	await := func(what string, f func() bool) {
		t.Helper()
		patience := time.NewTimer(90 * time.Second)
		defer patience.Stop()
		pace := time.NewTicker(50 * time.Millisecond)
		defer pace.Stop()
		for !f() {
			select {
			case <-pace.C:
			case <-patience.C:
				t.Fatalf("waited for %s; %d are acknowledged", what, acks())
			}
		}
	}
	await("records to be acknowledged", func() bool { return acks() > 200 })
	for _, verb := range []string{"stop", "start"} {
		if out, err := exec.CommandContext(t.Context(), "bash", script, verb).CombinedOutput(); err != nil {
			t.Fatalf("kafka.sh %s: %v\n%s", verb, err, out)
		}
	}
	n := acks()
	await("records to be acknowledged once it is back", func() bool { return acks() > n+200 })
	close(stop)
	work.Wait()
	described, err := j.Topic(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, b := range described.Partitions {
		total += int(b.End)
	}
	await("all to be read", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(read) >= total
	})
	enough()
	reader.Wait()
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
	seen := map[string]pinflow.Position{}
	for at, value := range read {
		if other, twice := seen[value]; twice {
			t.Errorf("%s lies at %s and at %s", value, other, at)
		}
		seen[value] = at
		if acknowledged[at] != value && !unknown[value] {
			t.Errorf("%s lies at %s, where %q was acknowledged", value, at, acknowledged[at])
		}
	}
	for at, value := range acknowledged {
		if read[at] != value {
			t.Errorf("%s was acknowledged at %s, where %q lies", value, at, read[at])
		}
	}
	t.Logf("%d acknowledged, %d not, %d there", len(acknowledged), len(unknown), total)
}
