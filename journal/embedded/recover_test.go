package embedded_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/embedded"
)

// crashed returns a copy of a running broker's folder: what a crash at this moment would leave.
func crashed(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "crashed")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// produceRaw sends a batch as an idempotent producer does, with the sequence number that the test says.
func produceRaw(t *testing.T, cl *kgo.Client, topic string, producer int64, sequence int32, records int) *kmsg.ProduceResponseTopicPartition {
	t.Helper()
	var body []byte
	for i := range records {
		r := kmsg.Record{OffsetDelta: int32(i), Value: fmt.Append(nil, sequence+int32(i))}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		body = r.AppendTo(body)
	}
	batch := kmsg.RecordBatch{Magic: 2, ProducerID: producer, FirstSequence: sequence, NumRecords: int32(records), LastOffsetDelta: int32(records) - 1, Records: body}
	batch.Length = int32(len(batch.AppendTo(nil)) - 12)
	raw := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 1000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = raw
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	return &resp.Topics[0].Partitions[0]
}

// rawV3 names topics in Produce by name, not by id.
func rawV3(t *testing.T, b *embedded.Broker) *kgo.Client {
	v := kversion.Stable()
	v.SetMaxKeyVersion(0, 3)
	return raw(t, b, kgo.MaxVersions(v))
}

// TestProducerSurvivesCrash has a producer send again, after the broker's crash, what it has no answer for: what was
// written is not appended twice, and what was not is appended.
func TestProducerSurvivesCrash(t *testing.T) {
	dir := t.TempDir()
	b := open(t, embedded.Options{Dir: dir})
	ensure(t, connect(t, b), "once", 1)
	cl := rawV3(t, b)
	init, err := kmsg.NewPtrInitProducerIDRequest().RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	sequence, sizes := int32(0), []int{}
	for i := range 9 {
		n := 1 + i%3
		if p := produceRaw(t, cl, "once", init.ProducerID, sequence, n); p.ErrorCode != 0 || p.BaseOffset != int64(sequence) {
			t.Fatalf("batch %d: %+v", i, p)
		}
		sequence += int32(n)
		sizes = append(sizes, n)
		if i == 4 { // a clean stop's notes must not count once there was a crash behind it
			b.Close()
			b = open(t, embedded.Options{Dir: dir})
			cl = rawV3(t, b)
		}
	}
	b = open(t, embedded.Options{Dir: crashed(t, dir)})
	cl = rawV3(t, b)
	again := sequence
	for i := range 5 {
		n := sizes[len(sizes)-1-i]
		again -= int32(n)
		if p := produceRaw(t, cl, "once", init.ProducerID, again, n); p.ErrorCode != 0 || p.BaseOffset != int64(again) {
			t.Errorf("sent again, sequence %d: %+v, want the offset that it had", again, p)
		}
	}
	if p := produceRaw(t, cl, "once", init.ProducerID, sequence, 2); p.ErrorCode != 0 || p.BaseOffset != int64(sequence) {
		t.Errorf("the next batch: %+v, want it at %d", p, sequence)
	}
	for _, r := range readAll(t, connect(t, b), pinflow.TopicPartition{Topic: "once"}, 0, int64(sequence)+2) {
		if string(r.Value) != fmt.Sprint(r.Offset) {
			t.Errorf("offset %d has %s", r.Offset, r.Value)
		}
	}
}

// TestDamage reports a damaged batch to its readers, and refuses to start over it: what follows it is not dropped.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	b := open(t, embedded.Options{Dir: dir})
	j := connect(t, b)
	ensure(t, j, "damaged", 2)
	for i := range 20 {
		if r := j.Append(t.Context(), []pinflow.Draft{{Topic: "damaged", Partition: int32(i % 2), Value: fmt.Appendf(nil, "value %d", i)}}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
	}
	path := filepath.Join(dir, "partitions", "damaged-0", "0.dat")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("VALUE"), int64(bytes.Index(content, []byte("value 10")))); err != nil {
		t.Fatal(err)
	}
	tp := pinflow.TopicPartition{Topic: "damaged"}
	readAll(t, j, tp, 0, 5)
	if _, err := j.Read(t.Context(), tp, 5, 1); pinflow.KindOf(err) != pinflow.Internal {
		t.Errorf("reading the damaged record: %v", err)
	}
	if records, err := j.Read(t.Context(), tp, 6, 1); err != nil || string(records[0].Value) != "value 12" {
		t.Errorf("reading behind it: %v, %v", records, err)
	}
	sub, err := j.Subscribe(t.Context(), "damaged", []string{"damaged"}, fromStart{})
	if err != nil {
		t.Fatal(err)
	}
	var before, other int
	for failed := false; !failed || other < 10; {
		runs, err := sub.Poll(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			switch {
			case r.Partition == 1 && r.Err == nil:
				other += len(r.Records)
			case r.Partition == 0:
				before += len(r.Records)
				failed = failed || pinflow.KindOf(r.Err) == pinflow.Internal && r.Err != nil
			default:
				t.Fatalf("unexpected run %+v", r)
			}
		}
	}
	if before != 5 {
		t.Errorf("%d records before the damaged one, want 5", before)
	}
	sub.Seek(tp, 6)
	if runs, err := sub.Poll(t.Context(), 100); err != nil || len(runs[0].Records) != 4 {
		t.Errorf("behind the damaged record: %+v, %v", runs, err)
	}
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
	for _, dir := range []string{crashed(t, dir), dir} {
		b.Close()
		_, err = embedded.Open(t.Context(), embedded.Options{Dir: dir, Listen: "127.0.0.1:0"})
		if pinflow.KindOf(err) != pinflow.Internal || !strings.Contains(fmt.Sprint(err), "damaged-0") || pinflow.HintOf(err) == "" {
			t.Errorf("opened a damaged log: %v", err)
		}
	}
}

// TestNoise sends what is no request, and a client goes on next to it.
func TestNoise(t *testing.T) {
	b := open(t, embedded.Options{})
	j := connect(t, b)
	ensure(t, j, "noise", 1)
	frame := func(size uint32, key, version int16) []byte {
		f := kbin.AppendInt32(nil, int32(size))
		return append(kbin.AppendInt32(kbin.AppendInt16(kbin.AppendInt16(f, key), version), 1), make([]byte, 100)...)
	}
	for name, noise := range map[string][]byte{
		"HTTP": []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "huge": frame(1<<31, 0, 3), "large": frame(101<<20, 0, 3), "tiny": frame(3, 0, 3),
		"no such key": frame(108, 999, 0), "negative key": frame(108, -7, 0), "negative version": frame(108, 0, -1), "version": frame(108, 3, 99),
	} {
		c, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(noise); err != nil {
			t.Error(name, err)
		}
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if answer, _ := io.ReadAll(c); len(answer) > 0 {
			t.Errorf("%s was answered with %d bytes", name, len(answer))
		}
		c.Close()
		if r := j.Append(t.Context(), []pinflow.Draft{{Topic: "noise", Value: []byte("a")}}); r[0].Err != nil {
			t.Fatalf("after %s: %v", name, r[0].Err)
		}
	}
}
