package ingest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/ingest"
)

const pinSchema = `{"type":"object","required":["index","unique_id","title","description","follower_count","tag_list","is_image_or_video","image_src","downloaded",
	"save_location","category"],"properties":{"index":{"type":"integer"},"unique_id":{"type":"string","minLength":1},"title":{"type":"string"},
	"description":{"type":"string"},"poster_name":{"type":"string"},"follower_count":{"type":"string"},"tag_list":{"type":"string"},
	"is_image_or_video":{"type":"string"},"image_src":{"type":"string"},"downloaded":{"type":"integer","enum":[0,1]},"save_location":{"type":"string"},
	"category":{"type":"string"}}}`

// pin is a record as large as people post them.
func pin(i int) string {
	return fmt.Sprintf(`{"category": "diy-and-crafts", "index": %d, "unique_id": "%08d-1c2d-4e5f-8a9b-0123456789ab", "title": "Forty easy things to make from %d jars", `+
		`"description": "%s", "poster_name": "The Example Workshop", "follower_count": "%dk", "tag_list": "Jar Crafts,Easy Gifts,Paint,Glass,Home Ideas,Upcycling", `+
		`"is_image_or_video": "image", "image_src": "https://images.example.org/originals/aa/bb/cc/aabbcc0123456789.jpg", "downloaded": 1, "save_location": "Local save in /data/diy-and-crafts"}`,
		i, i, i%9, strings.Repeat("Save the jars and paint them. ", 5), i%900)
}

func pinSource() pinflow.Source {
	return pinflow.Source{Name: "pin", Route: "/note/", Topic: "pins", Partitions: 1, Key: "unique_id", Schema: json.RawMessage(pinSchema), SchemaFile: "pin.json"}
}

// bare is the least that a handler can do: read, see that it is JSON, append, answer.
func bare(j pinflow.Appender) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !json.Valid(body) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		got := j.Append(r.Context(), []pinflow.Draft{{Topic: "pins", Partition: pinflow.AnyPartition, Value: body}})[0]
		fmt.Fprintf(w, `{"topic":"pins","partition":%d,"offset":%d}`, got.Partition, got.Offset)
	}
}

func benchIngest(b *testing.B) (*ingest.Ingest, *journal) {
	j := newJournal(1)
	j.forget = true
	return open(b, ingest.Options{Journal: j, Sources: []pinflow.Source{pinSource()}}), j
}

// discard is a ResponseWriter that costs nothing.
type discard struct {
	h      http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

func (d *discard) SetReadDeadline(time.Time) error { return nil }

// BenchmarkPost compares a post with the bare handler, which only checks that the body is JSON, with the same
// journal and without a network: only the handlers differ.
func BenchmarkPost(b *testing.B) {
	in, j := benchIngest(b)
	mux := http.NewServeMux()
	in.Register(mux, nil)
	body := pin(7)
	run := func(b *testing.B, h http.Handler) time.Duration {
		b.ReportAllocs()
		req := httptest.NewRequest(http.MethodPost, "/note/", nil)
		req.Header.Set("Content-Type", "application/json")
		req.ContentLength = int64(len(body))
		reader := strings.NewReader(body)
		w := &discard{h: http.Header{}}
		for b.Loop() {
			reader.Reset(body)
			req.Body = io.NopCloser(reader)
			h.ServeHTTP(w, req)
		}
		if w.status != 0 {
			b.Fatalf("answered %d", w.status)
		}
		return b.Elapsed() / time.Duration(b.N)
	}
	bareMux := http.NewServeMux()
	bareMux.Handle("/note/", bare(j))
	var ours, theirs time.Duration
	b.Run("bare", func(b *testing.B) { theirs = run(b, bareMux) })
	b.Run("ingest", func(b *testing.B) {
		ours = run(b, mux)
		b.ReportMetric(float64(theirs)/float64(ours), "x_bare")
	})
}

// BenchmarkPostOverHTTP is the same with real servers and 32 connections. Rounds of both take turns, so that other
// work on the machine slows down both.
func BenchmarkPostOverHTTP(b *testing.B) {
	in, j := benchIngest(b)
	peer := httptest.NewServer(bare(j))
	defer peer.Close()
	const clients, each = 32, 20
	body := pin(7)
	round := func(url string) time.Duration {
		began := time.Now()
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				for range each {
					if got := post(b, url+"/note/", strings.NewReader(body), "Content-Type", "application/json"); got.status != 200 {
						b.Errorf("answered %d", got.status)
					}
				}
			})
		}
		wg.Wait()
		return time.Since(began)
	}
	url := serve(b, in)
	var ours, theirs time.Duration
	for b.Loop() {
		theirs += round(peer.URL)
		ours += round(url)
	}
	b.ReportMetric(float64(clients*each*b.N)/ours.Seconds(), "posts/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x_bare")
}

// BenchmarkBulk compares NDJSON bulks of 16 MB with a loop that only splits the lines and appends them, 2048 at a time.
func BenchmarkBulk(b *testing.B) {
	in, j := benchIngest(b)
	var all strings.Builder
	n := 0
	for ; all.Len() < 16<<20; n++ {
		all.WriteString(pin(n) + "\n")
	}
	body := all.String()
	url := serve(b, in)
	split := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var drafts []pinflow.Draft
		for line := range strings.Lines(string(text)) {
			if drafts = append(drafts, pinflow.Draft{Topic: "pins", Partition: pinflow.AnyPartition, Value: []byte(line)}); len(drafts) == 2048 {
				j.Append(r.Context(), drafts)
				drafts = drafts[:0]
			}
		}
		j.Append(r.Context(), drafts)
	}))
	defer split.Close()
	run := func(b *testing.B, url string) time.Duration {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if got := post(b, url+"/note/", strings.NewReader(body), "Content-Type", ndjsonType); got.status != 200 {
				b.Fatalf("answered %d %.300s", got.status, got.body)
			}
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		return b.Elapsed() / time.Duration(b.N)
	}
	var ours, theirs time.Duration
	b.Run("split", func(b *testing.B) { theirs = run(b, split.URL) })
	b.Run("ingest", func(b *testing.B) {
		ours = run(b, url)
		b.ReportMetric(float64(theirs)/float64(ours), "x_split")
	})
}
