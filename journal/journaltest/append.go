package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/pinflow/pinflow"
)

func testTopic(t *T) {
	name := t.topic(3)
	d, err := t.Journal.Topic(t.ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != name || len(d.ID) != 22 || !d.AppendTime || len(d.Partitions) != 3 {
		t.Errorf("described as %+v", d)
	}
	for i, p := range d.Partitions {
		if p != (pinflow.PartitionBounds{Partition: int32(i)}) {
			t.Errorf("partition %d of an empty topic is %+v", i, p)
		}
	}
	again, err := t.Journal.EnsureTopic(t.ctx, name, 5)
	if err != nil || again.ID != d.ID || len(again.Partitions) != 3 {
		t.Errorf("ensured again: %+v, %v; want the topic as it is", again, err)
	}
	t.append(pinflow.Draft{Topic: name, Partition: 1, Value: []byte("a")}, pinflow.Draft{Topic: name, Partition: 1, Value: []byte("b")})
	if d, err = t.Journal.Topic(t.ctx, name); err != nil || d.Partitions[1] != (pinflow.PartitionBounds{Partition: 1, End: 2}) {
		t.Errorf("after two records: %+v, %v", d, err)
	}
	if _, err = t.Journal.Topic(t.ctx, name+"-missing"); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("describing a missing topic: %v, want not found", err)
	}
	if _, err = t.Journal.EnsureTopic(t.ctx, "no/such name", 1); pinflow.KindOf(err) != pinflow.Invalid {
		t.Errorf("an impossible name: %v, want invalid", err)
	}
}

// testAppend gives back what was appended, byte for byte.
func testAppend(t *T) {
	topic := t.topic(2)
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	var drafts []pinflow.Draft
	for i := range 200 {
		d := pinflow.Draft{Topic: topic, Partition: int32(i % 2), Key: noise(rng.IntN(20)), Value: noise(rng.IntN(2000))}
		switch i % 10 {
		case 0:
			d.Key = nil
		case 1:
			d.Value = nil // a tombstone
		case 2:
			d.Value = []byte{}
		case 3:
			d.Headers = []pinflow.Header{{Key: "replay-of", Value: noise(5)}, {Key: "replay-of", Value: nil}, {Key: "", Value: []byte{}}}
		}
		drafts = append(drafts, d)
	}
	positions := t.append(drafts...)
	want := map[pinflow.Position]pinflow.Draft{}
	next := map[int32]int64{}
	for i, p := range positions {
		if p.Topic != topic || p.Partition != drafts[i].Partition || p.Offset != next[p.Partition] {
			t.Fatalf("draft %d lies at %s, want %d:%d", i, p, drafts[i].Partition, next[drafts[i].Partition])
		}
		next[p.Partition]++
		want[p] = drafts[i]
	}
	for p := range int32(2) {
		records := t.readAll(pinflow.TopicPartition{Topic: topic, Partition: p}, 0)
		if len(records) != 100 {
			t.Errorf("partition %d has %d records, want 100", p, len(records))
		}
		for _, r := range records {
			if d := want[r.Position()]; !sameContent(&r, &d) {
				t.Fatalf("at %s: %+v, want %+v", r.Position(), r, d)
			}
		}
	}
	if r := t.Journal.Append(t.ctx, nil); len(r) != 0 {
		t.Errorf("no drafts got receipts: %v", r)
	}
}

func sameContent(r *pinflow.Record, d *pinflow.Draft) bool {
	if !bytes.Equal(r.Key, d.Key) || !bytes.Equal(r.Value, d.Value) || len(r.Headers) != len(d.Headers) ||
		(r.Value == nil) != (d.Value == nil) || (r.Key == nil) != (d.Key == nil) {
		return false
	}
	for i, h := range d.Headers {
		if r.Headers[i].Key != h.Key || !bytes.Equal(r.Headers[i].Value, h.Value) {
			return false
		}
	}
	return true
}

func testAppendErrors(t *T) {
	topic := t.topic(1)
	receipts := t.Journal.Append(t.ctx, []pinflow.Draft{
		{Topic: topic, Value: []byte("good")},
		{Topic: topic, Value: make([]byte, 3<<20)},
		{Topic: topic + "-missing", Value: []byte("x")},
		{Topic: topic, Partition: 7, Value: []byte("x")},
		{Topic: topic, Value: []byte("good too")},
	})
	for i, want := range []pinflow.Kind{0, pinflow.TooLarge, pinflow.NotFound, pinflow.NotFound, 0} {
		r := receipts[i]
		switch {
		case want == 0 && (r.Err != nil || r.Offset < 0):
			t.Errorf("draft %d: %+v, want it appended", i, r)
		case want != 0 && pinflow.KindOf(r.Err) != want:
			t.Errorf("draft %d: %v, want %s", i, r.Err, want)
		}
	}
	if n := len(t.readAll(pinflow.TopicPartition{Topic: topic}, 0)); n != 2 {
		t.Errorf("%d records, want the two good ones", n)
	}
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	if r := t.Journal.Append(ctx, []pinflow.Draft{{Topic: topic, Value: []byte("late")}}); !errors.Is(r[0].Err, context.Canceled) {
		t.Errorf("with an ended context: %v", r[0].Err)
	}
}

// testOrderPerKey finds each key's records in one partition, the one that Kafka's producers choose, in order.
func testOrderPerKey(t *T) {
	const partitions, keys, each = 5, 40, 25
	topic := t.topic(partitions)
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			for i := range each {
				r := t.Journal.Append(t.ctx, []pinflow.Draft{{Topic: topic, Partition: pinflow.AnyPartition,
					Key: fmt.Appendf(nil, "key-%d", k), Value: fmt.Append(nil, i)}})
				if r[0].Err != nil {
					t.Error(r[0].Err)
					return
				}
			}
		})
	}
	wg.Wait()
	next := map[string]int{}
	for p := range int32(partitions) {
		for _, r := range t.readAll(pinflow.TopicPartition{Topic: topic, Partition: p}, 0) {
			key := string(r.Key)
			if home := int32(murmur2(r.Key)&0x7fffffff) % partitions; home != p {
				t.Fatalf("%s lies in partition %d, its home is %d", key, p, home)
			}
			if string(r.Value) != fmt.Sprint(next[key]) {
				t.Fatalf("%s: record %s where %d was next", key, r.Value, next[key])
			}
			next[key]++
		}
	}
	if len(next) != keys {
		t.Errorf("%d keys found, want %d", len(next), keys)
	}
}

// murmur2 is the hash by which Kafka's own producers choose partitions.
func murmur2(b []byte) uint32 {
	const m, r = 0x5bd1e995, 24
	h := uint32(0x9747b28c) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(b[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}

// testManyAppenders gives each of many callers receipts of its own.
func testManyAppenders(t *T) {
	const callers, each = 64, 50
	topic := t.topic(1)
	var mu sync.Mutex
	at := map[int64]string{}
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				value := fmt.Sprintf("%d/%d", c, i)
				r := t.Journal.Append(t.ctx, []pinflow.Draft{{Topic: topic, Partition: pinflow.AnyPartition, Value: []byte(value)}})
				if r[0].Err != nil {
					t.Error(r[0].Err)
					return
				}
				mu.Lock()
				if other, taken := at[r[0].Offset]; taken {
					t.Errorf("%s and %s both lie at %d", other, value, r[0].Offset)
				}
				at[r[0].Offset] = value
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	records := t.readAll(pinflow.TopicPartition{Topic: topic}, 0)
	if len(records) != callers*each || len(at) != callers*each {
		t.Fatalf("%d records and %d receipts, want %d", len(records), len(at), callers*each)
	}
	for _, r := range records {
		if at[r.Offset] != string(r.Value) {
			t.Fatalf("offset %d has %q, its receipt was for %q", r.Offset, r.Value, at[r.Offset])
		}
	}
}
