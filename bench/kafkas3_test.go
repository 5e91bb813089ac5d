package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/value"
)

// BenchmarkKafkaToS3: a topic's records, from Kafka to JSON objects in S3, by the real binary, started anew, and by a batch consumer of kafka-python
// and boto3 with a hundred records an object, of which the start does not count and which takes fewer records. Targets: 20 times the consumer; and
// MB of JSON per second of processor time up to the limit that gzip sets, which is measured alone on the same lines.
func BenchmarkKafkaToS3(b *testing.B) {
	kafka, _ := realKafka(b)
	s3 := newBucket(b)
	py := python(b)
	records := sized(b, "PINFLOW_BENCH_ROWS", 5_000_000)
	topic := filledTopic(b, kafka, 1, records)
	var ours, peers, consumers, cores, limits []float64
	for turn := range 3 {
		k := kept(b, s3, kafka, topic, fmt.Sprint("lake-", turn), records)
		c := consumed(b, s3, py, kafka, topic, fmt.Sprint("consumer-", turn), min(records, 50_000))
		ours, peers = append(ours, k.rate), append(peers, c.rate)
		cores, consumers, limits = append(cores, k.core), append(consumers, c.core), append(limits, gzipLimit(b))
	}
	faster, ofLimit := ratios(ours, peers), ratios(cores, limits)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ours), "records/s")
	b.ReportMetric(median(peers), "consumer-records/s")
	b.ReportMetric(median(faster), "of-consumer")
	b.ReportMetric(median(cores), "MB/core-s")
	b.ReportMetric(median(consumers), "consumer-MB/core-s")
	b.ReportMetric(median(limits), "gzip-MB/core-s")
	b.ReportMetric(median(ofLimit), "of-gzip")
	b.Logf("of the consumer %s, of gzip %s", spread(faster), spread(ofLimit))
}

// keeping is how fast records became objects.
type keeping struct {
	rate float64 // records per second
	core float64 // MB of JSON per second of processor time
}

// kept lets pinflow lake write the topic to a folder of the bucket.
func kept(b *testing.B, s3 *bucket, kafka, topic, folder string, records int) keeping {
	b.Helper()
	monitor := freeAddress(b)
	place := url.URL{Scheme: "s3", Host: s3.name, Path: "/" + folder, RawQuery: url.Values{"endpoint": {s3.endpoint}, "region": {s3.region}, "use_path_style": {"true"}}.Encode()}
	definition := variant(b, topic, 1, "none")
	began := time.Now()
	// The last object is due by age alone, so it is not left waiting for a minute.
	p := startPinflow(b, s3.environment(), "lake", "--journal", "kafka://"+kafka, "--lake", place.String(), "--pipeline", definition, "--lake-flush", "1s", "--monitor", monitor)
	var lines float64
	p.until(b, "all kept", 20*time.Minute, func() bool {
		told := metricsOf("http://" + monitor + "/metrics")
		lines = told["pinflow_lake_line_bytes_total"]
		return told["pinflow_lake_records_total"] >= float64(records)
	})
	k := keeping{rate: float64(records) / time.Since(began).Seconds(), core: lines / 1e6 / cpu(b, p.cmd.Process.Pid).Seconds()}
	p.end(b)
	return k
}

// metricsOf sums what a process tells Prometheus over all labels; it is empty while the process does not answer.
func metricsOf(address string) map[string]float64 {
	sums := map[string]float64{}
	answer, err := http.Get(address)
	if err != nil {
		return sums
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), " ")
		name, _, labelled := strings.Cut(name, "{")
		if labelled {
			text = lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:]
		}
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			sums[name] += v
		}
	}
	return sums
}

// consumed lets the batch consumer write some of the topic.
func consumed(b *testing.B, s3 *bucket, python, kafka, topic, group string, records int) keeping {
	b.Helper()
	p := start(b, append(s3.environment(), "KAFKA="+kafka, "TOPIC="+topic, "GROUP="+group, "RECORDS="+strconv.Itoa(records), "ENDPOINT="+s3.endpoint, "BUCKET="+s3.name),
		python, "peers/boto3/objects.py")
	var run struct{ Records, Bytes, Seconds, CPU float64 }
	if line := p.output(b); json.Unmarshal([]byte(line), &run) != nil {
		b.Fatalf("the consumer said %s", line)
	}
	return keeping{rate: run.Records / run.Seconds, core: run.Bytes / 1e6 / run.CPU}
}

// gzipLimit is how many MB of the lake's lines gzip takes per second of processor time at the lake's level, with nothing else to do.
func gzipLimit(b *testing.B) float64 {
	b.Helper()
	var lines []byte
	for i, pin := range emulate.Pins(1, 20_000) {
		lines = value.AppendLine(lines, &pinflow.Record{Value: pin, Offset: int64(i), Timestamp: 1_790_000_000_000})
	}
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		b.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const times = 20
	began := threadTime(b)
	for range times {
		if _, err := z.Write(lines); err != nil {
			b.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	return float64(times*len(lines)) / 1e6 / (threadTime(b) - began).Seconds()
}

// threadTime is the processor time of the calling thread.
func threadTime(b *testing.B) time.Duration {
	b.Helper()
	const thread = 1 // RUSAGE_THREAD, which package syscall lacks
	var usage syscall.Rusage
	if err := syscall.Getrusage(thread, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
