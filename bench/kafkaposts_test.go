package bench

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow/emulate"
)

// BenchmarkKafkaPosts: single posts, each held to the schema and answered when Kafka has it, 32 and 256 connections: the real
// binary, FastAPI (as it is commonly written, and written for speed) and Benthos take turns. Targets: 8 times FastAPI, 1.1 times Benthos.
func BenchmarkKafkaPosts(b *testing.B) {
	kafka, broker := realKafka(b)
	schema := plainSchema(b)
	servers := []*server{ingestServer(b, kafka), fastAPI(b, "fastapi", "posts:app", kafka, schema), fastAPI(b, "fastapi-async", "posts_async:app", kafka, schema), benthosServer(b, kafka, schema)}
	bodies := emulate.Pins(1, 5000)
	for _, connections := range []int{32, 256} {
		b.Run(strconv.Itoa(connections), func(b *testing.B) {
			for _, s := range servers {
				s.rates, s.costs, s.brokers = nil, nil, nil
				hammer(b, s.addr, "application/json", connections, bodies, turn) // warm
			}
			for range rounds {
				for _, s := range servers {
					s.measure(b, broker, connections, bodies)
				}
			}
			b.ReportMetric(0, "ns/op")
			for _, s := range servers {
				b.ReportMetric(median(s.rates), s.name+"-posts/s")
				b.ReportMetric(median(s.costs), s.name+"-µs/post")
				b.ReportMetric(median(s.brokers), s.name+"-kafka-µs/post")
			}
			for _, peer := range servers[1:] {
				faster, cheaper := ratios(servers[0].rates, peer.rates), ratios(peer.costs, servers[0].costs)
				b.ReportMetric(median(faster), "of-"+peer.name)
				b.ReportMetric(median(cheaper), "cpu-of-"+peer.name)
				b.Logf("%d connections, of %s: posts/s %s, processor time per post of the peer to ours %s", connections, peer.name, spread(faster), spread(cheaper))
			}
		})
	}
	for _, s := range servers {
		if !alive(s.process.cmd.Process.Pid) {
			b.Errorf("%s has ended: %s", s.name, s.process.stderr.String())
		}
	}
}

// server takes posts. Its figures are those of its turns.
type server struct {
	name    string
	addr    string
	process *process
	rates   []float64 // posts per second
	costs   []float64 // µs of processor time per post: the server's
	brokers []float64 // and Kafka's
}

func (s *server) measure(b *testing.B, broker, connections int, bodies [][]byte) {
	b.Helper()
	server, kafka, began := cpu(b, s.process.cmd.Process.Pid), cpu(b, broker), time.Now()
	rate := hammer(b, s.addr, "application/json", connections, bodies, turn)
	posts := rate * time.Since(began).Seconds()
	s.rates = append(s.rates, rate)
	s.costs = append(s.costs, float64((cpu(b, s.process.cmd.Process.Pid)-server).Microseconds())/posts)
	s.brokers = append(s.brokers, float64((cpu(b, broker)-kafka).Microseconds())/posts)
}

// ingestServer is ours.
func ingestServer(b *testing.B, kafka string) *server {
	b.Helper()
	p := startPinflow(b, nil, "ingest", "--journal", "kafka://"+kafka, "--pipeline", variant(b, newTopic(b, kafka, 1), 1, "none"), "--http", "127.0.0.1:0")
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		_ = p.cmd.Wait()
		b.Fatalf("pinflow ingest: %v\n%s", err, p.stderr.String())
	}
	_, rest, _ := strings.Cut(line, "http://")
	addr, _, found := strings.Cut(rest, "/")
	if !found {
		b.Fatalf("pinflow ingest said %q", line)
	}
	return &server{name: "pinflow", addr: addr, process: p}
}

// fastAPI is the peer in Python: one worker.
func fastAPI(b *testing.B, name, app, kafka, schema string) *server {
	b.Helper()
	addr := freeAddress(b)
	_, port, _ := strings.Cut(addr, ":")
	p := start(b, []string{"KAFKA=" + kafka, "TOPIC=" + newTopic(b, kafka, 1), "SCHEMA=" + schema}, python(b),
		"-m", "uvicorn", "--app-dir", "peers/fastapi", "--port", port, "--workers", "1", "--no-access-log", "--log-level", "warning", app)
	p.listening(b, addr)
	return &server{name: name, addr: addr, process: p}
}

// benthosServer is the peer in Go.
func benthosServer(b *testing.B, kafka, schema string) *server {
	b.Helper()
	addr := freeAddress(b)
	file := url.URL{Scheme: "file", Path: schema}
	p := start(b, []string{"HTTP=" + addr, "KAFKA=" + kafka, "TOPIC=" + newTopic(b, kafka, 1), "SCHEMA=" + file.String()}, benthos(b), "-c", "peers/benthos/posts.yaml")
	p.listening(b, addr)
	return &server{name: "benthos", addr: addr, process: p}
}

// plainSchema is the shipped schema without the name of its draft, which is newer than what the peers' validators know. It uses nothing of that draft.
func plainSchema(b *testing.B) string {
	b.Helper()
	text, err := os.ReadFile("../pipelines/pinterest/schemas/pin.json")
	var schema map[string]any
	if err == nil {
		err = json.Unmarshal(text, &schema)
	}
	if err != nil {
		b.Fatal(err)
	}
	delete(schema, "$schema")
	file := filepath.Join(b.TempDir(), "pin.json")
	if text, err = json.Marshal(schema); err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	return file
}

// ratios of figures that belong together.
func ratios(a, of []float64) []float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / of[i]
	}
	return r
}
