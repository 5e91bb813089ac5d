package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/kafka"
)

// raw connects a client that is not ours.
func raw(t testing.TB, b *embedded.Broker, o ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(o, kgo.SeedBrokers(b.Addr()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func ensure(t testing.TB, j *kafka.Journal, topic string, partitions int) pinflow.TopicPartition {
	t.Helper()
	if _, err := j.EnsureTopic(t.Context(), topic, partitions); err != nil {
		t.Fatal(err)
	}
	return pinflow.TopicPartition{Topic: topic}
}

// TestForeignTimes gives every record the broker's time, whatever its producer says and however it compresses.
func TestForeignTimes(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	b := open(t, embedded.Options{Dir: dir, Clock: c.now})
	j := connect(t, b)
	tp := ensure(t, j, "old", 1)
	var want []int64
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.Lz4Compression(), kgo.SnappyCompression(), kgo.ZstdCompression()} {
		cl := raw(t, b, kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(50*time.Millisecond))
		var records []*kgo.Record
		for k := range 20 {
			records = append(records, &kgo.Record{Topic: "old", Value: []byte(strings.Repeat("x", 100)), Timestamp: time.Date(2001, 9, 9, 1, (7*k)%20, i, 0, time.UTC)})
			want = append(want, c.now().UnixMilli())
		}
		if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		cl.Close()
		c.advance(12345 * time.Millisecond)
	}
	for range 2 {
		for i, r := range readAll(t, j, tp, 0, int64(len(want))) {
			if r.Timestamp != want[i] {
				t.Fatalf("record %d has the time %s, it was appended at %s", i, r.Time(), time.UnixMilli(want[i]).UTC())
			}
		}
		cl := raw(t, b, kgo.ConsumeTopics("old"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		for n := 0; n < len(want); {
			fetches := cl.PollFetches(t.Context())
			if err := fetches.Err(); err != nil {
				t.Fatal(err)
			}
			for _, r := range fetches.Records() {
				if r.Attrs.TimestampType() != 1 || r.Timestamp.UnixMilli() != want[r.Offset] {
					t.Fatalf("offset %d: timestamp type %d, time %s", r.Offset, r.Attrs.TimestampType(), r.Timestamp)
				}
				n++
			}
		}
		cl.Close()
		b.Close()
		b = open(t, embedded.Options{Dir: dir, Clock: c.now})
		j = connect(t, b)
	}
}

// TestReadCommitted shows what transactions committed, and only that.
func TestReadCommitted(t *testing.T) {
	b := open(t, embedded.Options{})
	j := connect(t, b)
	tp := ensure(t, j, "tx", 1)
	cl := raw(t, b, kgo.TransactionalID("tx"), kgo.DefaultProduceTopic("tx"))
	var want []string
	for i := range 6 {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for k := range 3 {
			value := fmt.Sprint(i, "/", k)
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				want = append(want, value)
			}
		}
		if err := cl.EndTransaction(t.Context(), kgo.TransactionEndTry(i%2 == 0)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for next := int64(0); ; {
		records, err := j.Read(t.Context(), tp, next, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			got, next = append(got, string(r.Value)), r.Offset+1
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read %v, want %v", got, want)
	}
	sub, err := j.Subscribe(t.Context(), "tx", []string{"tx"}, fromStart{})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	got = nil
	for len(got) < len(want) {
		runs, err := sub.Poll(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs[0].Records {
			got = append(got, string(r.Value))
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the subscription read %v, want %v", got, want)
	}
}

// TestTornTail starts on a log whose last batch was cut off, or followed by anything.
func TestTornTail(t *testing.T) {
	for name, tear := range map[string]func(f *os.File, size int64) error{
		"cut off": func(f *os.File, size int64) error { return f.Truncate(size - 10) },
		"zeros":   func(f *os.File, _ int64) error { _, err := f.Write(make([]byte, 1000)); return err },
		"noise":   func(f *os.File, _ int64) error { _, err := f.WriteString(strings.Repeat("noise", 99)); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := open(t, embedded.Options{Dir: dir})
			j := connect(t, b)
			tp := ensure(t, j, "torn", 1)
			want := int64(20)
			for range want {
				if r := j.Append(t.Context(), []pinflow.Draft{{Topic: "torn", Value: []byte("whole")}}); r[0].Err != nil {
					t.Fatal(r[0].Err)
				}
			}
			b.Close()
			path := filepath.Join(dir, "partitions", "torn-0", "0.dat")
			f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			info, _ := f.Stat()
			if err := tear(f, info.Size()); err != nil {
				t.Fatal(err)
			}
			f.Close()
			if name == "cut off" {
				want-- // a batch that was never acknowledged
			}
			for range 2 {
				b = open(t, embedded.Options{Dir: dir})
				j = connect(t, b)
				readAll(t, j, tp, 0, want)
				r := j.Append(t.Context(), []pinflow.Draft{{Topic: "torn", Value: []byte("next")}})
				if r[0].Err != nil || r[0].Offset != want {
					t.Fatalf("appended at %v, want %d", r[0], want)
				}
				want++
				b.Close()
			}
		})
	}
}

// TestDiskFull refuses appends while there is no room, and acknowledges nothing that is not there.
func TestDiskFull(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	b := open(t, embedded.Options{Free: func(string) (int64, error) { return free.Load(), nil }})
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{b.Addr()}, AppendTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	patient := connect(t, b)
	tp := ensure(t, j, "full", 1)
	value := func(s string) []pinflow.Draft { return []pinflow.Draft{{Topic: "full", Value: []byte(s)}} }
	for round := range 2 {
		if r := patient.Append(t.Context(), value("room")); r[0].Err != nil || r[0].Offset != int64(round) {
			t.Fatalf("with room: %+v", r[0])
		}
		free.Store(1 << 20)
		if r := j.Append(t.Context(), value("no room")); pinflow.KindOf(r[0].Err) != pinflow.Unavailable {
			t.Fatalf("without room: %+v, want unavailable", r[0])
		}
		free.Store(1 << 40)
	}
	for _, r := range readAll(t, j, tp, 0, 2) {
		if string(r.Value) != "room" {
			t.Errorf("%s has %q", r.Position(), r.Value)
		}
	}
	// Who was refused is not for ever.
	for try := 1; ; try++ {
		r := j.Append(t.Context(), value("room again"))
		if r[0].Err == nil {
			break
		}
		if try == 10 {
			t.Fatalf("with room again: %+v", r[0])
		}
	}
}

// TestAppendGivesUp returns when its context ends, though the broker has not answered; the record is appended all the same.
func TestAppendGivesUp(t *testing.T) {
	var slow atomic.Bool
	arrived, answer := make(chan struct{}), make(chan struct{})
	b := open(t, embedded.Options{Clock: func() time.Time {
		if slow.CompareAndSwap(true, false) {
			close(arrived)
			<-answer
		}
		return time.Now()
	}})
	j := connect(t, b)
	tp := ensure(t, j, "slow", 1)
	slow.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if r := j.Append(ctx, []pinflow.Draft{{Topic: "slow", Value: []byte("a")}}); !errors.Is(r[0].Err, context.Canceled) || pinflow.KindOf(r[0].Err) != pinflow.Unavailable {
		t.Errorf("gave up with %v", r[0].Err)
	}
	close(answer)
	if r := j.Append(t.Context(), []pinflow.Draft{{Topic: "slow", Value: []byte("b")}}); r[0].Err != nil || r[0].Offset != 1 {
		t.Errorf("the next one: %+v", r[0])
	}
	if records := readAll(t, j, tp, 0, 2); string(records[0].Value) != "a" {
		t.Errorf("the first record is %q", records[0].Value)
	}
}

// TestRefused lets no client make the broker drop records.
func TestRefused(t *testing.T) {
	b := open(t, embedded.Options{})
	j := connect(t, b)
	ensure(t, j, "kept", 1)
	if r := j.Append(t.Context(), []pinflow.Draft{{Topic: "kept", Value: []byte("a")}}); r[0].Err != nil {
		t.Fatal(r[0].Err)
	}
	admin := kadm.NewClient(raw(t, b))
	offsets := kadm.Offsets{}
	offsets.AddOffset("kept", 0, 1, -1)
	deleted, err := admin.DeleteRecords(t.Context(), offsets)
	if err == nil {
		err = deleted.Error()
	}
	if !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("deleting records: %v", err)
	}
	if _, err := admin.DeleteTopic(t.Context(), "kept"); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("deleting the topic: %v", err)
	}
	for config, value := range map[string]string{"retention.ms": "1", "retention.bytes": "0", "cleanup.policy": "compact", "message.timestamp.type": "CreateTime"} {
		if _, err := admin.CreateTopic(t.Context(), 1, 1, map[string]*string{config: &value}, "made-"+config); !errors.Is(err, kerr.InvalidConfig) {
			t.Errorf("creating a topic with %s=%s: %v", config, value, err)
		}
		set := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: config, Value: &value}}
		for how, alter := range map[string]func(context.Context, []kadm.AlterConfig, ...string) (kadm.AlterConfigsResponses, error){
			"alter": admin.AlterTopicConfigs, "alter state": admin.AlterTopicConfigsState,
		} {
			r, err := alter(t.Context(), set, "kept")
			if err != nil || len(r) != 1 || !errors.Is(r[0].Err, kerr.InvalidConfig) {
				t.Errorf("%s %s=%s: %v %v", how, config, value, r, err)
			}
		}
	}
	for _, name := range []string{"", "..", "a/b", "a b", strings.Repeat("x", 250)} {
		if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, name); !errors.Is(err, kerr.InvalidTopicException) {
			t.Errorf("creating a topic named %q: %v", name, err)
		}
	}
	if err := raw(t, b, kgo.AllowAutoTopicCreation()).ProduceSync(t.Context(), &kgo.Record{Topic: "typo"}).FirstErr(); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("producing to a missing topic: %v", err)
	}
	if topics, err := j.List(t.Context()); err != nil || fmt.Sprint(topics) != "[kept]" {
		t.Errorf("topics are %v, %v", topics, err)
	}
}

func TestListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.7.7.7:0") // where no outgoing connection takes the port once it is closed
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for address, want := range map[string]pinflow.Kind{
		taken.Addr().String(): pinflow.Exists, "0.0.0.0:0": pinflow.Invalid, "example.com:9092": pinflow.Invalid, "9092": pinflow.Invalid,
	} {
		_, err := embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir(), Listen: address})
		if pinflow.KindOf(err) != want || !strings.Contains(pinflow.HintOf(err), ".") {
			t.Errorf("listening on %s: %v, want %s", address, err, want)
		}
	}
	// What could not be opened leaves the address free.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "meta.json"), []byte("not JSON"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := taken.Addr().String()
	taken.Close()
	if _, err := embedded.Open(t.Context(), embedded.Options{Dir: dir, Listen: address}); err == nil || pinflow.HintOf(err) == "" {
		t.Errorf("opened a folder of something else: %v", err)
	}
	b := open(t, embedded.Options{Listen: address})
	if b.Addr() != address {
		t.Errorf("listens on %s, want %s", b.Addr(), address)
	}
	b.Close()
	b.Close() // once more is nothing
}

// TestTrim deletes whole segments, oldest first, and nothing that a floor keeps.
func TestTrim(t *testing.T) {
	dir := t.TempDir()
	o := embedded.Options{Dir: dir, SegmentBytes: 1 << 20, RetentionBytes: 4 << 20}
	b := open(t, o)
	j := connect(t, b)
	ensure(t, j, "trim", 2)
	value := make([]byte, 64<<10)
	for range 150 {
		for p := range int32(2) {
			if r := j.Append(t.Context(), []pinflow.Draft{{Topic: "trim", Partition: p, Value: value}}); r[0].Err != nil {
				t.Fatal(r[0].Err)
			}
		}
	}
	floor := map[pinflow.TopicPartition]int64{{Topic: "trim", Partition: 0}: 40}
	starts := func() (s [2]int64) {
		d, err := j.Topic(t.Context(), "trim")
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range d.Partitions {
			s[i] = p.Start
		}
		return s
	}
	before := diskUsage(t, dir)
	freed, err := b.Trim(t.Context(), floor)
	if err != nil || freed <= 0 || before-diskUsage(t, dir) != freed {
		t.Errorf("freed %d of %d bytes, %d are left: %v", freed, before, diskUsage(t, dir), err)
	}
	if s := starts(); s[0] == 0 || s[0] > 40 || s[1] != 0 {
		t.Errorf("with a floor of 40 for partition 0 alone, the log starts at %v", s)
	}
	floor[pinflow.TopicPartition{Topic: "trim", Partition: 0}] = 150
	floor[pinflow.TopicPartition{Topic: "trim", Partition: 1}] = 150
	if _, err := b.Trim(t.Context(), floor); err != nil {
		t.Fatal(err)
	}
	if left := diskUsage(t, dir); left > o.RetentionBytes+2<<20 || left < o.RetentionBytes-3<<20 {
		t.Errorf("%d bytes are left of a retention of %d", left, o.RetentionBytes)
	}
	at := starts()
	if freed, err := b.Trim(t.Context(), floor); freed != 0 || err != nil {
		t.Errorf("freed %d once more: %v", freed, err)
	}
	b.Close()
	// Even with all of it allowed to go, the next offset is as before, after another start too.
	o.RetentionBytes = 1
	for i := range 3 {
		b = open(t, o)
		j = connect(t, b)
		if s := starts(); i == 0 && s != at {
			t.Errorf("the log starts at %v after a restart, at %v before", s, at)
		}
		if _, err := b.Trim(t.Context(), floor); err != nil {
			t.Fatal(err)
		}
		if r := j.Append(t.Context(), []pinflow.Draft{{Topic: "trim", Value: value}}); r[0].Err != nil || r[0].Offset != int64(150+i) {
			t.Errorf("appended at %v, want %d", r[0], 150+i)
		}
		b.Close()
	}
}

func diskUsage(t *testing.T, dir string) int64 {
	t.Helper()
	var n int64
	err := filepath.Walk(filepath.Join(dir, "partitions"), func(path string, info os.FileInfo, err error) error {
		if err == nil && (strings.HasSuffix(path, ".dat") || strings.HasSuffix(path, ".idx")) {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestGroupSurvivesRestart keeps topics, ids and a group's offsets over a clean stop and a kill's start.
func TestGroupSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	b := open(t, embedded.Options{Dir: dir})
	j := connect(t, b)
	ensure(t, j, "group", 2)
	before, err := j.Topic(t.Context(), "group")
	if err != nil {
		t.Fatal(err)
	}
	admin := kadm.NewClient(raw(t, b))
	offsets := kadm.Offsets{}
	offsets.AddOffset("group", 1, 42, -1)
	if err := admin.CommitAllOffsets(t.Context(), "reader", offsets); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if err := os.Remove(filepath.Join(dir, "seq_windows.json")); err != nil {
		t.Fatal(err)
	}
	b = open(t, embedded.Options{Dir: dir})
	after, err := connect(t, b).Topic(t.Context(), "group")
	if err != nil || after.ID != before.ID || len(after.Partitions) != 2 {
		t.Errorf("the topic is %+v, %v; it was %+v", after, err, before)
	}
	got, err := kadm.NewClient(raw(t, b)).FetchOffsets(t.Context(), "reader")
	if o, ok := got.Lookup("group", 1); err != nil || !ok || o.At != 42 {
		t.Errorf("the group's offsets are %+v, %v", got, err)
	}
}

// TestConsume consumes as the console consumer does.
func TestConsume(t *testing.T) {
	b := open(t, embedded.Options{})
	j := connect(t, b)
	ensure(t, j, "consume", 1)
	for i := range 10 {
		if r := j.Append(t.Context(), []pinflow.Draft{{Topic: "consume", Value: fmt.Append(nil, i)}}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
	}
	take := func(c kafka.Consumption) (got string) {
		t.Helper()
		c.Topic = "consume"
		if err := j.Consume(t.Context(), c, func(r pinflow.Record) error { got += string(r.Value); return nil }); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := take(kafka.Consumption{FromBeginning: true, MaxMessages: 10}); got != "0123456789" {
		t.Errorf("all from the beginning is %s", got)
	}
	for _, want := range []string{"0123", "4567"} { // the group goes on where it was
		if got := take(kafka.Consumption{FromBeginning: true, MaxMessages: 4, Group: "g"}); got != want {
			t.Errorf("the group got %s, want %s", got, want)
		}
	}
	stop := errors.New("enough")
	if err := j.Consume(t.Context(), kafka.Consumption{Topic: "consume", FromBeginning: true}, func(pinflow.Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the callback's error became %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := j.Consume(ctx, kafka.Consumption{Topic: "consume", FromBeginning: true}, func(pinflow.Record) error { cancel(); return nil }); err != nil {
		t.Errorf("ended by its context: %v", err)
	}
	if err := j.Consume(t.Context(), kafka.Consumption{Topic: "missing"}, nil); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("a missing topic: %v", err)
	}
}
