package ingest_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/ingest"
)

// repeated reads as text over and over, size bytes in all, without holding them.
type repeated struct {
	text       string
	at         int
	size, read int64
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) && r.read < r.size {
		c := copy(p[n:min(int64(len(p)), int64(n)+r.size-r.read)], r.text[r.at:])
		r.at = (r.at + c) % len(r.text)
		n, r.read = n+c, r.read+int64(c)
	}
	if r.read == r.size {
		err = io.EOF
	}
	return n, err
}

// TestMemory posts bulks of 64 MiB, many at once, and watches the heap: it may not grow by more than Options.Memory.
func TestMemory(t *testing.T) {
	const memory, bulks, size = 24 << 20, 6, 64 << 20
	valid := fmt.Sprintf(`{"id":"a","text":"%s"}`+"\n", strings.Repeat("x", 400))
	for _, c := range []struct{ name, text string }{{"valid", valid}, {"refused", strings.Repeat("x", 300) + "\n"}, {"one line", strings.Repeat("x", 8<<10)}} {
		t.Run(c.name, func(t *testing.T) {
			j := newJournal(1)
			j.forget = true
			url := start(t, ingest.Options{Journal: j, Memory: memory, Timeout: time.Minute})
			before := heap()
			peak, stop := watchHeap()
			var wg sync.WaitGroup
			for range bulks {
				wg.Go(func() {
					// A whole number of lines.
					n := int64(size / len(c.text) * len(c.text))
					req, _ := http.NewRequest(http.MethodPost, url+"/note/", &repeated{text: c.text, size: n})
					req.ContentLength = n
					req.Header.Set("Content-Type", ndjsonType)
					resp, err := client.Do(req)
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					if got, err := io.Copy(io.Discard, resp.Body); err != nil || got != resp.ContentLength {
						t.Errorf("the answer has %d bytes of %d: %v", got, resp.ContentLength, err)
					}
				})
			}
			wg.Wait()
			stop()
			if grown := int64(*peak) - int64(before); grown > memory {
				t.Errorf("the heap grew by %d MiB, allowed are %d", grown>>20, memory>>20)
			} else {
				t.Logf("the heap grew by %d MiB of %d; %d records appended", grown>>20, memory>>20, j.seen)
			}
		})
	}
}

// heap is how many bytes the last collection found to be reachable, and what was allocated while it ran.
func heap() uint64 {
	runtime.GC()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}

// watchHeap measures again and again until stop. Peak is what lived through three collections: what is
// allocated while one runs counts as reachable, and most of it is not.
func watchHeap() (peak *uint64, stop func()) {
	peak = new(uint64)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		var last [3]uint64
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			case <-tick.C:
				last[i%3] = heap()
				*peak = max(*peak, slices.Min(last[:]))
			}
		}
	}()
	return peak, func() { close(end); <-ended }
}

// TestConcurrentPosts posts from many clients at once, in every way, while the journal fails now and then. Whatever was
// answered with a receipt is where the receipt says; nothing else was appended; and each client's records keep their order.
func TestConcurrentPosts(t *testing.T) {
	const clients, rounds, per = 16, 12, 150
	j := newJournal(4)
	j.fail = func(n int, _ pinflow.Draft) error {
		if n%397 == 396 {
			return unavailable()
		}
		return nil
	}
	in := open(t, ingest.Options{Journal: j, MaxRecord: 2000, Memory: 4 << 20})
	url := serve(t, in)
	var mu sync.Mutex
	receipts := map[pinflow.Position]string{}
	taken := func(p pinflow.Position, value string) {
		mu.Lock()
		defer mu.Unlock()
		if other, twice := receipts[p]; twice {
			t.Errorf("%v is the receipt of %s and of %s", p.Offset, other, value)
		}
		receipts[p] = value
	}
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			n := 0
			next := func() string {
				n++
				return fmt.Sprintf(`{"id":"%d","text":"%08d","x":"%s"}`, c, n, strings.Repeat("y", n%700))
			}
			for round := range rounds {
				var values []string
				for range per {
					values = append(values, next())
				}
				switch (c + round) % 3 {
				case 0:
					for _, v := range values {
						if got := post(t, url+"/note/", strings.NewReader(v)); got.status == 200 {
							taken(got.receipt(t), v)
						}
					}
					continue
				case 1:
					for i, one := range postLines(t, url+"/note/", strings.Join(values, "\n")).results(t).Results {
						if one.Status == 200 {
							taken(one.Position, values[i])
						}
					}
				case 2:
					body := zipped(t, []byte("["+strings.Join(values, ",")+"]"))
					for i, one := range post(t, url+"/note/", bytes.NewReader(body), "Content-Encoding", "gzip").results(t).Results {
						if one.Status == 200 {
							taken(one.Position, values[i])
						}
					}
				}
			}
		})
	}
	wg.Wait()
	if len(receipts) != j.count() || j.count() == 0 {
		t.Fatalf("%d receipts, %d records", len(receipts), j.count())
	}
	last := map[string]string{}
	for p := range int32(j.partitions) {
		for offset, d := range j.records[p] {
			at := pinflow.Position{TopicPartition: pinflow.TopicPartition{Topic: "notes", Partition: p}, Offset: int64(offset)}
			if receipts[at] != string(d.Value) {
				t.Fatalf("%v holds %s, its receipt is that of %s", offset, d.Value, receipts[at])
			}
			text := strings.SplitN(string(d.Value), `"`, 9)[7]
			if text <= last[string(d.Key)] {
				t.Fatalf("of %s, %s comes after %s", d.Key, text, last[string(d.Key)])
			}
			last[string(d.Key)] = text
		}
	}
	holdRoom(t, in)()
}
