package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/ingest"
)

// pinflowHandler is ingest as the process serves it.
func pinflowHandler(b *testing.B, j pinflow.Appender, p *pinflow.Plan) http.Handler {
	b.Helper()
	in, err := ingest.New(ingest.Options{Sources: []pinflow.Source{p.Sources[0].Source}, Journal: j})
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	in.Register(mux, nil)
	return mux
}

// bareHandler is the peer of single posts: it checks that the body is JSON, produces it and waits for the acknowledgement.
func bareHandler(b *testing.B, broker, topic string) http.Handler {
	cl := bareClient(b, broker)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !json.Valid(body) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		record, err := cl.ProduceSync(r.Context(), &kgo.Record{Topic: topic, Value: body}).First()
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"topic":%q,"partition":%d,"offset":%d}`, topic, record.Partition, record.Offset)
	})
}

// bareLines is the peer of bulks: it splits the lines and produces them.
func bareLines(b *testing.B, broker, topic string) http.Handler {
	cl := bareClient(b, broker)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lines := bufio.NewScanner(r.Body)
		lines.Buffer(make([]byte, 64<<10), 4<<20)
		var wait sync.WaitGroup
		var failed atomic.Int64
		for lines.Scan() {
			wait.Add(1)
			cl.Produce(r.Context(), &kgo.Record{Topic: topic, Value: bytes.Clone(lines.Bytes())}, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.Add(1)
				}
				wait.Done()
			})
		}
		wait.Wait()
		if failed.Load() > 0 || lines.Err() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
}

func bareClient(b *testing.B, broker string) *kgo.Client {
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0), kgo.MaxBufferedRecords(1<<20))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cl.Close)
	return cl
}

// serve serves h on a loopback port.
func serve(b *testing.B, h http.Handler) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }()
	b.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}

// hammer posts bodies over connections for d and returns how many posts were answered with 200 per second.
// Its client is as thin as can be, since it shares the processor with what is measured.
func hammer(b *testing.B, addr, contentType string, connections int, bodies [][]byte, d time.Duration) float64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), d)
	defer cancel()
	var wait sync.WaitGroup
	var done atomic.Int64
	start := time.Now()
	for c := range connections {
		wait.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			var request []byte
			for i := c; ctx.Err() == nil; i += connections {
				body := bodies[i%len(bodies)]
				request = fmt.Appendf(request[:0], "POST /pin/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", contentType, len(body))
				request = append(request, body...)
				if _, err = conn.Write(request); err == nil {
					err = readOK(in)
				}
				if err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wait.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}

// readOK reads one answer, which must be 200.
func readOK(in *bufio.Reader) error {
	status, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(status, " 200 ") {
		return fmt.Errorf("answered %s", status)
	}
	length, chunked := 0, false
	for {
		header, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		header = strings.ToLower(strings.TrimSpace(header))
		if header == "" {
			break
		}
		if n, ok := strings.CutPrefix(header, "content-length: "); ok {
			if length, err = strconv.Atoi(n); err != nil {
				return err
			}
		}
		chunked = chunked || header == "transfer-encoding: chunked"
	}
	if !chunked {
		_, err = in.Discard(length)
		return err
	}
	for {
		size, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 64)
		if err != nil {
			return err
		}
		if _, err := in.Discard(int(n) + 2); err != nil || n == 0 {
			return err
		}
	}
}

// rounds is how often ours and the peer take turns; what is reported is the median ratio and its spread.
const rounds = 5

// BenchmarkAckedPosts: single posts, 32 and 256 connections, each answered after fsync. Target: 0.7 of the bare handler at 32.
func BenchmarkAckedPosts(b *testing.B) {
	for _, connections := range []int{32, 256} {
		b.Run(strconv.Itoa(connections), func(b *testing.B) {
			p := compile(b, shipped(b))
			j, broker := newJournal(b, p)
			ours, peer := serve(b, pinflowHandler(b, j, p)), serve(b, bareHandler(b, broker, p.Sources[0].Topic))
			bodies := emulate.Pins(1, 5000)
			compare(b, "posts/s", func(d time.Duration) float64 { return hammer(b, ours, "application/json", connections, bodies, d) },
				func(d time.Duration) float64 { return hammer(b, peer, "application/json", connections, bodies, d) })
		})
	}
}

// BenchmarkBulk: NDJSON of 10,000 records a post. Target: 0.5 of a loop that only splits the lines.
func BenchmarkBulk(b *testing.B) {
	p := compile(b, shipped(b))
	j, broker := newJournal(b, p)
	ours, peer := serve(b, pinflowHandler(b, j, p)), serve(b, bareLines(b, broker, p.Sources[0].Topic))
	const size = 10_000
	bulk := [][]byte{bytes.Join(emulate.Pins(1, size), []byte("\n"))}
	compare(b, "records/s", func(d time.Duration) float64 { return size * hammer(b, ours, "application/x-ndjson", 2, bulk, d) },
		func(d time.Duration) float64 { return size * hammer(b, peer, "application/x-ndjson", 2, bulk, d) })
}
