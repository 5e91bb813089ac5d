package main

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow/emulate"
)

// maxMemory is what a pinflow with default settings may have resident, whatever waits or is posted.
const maxMemory = 512 << 20

// scaled is n with PINFLOW_TEST_FULL, two fifths of it in CI, which is more than maxMemory holds all the same, and a tenth elsewhere: the whole takes minutes
// and gigabytes of disk.
func scaled(n int) int {
	switch {
	case os.Getenv("PINFLOW_TEST_FULL") != "":
		return n
	case os.Getenv("CI") == "true":
		return 2 * n / 5
	}
	return n / 10
}

// TestMemoryWithBacklog lets a Kafka client append faster than anything can follow: 5 million records of 600 bytes if it is not scaled.
func TestMemoryWithBacklog(t *testing.T) {
	data, total := dataFolder(t), scaled(5_000_000)
	p := start(t, data, "up")
	cl, err := kgo.NewClient(kgo.SeedBrokers(p.info.Kafka), kgo.DefaultProduceTopic(pins), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(50_000))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	rows := emulate.Pins(3, 11_000)
	began := time.Now()
	for i := range total {
		cl.Produce(t.Context(), &kgo.Record{Value: rows[i%len(rows)]}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
		if t.Failed() {
			t.FailNow()
		}
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	appended := time.Since(began)
	waitUntilCounted(t, p, pins)
	t.Logf("%d records appended in %s, counted after %s, at most %d MiB resident", total, appended.Round(time.Second), time.Since(began).Round(time.Second), p.peakMemory()>>20)
	if used := p.peakMemory(); used > maxMemory {
		t.Errorf("%d MiB resident with a backlog, more than %d", used>>20, int64(maxMemory)>>20)
	}
	if got := strings.TrimSpace(command(t, "sql", "SELECT sum(number_of_records) FROM category_popularity", "--data", data, "--output", "csv")); !strings.HasSuffix(got, "\n"+strconv.Itoa(total)) {
		t.Errorf("counted %s, appended %d", got, total)
	}
	p.interrupt()
}

// TestMemoryWithBulks posts 1 GB as bulks, plain and gzip, several at a time.
func TestMemoryWithBulks(t *testing.T) {
	data, total := dataFolder(t), scaled(1_000_000_000)
	p := start(t, data, "up")
	lines := append(bytes.Join(emulate.Pins(5, 11_000), []byte("\n")), '\n')
	body := bytes.Repeat(lines, max(1, (min(total, 60<<20))/len(lines)))
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	if _, err := zip.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	posts := (total + len(body) - 1) / len(body)
	turns, statuses := make(chan struct{}, 4), make(chan int, posts)
	for i := range posts {
		turns <- struct{}{}
		go func() {
			statuses <- postBulk(t, p.info.HTTP+"/pin/", body, zipped.Bytes(), i%2 == 1)
			<-turns
		}()
	}
	for range posts {
		if status := <-statuses; status != http.StatusOK {
			t.Errorf("answered %d", status)
		}
	}
	waitUntilCounted(t, p, pins)
	t.Logf("%d bulks of %d MiB, at most %d MiB resident", posts, len(body)>>20, p.peakMemory()>>20)
	if used := p.peakMemory(); used > maxMemory {
		t.Errorf("%d MiB resident with bulks, more than %d", used>>20, int64(maxMemory)>>20)
	}
	p.interrupt()
}

func postBulk(t *testing.T, url string, plain, zipped []byte, zip bool) int {
	content := plain
	if zip {
		content = zipped
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(content))
	if err != nil {
		t.Error(err)
		return 0
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	if zip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer answer.Body.Close()
	var drained bytes.Buffer
	if _, err := drained.ReadFrom(answer.Body); err != nil {
		t.Error(err)
	}
	return answer.StatusCode
}
