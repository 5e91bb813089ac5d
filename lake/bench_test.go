package lake

import (
	"bufio"
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/value"
)

// benchRecords returns real pins where they are at hand, else some of about their size and repetition.
func benchRecords(tb testing.TB) []pinflow.Record {
	var records []pinflow.Record
	if f, err := os.Open(filepath.Join(os.Getenv("PINFLOW_DATA"), "pins.ndjson")); err == nil {
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			records = append(records, pinflow.Record{Value: bytes.Clone(lines.Bytes())})
		}
	} else {
		random := rand.New(rand.NewPCG(1, 1))
		words := func(n int) (s string) {
			for range n {
				s += fmt.Sprintf("%x ", random.IntN(3000)*2654435761)
			}
			return s
		}
		for i := range 3000 {
			records = append(records, pinflow.Record{Value: fmt.Appendf(nil, `{"index":%d,"title":"%s","description":"%s","follower_count":"%dk","tag_list":"%s","category":"art"}`,
				i, words(6), words(25), random.IntN(900), words(12))})
		}
	}
	for i := range records {
		r := &records[i]
		r.Topic, r.Offset, r.Timestamp = "t", int64(i), 1_790_000_000_000+int64(i)
		r.Key = fmt.Appendf(nil, "fbe53c66-3442-4773-b19e-%012x", uint64(i)*2654435761)
	}
	return records
}

// BenchmarkLevels is how the compression level was chosen, and what packing for all partitions in turn costs beside a stream
// of each one's own. ratio is bytes of lines per byte stored.
func BenchmarkLevels(b *testing.B) {
	records := benchRecords(b)
	var lines []byte
	for i := range records {
		lines = value.AppendLine(lines, &records[i])
	}
	report := func(b *testing.B, stored int) {
		b.SetBytes(int64(len(lines)))
		b.ReportMetric(float64(len(lines))/float64(stored), "ratio")
	}
	for level := 1; level <= 6; level++ {
		b.Run(fmt.Sprintf("packer/%d", level), func(b *testing.B) {
			p, err := newPacker(level)
			if err != nil {
				b.Fatal(err)
			}
			var stored int
			for b.Loop() {
				buf := newBuffer(Object{}, time.Time{})
				for rest := lines; len(rest) > 0; {
					n := min(chunkBytes, len(rest))
					buf.lines = append(buf.lines, rest[:n]...)
					p.pack(buf)
					rest = rest[n:]
				}
				stored = len(buf.finish(p))
			}
			report(b, stored)
		})
	}
	stream := func(name string, w interface {
		io.WriteCloser
		Reset(io.Writer)
	}) {
		b.Run(name, func(b *testing.B) {
			var out bytes.Buffer
			for b.Loop() {
				out.Reset()
				w.Reset(&out)
				if _, err := w.Write(lines); err != nil {
					b.Fatal(err)
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
			report(b, out.Len())
		})
	}
	ours, _ := gzip.NewWriterLevel(nil, level)
	stream("stream", ours)
	std, _ := stdgzip.NewWriterLevel(nil, level)
	stream("standard library", std)
}

// BenchmarkBacklog is a writer that reads a backlog: records/s and MB/s of values, and the same for the lines alone.
func BenchmarkBacklog(b *testing.B) {
	records := benchRecords(b)
	size := 0
	for i := range records {
		size += len(records[i].Value)
	}
	report := func(b *testing.B, n int) {
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		b.ReportMetric(float64(n)*float64(size)/float64(len(records))/1e6/b.Elapsed().Seconds(), "MB/s")
	}
	b.Run("writer", func(b *testing.B) {
		w, err := NewWriter(Options{Objects: discard{}})
		if err != nil {
			b.Fatal(err)
		}
		w.ctx, w.life = b.Context(), b.Context()
		t := &Topic{TopicFile: TopicFile{Topic: "t", PeriodSeconds: 86400, Partitions: 1}, objects: discard{}}
		p := &partition{TopicPartition: pinflow.TopicPartition{Topic: "t"}, topic: t, floor: pinflow.NoPeriod, ctx: b.Context(), cancel: func() {}}
		w.parts[p.TopicPartition] = p
		n := 0
		for b.Loop() {
			for i := range records {
				records[i].Offset = int64(n + i)
			}
			n += len(records)
			w.takeRuns(b.Context(), patient{}, []pinflow.Run{{TopicPartition: p.TopicPartition, Records: records}})
		}
		if p.err != nil || p.next != int64(n) {
			b.Fatal(p.err, p.next, n)
		}
		report(b, n)
	})
	b.Run("lines alone", func(b *testing.B) {
		n := 0
		var dst []byte
		for b.Loop() {
			for i := range records {
				dst = value.AppendLine(dst[:0], &records[i])
			}
			n += len(records)
		}
		report(b, n)
	})
}

// discard is a place that takes everything.
type discard struct{ pinflow.Objects }

func (discard) String() string { return "discard:" }

func (discard) PutIfAbsent(context.Context, string, []byte) (bool, error) { return true, nil }

// patient is a subscription that nothing is asked of.
type patient struct{ pinflow.Subscription }

func (patient) Release() {}
