//go:build unix

package lake_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
)

// BenchmarkReadObject reads an object of 64 MiB of lines: lines of pins' size, the raw reader beside one that only unpacks.
func BenchmarkReadObject(b *testing.B) {
	l, objects := newLake(b)
	random := rand.New(rand.NewPCG(1, 1))
	words := func(n int) (s string) {
		for range n {
			s += fmt.Sprintf("%x ", random.IntN(3000)*2654435761)
		}
		return s
	}
	var all []pinflow.Record
	for i := range 80_000 {
		all = append(all, pinflow.Record{Topic: "a", Partition: 1, Offset: int64(i), Timestamp: 60_000 + int64(i)/2, Key: fmt.Appendf(nil, "fbe53c66-3442-4773-b19e-%012x", i),
			Value: fmt.Appendf(nil, `{"index":%d,"title":"%s","description":"%s","follower_count":"%dk","tag_list":"%s","category":"art"}`, i, words(6), words(25), random.IntN(900), words(12))})
	}
	o := object(1, 1, 0)
	content := gz(b, lines(all...))
	store(b, objects, o, content)
	raw, s := lake.NewRaw(objects), sealedOf(o, all)
	s.Size = int64(len(content))
	busy := processorTime(b)
	report := func(b *testing.B, n int) {
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		b.ReportMetric(float64(n)/(processorTime(b)-busy).Seconds(), "records/cpu-s") // the same whoever else is busy on the machine
	}
	b.Run("raw", func(b *testing.B) {
		b.ReportAllocs()
		busy = processorTime(b)
		n := 0
		for b.Loop() {
			for _, err := range raw.ReadObject(b.Context(), "a", s) {
				must(b, err)
				n++
			}
		}
		report(b, n)
	})
	b.Run("strict", func(b *testing.B) {
		b.ReportAllocs()
		busy = processorTime(b)
		n := 0
		for b.Loop() {
			for _, err := range l.Read(b.Context(), o) {
				must(b, err)
				n++
			}
		}
		report(b, n)
	})
	b.Run("unpacked alone", func(b *testing.B) {
		busy = processorTime(b)
		n := 0
		for b.Loop() {
			n += unpack(b, content)
		}
		report(b, n)
	})
}

// unpack returns how many lines there are.
func unpack(b *testing.B, content []byte) (n int) {
	z, err := gzip.NewReader(bufio.NewReaderSize(bytes.NewReader(content), 64<<10))
	must(b, err)
	buf := make([]byte, 256<<10)
	for {
		m, err := z.Read(buf)
		n += bytes.Count(buf[:m], []byte("\n"))
		if err == io.EOF {
			return n
		}
		must(b, err)
	}
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
