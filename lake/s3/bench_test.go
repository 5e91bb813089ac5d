//go:build unix

package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/laketest"
)

// processorTime is what this process has used; the server is another one.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measured reports, beside MB/s, MB per second of processor time: the same whoever else is busy on the machine.
func measured(b *testing.B, size int, do func(n int)) {
	b.SetBytes(int64(size))
	busy, n := processorTime(b), 0
	for b.Loop() {
		n++
		do(n)
	}
	b.ReportMetric(float64(n)*float64(size)/1e6/(processorTime(b)-busy).Seconds(), "MB/cpu-s")
}

// BenchmarkObjects puts and gets objects of 8 MiB, one after the other, and beside it the same by nothing but net/http; and one of 32 MiB, in parts.
func BenchmarkObjects(b *testing.B) {
	const size = 8 << 20
	endpoint := server(b)
	place, content := opened(b, Options{URL: urlOf(newBucket(b, endpoint), endpoint)}), random(4*size)
	b.Run("put", func(b *testing.B) {
		measured(b, size, func(n int) {
			if created, err := place.PutIfAbsent(b.Context(), fmt.Sprintf("put/%d/%d", b.N, n), content[:size]); !created || err != nil {
				b.Fatal(created, err)
			}
		})
	})
	b.Run("bare put", func(b *testing.B) {
		measured(b, size, func(n int) {
			ask(b, bare(b, place, http.MethodPut, fmt.Sprintf("bare/%d/%d", b.N, n), bytes.NewReader(content[:size])))
		})
	})
	b.Run("put in parts", func(b *testing.B) {
		measured(b, 4*size, func(n int) {
			if created, err := place.PutIfAbsent(b.Context(), fmt.Sprintf("parts/%d/%d", b.N, n), content); !created || err != nil {
				b.Fatal(created, err)
			}
		})
	})
	must(b, place.Replace(b.Context(), "x", content[:size]))
	b.Run("get", func(b *testing.B) {
		measured(b, size, func(int) {
			r, err := place.Get(b.Context(), "x")
			must(b, err)
			drain(b, r)
		})
	})
	b.Run("bare get", func(b *testing.B) {
		measured(b, size, func(int) {
			ask(b, bare(b, place, http.MethodGet, "x", nil))
		})
	})
}

func drain(b *testing.B, r io.ReadCloser) {
	_, err := io.Copy(io.Discard, r)
	must(b, err)
	must(b, r.Close())
}

// bare is a request of net/http alone, whose bytes are not signed.
func bare(b *testing.B, place *Bucket, method, name string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(b.Context(), method, place.endpoint.String()+"/"+place.bucket+"/"+name, body)
	must(b, err)
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	must(b, v4.NewSigner().SignHTTP(b.Context(), aws.Credentials{AccessKeyID: stackKey, SecretAccessKey: stackSecret}, r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now()))
	return r
}

func ask(b *testing.B, r *http.Request) {
	answer, err := http.DefaultClient.Do(r)
	must(b, err)
	drain(b, answer.Body)
	if answer.StatusCode != http.StatusOK {
		b.Fatal(answer.Status)
	}
}

// BenchmarkWriter moves a backlog from a journal in memory to the server, and beside it to memory: MB of JSON per second, and per second of processor time.
func BenchmarkWriter(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	words := func(n int) (s string) {
		for range n {
			s += fmt.Sprintf("%x ", random.IntN(3000)*2654435761)
		}
		return s
	}
	j, tp := laketest.NewJournal(1, 0), pinflow.TopicPartition{Topic: "posts"}
	j.Create(tp.Topic, 1)
	size := 0
	const records = 300_000
	for i := range records {
		value := fmt.Appendf(nil, `{"index":%d,"title":"%s","description":"%s","follower_count":"%dk","tag_list":"%s","category":"art"}`, i, words(6), words(25), random.IntN(900), words(12))
		size += len(value)
		j.Append(pinflow.Record{Topic: tp.Topic, Timestamp: 1_790_000_000_000 + int64(i), Value: value})
	}
	for name, open := range map[string]func() pinflow.Objects{"s3": func() pinflow.Objects { return open(b) }, "memory": func() pinflow.Objects { return &laketest.Memory{} }} {
		b.Run(name, func(b *testing.B) {
			var took, used time.Duration
			for b.Loop() {
				w, err := lake.NewWriter(lake.Options{Journal: j.Client(), Objects: open(), Topics: []string{tp.Topic}, FlushAge: time.Second})
				must(b, err)
				ctx, stop := context.WithCancel(b.Context())
				ended := make(chan error, 1)
				began, busy := time.Now(), processorTime(b)
				go func() { ended <- w.Run(ctx) }()
				for tick := time.NewTicker(5 * time.Millisecond); w.Ends()[tp] < records; {
					<-tick.C
				}
				took, used = took+time.Since(began), used+processorTime(b)-busy
				stop()
				must(b, <-ended)
			}
			moved := float64(b.N) * float64(size) / 1e6
			b.ReportMetric(moved/took.Seconds(), "MB/s")
			b.ReportMetric(moved/used.Seconds(), "MB/cpu-s")
		})
	}
}
