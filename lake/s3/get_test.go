package s3

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestReadGoesOn: a read that breaks off, again and again, gives the object's bytes.
func TestReadGoesOn(t *testing.T) {
	b, p := through(t, nil)
	content := random(1 << 20)
	must(t, b.Replace(t.Context(), "x", content))
	random := rand.New(rand.NewPCG(1, 1))
	p.change(func(r *http.Request) fate {
		switch {
		case operationOf(r) != "GetObject" || random.IntN(4) == 0:
			return nil
		case r.Header.Get("Range") != "" && random.IntN(2) == 0:
			return shorten
		}
		return cut(random.Float64())
	})
	for range 10 {
		same(t, "x", get(t, b, "x"), content)
	}
	if n := testutil.ToFloat64(b.meters.resumed); n < 5 {
		t.Errorf("it broke off %v times", n)
	}
}

// shorten is a server that gives less of an object than it is asked for, and says so.
func shorten(p *proxy, w http.ResponseWriter, r *http.Request) {
	a, ok := p.exchange(r)
	var from, to, all int
	if n, err := fmt.Sscanf(a.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &all); !ok || n != 3 || err != nil {
		hangUp(w)
		return
	}
	a.body = a.body[:(len(a.body)+1)/2]
	a.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+len(a.body)-1, all))
	a.Header.Set("Content-Length", fmt.Sprint(len(a.body)))
	a.head(w)
	_, _ = w.Write(a.body)
}

// TestReadDoesNotMix: an object that is replaced while it is read is not the rest of the one before.
func TestReadDoesNotMix(t *testing.T) {
	b, p := through(t, nil)
	must(t, b.Replace(t.Context(), "x", random(1<<20)))
	p.change(first("GetObject", cut(0.5)))
	r, err := b.Get(t.Context(), "x")
	must(t, err)
	defer r.Close()
	must(t, b.Replace(t.Context(), "x", random(1<<20)))
	n, err := io.Copy(io.Discard, r)
	if pinflow.KindOf(err) != pinflow.Unavailable || !strings.Contains(err.Error(), "replaced") || n >= 1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, again := r.Read(make([]byte, 1)); pinflow.KindOf(again) != pinflow.Unavailable {
		t.Errorf("after the error: %v", again)
	}
}

// TestReadGivesUp when nothing comes any more, or what has come is not what was put.
func TestReadGivesUp(t *testing.T) {
	b, p := through(t, nil)
	must(t, b.Replace(t.Context(), "x", random(1<<20)))
	start := p.count("GetObject")
	p.change(func(r *http.Request) fate {
		if operationOf(r) == "GetObject" && r.Header.Get("Range") != "" {
			return cut(0)
		}
		return cut(0.5)
	})
	r, err := b.Get(t.Context(), "x")
	must(t, err)
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); pinflow.KindOf(err) != pinflow.Unavailable || n >= 1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n := p.count("GetObject") - start; n < attempts || n > attempts*attempts {
		t.Errorf("asked %d times", n)
	}
	p.change(first("GetObject", func(p *proxy, w http.ResponseWriter, r *http.Request) {
		a, _ := p.exchange(r)
		a.body[1000]++
		a.head(w)
		_, _ = w.Write(a.body)
	}))
	damaged, err := b.Get(t.Context(), "x")
	must(t, err)
	defer damaged.Close()
	if _, err := io.Copy(io.Discard, damaged); pinflow.KindOf(err) != pinflow.Unavailable || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("bytes that changed on the way: %v", err)
	}
}

// TestConnectionsAreUsedAgain, also after a read of a part of a small object.
func TestConnectionsAreUsedAgain(t *testing.T) {
	b, p := through(t, nil)
	must(t, b.Replace(t.Context(), "x", random(smallRest)))
	from := map[string]bool{}
	p.change(func(r *http.Request) fate {
		from[r.RemoteAddr] = true
		return nil
	})
	for range 20 {
		r, err := b.Get(t.Context(), "x")
		must(t, err)
		_, err = io.ReadFull(r, make([]byte, 40))
		must(t, err)
		must(t, r.Close())
	}
	if len(from) != 1 {
		t.Errorf("%d connections", len(from))
	}
}

// TestLakeReadsHeads: to know what an object holds, the lake fetches no more of it than it must.
func TestLakeReadsHeads(t *testing.T) {
	b, p := through(t, nil)
	name := "raw/t/period=1970-01-01/00000-00000000000000000000.json.gz"
	must(t, b.Replace(t.Context(), "raw/t/_topic.json", []byte(`{"version":1,"topic":"t","topic_id":"","partitions":1,"period_seconds":86400}`)))
	content := append([]byte{0x1f, 0x8b, 8, 4, 9: 255, 10: 28, 12: 'P', 13: 'F', 14: 24, 16: 7, 24: 7, 39: 0}, random(5<<20)...)
	must(t, b.Replace(t.Context(), name, content))
	topic, err := lake.OpenTopic(t.Context(), b, "t")
	must(t, err)
	answer := 0
	p.change(first("GetObject", refuse(503, "SlowDown"), func(p *proxy, w http.ResponseWriter, r *http.Request) {
		a, _ := p.exchange(r)
		answer = len(a.body)
		a.head(w)
		_, _ = w.Write(a.body)
	}))
	e, err := topic.Extent(t.Context(), lake.Object{TopicPartition: pinflow.TopicPartition{Topic: "t"}})
	if err != nil || e != (lake.Extent{End: 7, Records: 7}) {
		t.Errorf("%+v, %v", e, err)
	}
	if answer == 0 || answer > 100_000 {
		t.Errorf("%d bytes were fetched", answer)
	}
}
