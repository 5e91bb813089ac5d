package embedded_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/kafka"
)

// recordBytes is the size of a post.
const recordBytes = 606

func payload() []byte {
	return []byte(`{"title":"` + strings.Repeat("ten words", recordBytes/9) + `"}`)[:recordBytes]
}

// BenchmarkAppend is acknowledged appends, one record a call, each synced to disk.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			j, topic := benchTopic(b, kafka.Options{})
			value := payload()
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if r := j.Append(b.Context(), []pinflow.Draft{{Topic: topic, Partition: pinflow.AnyPartition, Value: value}}); r[0].Err != nil {
							b.Error(r[0].Err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkAppendBulk is acknowledged appends of 1,000 records a call, per compression.
func BenchmarkAppendBulk(b *testing.B) {
	for _, compression := range []string{"none", "gzip"} {
		b.Run(compression, func(b *testing.B) {
			j, topic := benchTopic(b, kafka.Options{Compression: compression})
			drafts := make([]pinflow.Draft, 1000)
			value := payload()
			for i := range drafts {
				drafts[i] = pinflow.Draft{Topic: topic, Partition: pinflow.AnyPartition, Value: value}
			}
			b.SetBytes(int64(len(drafts) * len(value)))
			for b.Loop() {
				for _, r := range j.Append(b.Context(), drafts) {
					if r.Err != nil {
						b.Fatal(r.Err)
					}
				}
			}
			b.ReportMetric(float64(b.N*len(drafts))/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkSubscribe is the rate of a subscription that reads a backlog.
func BenchmarkSubscribe(b *testing.B) {
	j, topic := benchTopic(b, kafka.Options{})
	drafts := make([]pinflow.Draft, 1000)
	value := payload()
	for i := range drafts {
		drafts[i] = pinflow.Draft{Topic: topic, Partition: pinflow.AnyPartition, Value: value}
	}
	const backlog = 200
	for range backlog {
		if r := j.Append(b.Context(), drafts); r[0].Err != nil {
			b.Fatal(r[0].Err)
		}
	}
	b.SetBytes(int64(backlog * len(drafts) * len(value)))
	for b.Loop() {
		sub, err := j.Subscribe(b.Context(), "bench", []string{topic}, fromStart{})
		if err != nil {
			b.Fatal(err)
		}
		for n := 0; n < backlog*len(drafts); {
			runs, err := sub.Poll(b.Context(), 20000)
			if err != nil {
				b.Fatal(err)
			}
			for _, r := range runs {
				n += len(r.Records)
			}
		}
		sub.Close()
	}
	b.ReportMetric(float64(b.N*backlog*len(drafts))/b.Elapsed().Seconds(), "records/s")
}

type fromStart struct{}

func (fromStart) Assigned(_ context.Context, partitions []pinflow.TopicPartition) (map[pinflow.TopicPartition]int64, error) {
	starts := map[pinflow.TopicPartition]int64{}
	for _, tp := range partitions {
		starts[tp] = 0
	}
	return starts, nil
}
func (fromStart) Revoked(context.Context, []pinflow.TopicPartition) {}

func benchTopic(b *testing.B, o kafka.Options) (*kafka.Journal, string) {
	broker := open(b, embedded.Options{})
	o.Brokers = []string{broker.Addr()}
	j, err := kafka.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { j.Close() })
	if _, err := j.EnsureTopic(b.Context(), "posts", 1); err != nil {
		b.Fatal(err)
	}
	return j, "posts"
}

// BenchmarkOpen is a start in a process of its own, with a log of the default retention that consists of
// single posts, after a kill and after a clean stop. It reports the time until clients are let in, and memory.
func BenchmarkOpen(b *testing.B) {
	if dir := os.Getenv(openDir); dir != "" {
		openOnce(b, dir)
		return
	}
	dir := b.TempDir()
	writeLog(b, dir, embedded.DefaultRetentionBytes)
	for _, state := range []string{"killed", "clean"} {
		b.Run(state, func(b *testing.B) {
			var seconds, peak, after float64
			process := func() {
				cmd := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkOpen$", "-test.benchtime=1x")
				cmd.Env = append(os.Environ(), openDir+"="+dir, openState+"="+state)
				out, err := cmd.CombinedOutput()
				if err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				_, line, _ := strings.Cut(string(out), "opened ")
				if _, err := fmt.Sscan(line, &seconds, &peak, &after); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
			}
			process() // brings the log into that state
			for b.Loop() {
				process()
			}
			b.ReportMetric(seconds, "s/open")
			b.ReportMetric(peak, "MiB-peak")
			b.ReportMetric(after, "MiB-after")
		})
	}
}

const openDir, openState = "PINFLOW_TEST_OPEN_DIR", "PINFLOW_TEST_OPEN_STATE"

// openOnce opens the log and says how long it took; a clean stop follows only where the next start is to be clean.
func openOnce(b *testing.B, dir string) {
	start := time.Now()
	broker, err := embedded.Open(b.Context(), embedded.Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	peak, after := memory("VmHWM"), memory("VmRSS")
	fmt.Println("opened", took.Seconds(), peak, after)
	if os.Getenv(openState) == "clean" {
		broker.Close()
	}
	os.Exit(0)
}

// memory reads a line of the process's status, in MiB.
func memory(line string) float64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), line+":")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseFloat(fields[0], 64)
	return kib / 1024
}

// writeLog writes a log of single-record batches as the broker would, without waiting for a disk.
func writeLog(b *testing.B, dir string, size int) {
	broker := open(b, embedded.Options{Dir: dir})
	if _, err := connect(b, broker).EnsureTopic(b.Context(), "posts", 1); err != nil {
		b.Fatal(err)
	}
	broker.Close()
	partition := filepath.Join(dir, "partitions", "posts-0")
	if err := os.MkdirAll(partition, 0o700); err != nil {
		b.Fatal(err)
	}
	record := kmsg.Record{Key: []byte("some-key"), Value: payload()}
	body := record.AppendTo(nil)
	record.Length = int32(len(body) - 1)
	body = record.AppendTo(nil)
	batch := kmsg.RecordBatch{Magic: 2, ProducerID: 1, NumRecords: 1, FirstTimestamp: 1, MaxTimestamp: 1, Records: body}
	batch.Length = int32(len(batch.AppendTo(nil)) - 12)
	table := crc32.MakeTable(crc32.Castagnoli)
	offset := int64(0)
	for written := 0; written < size; {
		var segment []byte
		base := offset
		for len(segment) < 16<<20 {
			batch.FirstOffset = offset
			at := len(segment)
			segment = batch.AppendTo(segment)
			binary.BigEndian.PutUint32(segment[at+17:], crc32.Checksum(segment[at+21:], table))
			offset++
		}
		if err := os.WriteFile(filepath.Join(partition, fmt.Sprintf("%d.dat", base)), segment, 0o600); err != nil {
			b.Fatal(err)
		}
		written += len(segment)
	}
}
