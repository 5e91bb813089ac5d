package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/internal/datalock"
)

// binary is what make build makes; make bench makes it first.
const binary = "../bin/pinflow"

// running is the real binary, with its defaults but for the ports.
type running struct {
	cmd  *exec.Cmd
	info datalock.Info
	took time.Duration // from its start until it was ready
}

func startBinary(b *testing.B, data string) *running {
	b.Helper()
	if _, err := os.Stat(binary); err != nil {
		b.Fatalf("make build first: %v", err)
	}
	r := &running{cmd: exec.Command(binary, "up", "--data", data, "--http", "127.0.0.1:0", "--kafka-listen", "127.0.0.1:0", "--log-level", "error")}
	began := time.Now()
	if err := r.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.cmd.Process.Kill() })
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if time.Since(began) > time.Minute {
			b.Fatal("not ready after a minute")
		}
		holder, err := datalock.Holder(data)
		if err != nil || holder == nil || holder.HTTP == "" || holder.PID != r.cmd.Process.Pid {
			continue
		}
		answer, err := http.Get(holder.HTTP + "/readyz")
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			r.info, r.took = *holder, time.Since(began)
			break
		}
	}
	return r
}

func (r *running) end(b *testing.B, signal os.Signal) {
	b.Helper()
	if err := r.cmd.Process.Signal(signal); err != nil {
		b.Fatal(err)
	}
	_ = r.cmd.Wait() // a killed one has no good end
}

// peak returns the most MiB that the process has had resident.
func (r *running) peak(b *testing.B) float64 {
	b.Helper()
	return peakOf(b, r.cmd.Process.Pid)
}

// peakOf is the most MiB that a process has had resident.
func peakOf(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for l := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(l, "VmHWM: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}

// BenchmarkFreshness: 500 posts per second; how long from a post until it is seen in a metric. Target: p50 100 ms, p99 300 ms.
func BenchmarkFreshness(b *testing.B) {
	r := startBinary(b, filepath.Join(b.TempDir(), "data"))
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
	defer cancel()
	var background sync.WaitGroup
	background.Go(func() {
		_, _ = emulate.Run(ctx, emulate.Options{To: r.info.HTTP + "/pin/", Seed: 1, Rate: 480}) // its end is ctx's
	})
	pins := emulate.Pins(2, 2000)
	var waits []time.Duration
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		<-tick.C
		began := time.Now()
		if err := postAndSee(ctx, r.info.HTTP, string(pins[i%len(pins)])); err != nil {
			if ctx.Err() == nil {
				b.Fatal(err)
			}
			break
		}
		waits = append(waits, time.Since(began))
	}
	background.Wait()
	slices.Sort(waits)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(waits[len(waits)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(waits[len(waits)*99/100].Milliseconds()), "p99-ms")
	b.ReportMetric(float64(len(waits)), "samples")
	r.end(b, syscall.SIGINT)
}

// postAndSee posts and returns when the metric counts the post.
func postAndSee(ctx context.Context, base, pin string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/pin/", strings.NewReader(pin))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	var receipt struct {
		Topic     string
		Partition int
		Offset    int64
	}
	err = json.NewDecoder(answer.Body).Decode(&receipt)
	_ = answer.Body.Close()
	if err != nil {
		return err
	}
	request, err = http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/api/metrics/media_share?after=%s:%d:%d", base, receipt.Topic, receipt.Partition, receipt.Offset), nil)
	if err != nil {
		return err
	}
	answer, err = http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the metric was answered %d", answer.StatusCode)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// BenchmarkReady: from the start of the process until /readyz says 200. Targets: 1 s on empty data, 3 s after a clean
// stop and 10 s after a kill, with at most 1.2 GiB resident, both with a journal at its default retention.
func BenchmarkReady(b *testing.B) {
	data := filepath.Join(b.TempDir(), "data")
	r := startBinary(b, data)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(r.took.Milliseconds()), "empty-ms")
	fill(b, r.info.Kafka, 900_000)
	r.end(b, syscall.SIGKILL)
	r = startBinary(b, data)
	b.ReportMetric(float64(r.took.Milliseconds()), "killed-ms")
	b.ReportMetric(r.peak(b), "killed-MiB")
	r.end(b, syscall.SIGINT)
	r = startBinary(b, data)
	b.ReportMetric(float64(r.took.Milliseconds()), "stopped-ms")
	b.ReportMetric(r.peak(b), "stopped-MiB")
	r.end(b, syscall.SIGINT)
}

// fill appends records, more than the journal keeps, in batches of about twenty as posts make them.
func fill(b *testing.B, broker string, records int) {
	b.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic("PinterestPipelineTopic"), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(12_000), kgo.MaxBufferedRecords(10_000))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	pins := emulate.Pins(9, 5000)
	for i := range records {
		cl.Produce(b.Context(), &kgo.Record{Value: pins[i%len(pins)]}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := cl.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}
