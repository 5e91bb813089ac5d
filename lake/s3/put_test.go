package s3

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pinflow/pinflow"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// through opens an empty place through a proxy that lets all pass until the test changes that.
func through(t testing.TB, o func(*Options)) (*Bucket, *proxy) {
	endpoint := server(t)
	p := newProxy(t, endpoint, nil)
	options := impatient(urlOf(newBucket(t, endpoint)+"/lake", p.URL))
	if o != nil {
		o(&options)
	}
	return opened(t, options), p
}

// standing sets how long a connection may stand still.
func standing(d time.Duration) func(*Options) { return func(o *Options) { o.Timeout = d } }

const (
	patient = 30 * time.Second // where nothing hangs, and nobody is to try again because the machine is busy
	hasty   = 5 * time.Second
)

// first lets the first requests of an operation meet other fates, and all that follow pass.
func first(operation string, fates ...fate) func(*http.Request) fate {
	return func(r *http.Request) fate {
		if operationOf(r) != operation || len(fates) == 0 {
			return nil
		}
		f := fates[0]
		fates = fates[1:]
		return f
	}
}

// TestAnswerLost: the first try of a put stores the object, and nothing is heard of it. The next one finds an object, of which nobody says whose it is.
func TestAnswerLost(t *testing.T) {
	var puts sync.WaitGroup
	for _, c := range []struct {
		f     fate
		still time.Duration
	}{{lose, patient}, {hang, hasty}} {
		for operation, size := range map[string]int{"PutObject": 1000, "CompleteMultipartUpload": 6 << 20} {
			b, p := through(t, standing(c.still))
			b.largest, b.partSize = 1<<20, 5<<20
			puts.Go(func() {
				content := random(size)
				p.change(first(operation, c.f))
				if created, err := b.PutIfAbsent(t.Context(), operation, content); created || err != nil {
					t.Errorf("%s: created %v, %v", operation, created, err)
				}
				same(t, operation, get(t, b, operation), content)
				p.change(first(operation, c.f))
				content = random(size)
				must(t, b.Replace(t.Context(), operation, content))
				same(t, operation, get(t, b, operation), content)
			})
		}
	}
	puts.Wait()
}

// TestPutTriesAgain: what passes is not seen by who puts.
func TestPutTriesAgain(t *testing.T) {
	b, p := through(t, standing(patient))
	b.largest, b.partSize = 1<<20, 5<<20
	passing := []fate{refuse(503, "SlowDown"), refuse(500, "InternalError"), refuse(http.StatusConflict, codeConflict), breakOff}
	for operation, size := range map[string]int{"PutObject": 1000, "CreateMultipartUpload": 6 << 20, "UploadPart": 6 << 20, "CompleteMultipartUpload": 6 << 20} {
		if operation == "CompleteMultipartUpload" || operation == "CreateMultipartUpload" {
			passing = passing[:3] // their requests are over before they can be broken off in the middle
		}
		content := random(size)
		p.change(first(operation, passing...))
		if created, err := b.PutIfAbsent(t.Context(), operation, content); !created || err != nil {
			t.Errorf("%s: created %v, %v", operation, created, err)
		}
		same(t, operation, get(t, b, operation), content)
	}
}

// TestEndOfAnUploadIsAskedForOnce: if it fails, whatever was heard of it, all is uploaded again.
func TestEndOfAnUploadIsAskedForOnce(t *testing.T) {
	for i, f := range []fate{refuse(http.StatusNotFound, codeNoUpload), refuse(http.StatusConflict, codeConflict), refuse(503, "SlowDown"), lose, hang} {
		still := patient
		if i == 4 {
			still = hasty
		}
		b, p := through(t, standing(still))
		b.largest, b.partSize = 1<<20, 5<<20
		content, before := random(6<<20), p.count("CreateMultipartUpload")
		p.change(first("CompleteMultipartUpload", f))
		if created, err := b.PutIfAbsent(t.Context(), fmt.Sprint(i), content); created != (i < 3) || err != nil {
			t.Errorf("%d: created %v, %v", i, created, err)
		}
		same(t, fmt.Sprint(i), get(t, b, fmt.Sprint(i)), content)
		if n := p.count("CreateMultipartUpload") - before; n != 2 {
			t.Errorf("%d: uploaded %d times", i, n)
		}
	}
	b, p := through(t, standing(patient))
	b.largest, b.partSize = 1<<20, 5<<20
	before := p.count("CreateMultipartUpload")
	p.change(func(r *http.Request) fate {
		if operationOf(r) == "CompleteMultipartUpload" {
			return refuse(503, "SlowDown")
		}
		return nil
	})
	if created, err := b.PutIfAbsent(t.Context(), "x", random(6<<20)); created || pinflow.KindOf(err) != pinflow.Unavailable || p.count("CreateMultipartUpload")-before != attempts {
		t.Errorf("created %v, %v, after %d uploads", created, err, p.count("CreateMultipartUpload")-before)
	}
}

// TestFailedUploadLeavesNothing: no part stays on the server, whether it failed or was given up.
func TestFailedUploadLeavesNothing(t *testing.T) {
	b, p := through(t, nil)
	b.largest, b.partSize = 1<<20, 5<<20
	p.change(func(r *http.Request) fate {
		if operationOf(r) == "UploadPart" && r.URL.Query().Get("partNumber") == "2" {
			return refuse(http.StatusServiceUnavailable, "SlowDown")
		}
		return nil
	})
	if created, err := b.PutIfAbsent(t.Context(), "x", random(6<<20)); created || pinflow.KindOf(err) != pinflow.Unavailable {
		t.Errorf("created %v, %v", created, err)
	}
	if p.count("AbortMultipartUpload") == 0 {
		t.Error("nothing was aborted")
	}
	p.settle()
	left, err := b.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &b.bucket})
	if err != nil || len(left.Uploads) > 0 {
		t.Errorf("left: %d uploads, %v", len(left.Uploads), err)
	}
}

// TestUploadsLeftBehindAreRemoved when they are old.
func TestUploadsLeftBehindAreRemoved(t *testing.T) {
	b := open(t)
	for range 2 {
		id, err := b.beginUpload(t.Context(), "x")
		must(t, err)
		_, err = b.putPart(t.Context(), "x", id, 1, []byte("x"))
		must(t, err)
	}
	for _, c := range []struct {
		now  time.Time
		left int
	}{{time.Now(), 2}, {time.Now().Add(2 * leftFor), 0}} {
		b.removeLeft(t.Context(), c.now)
		all, err := b.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &b.bucket})
		if err != nil || len(all.Uploads) != c.left {
			t.Errorf("%d uploads are left, not %d, %v", len(all.Uploads), c.left, err)
		}
	}
}

// TestPartsAreBounded: so many parts of an object are on their way at a time, and not more.
func TestPartsAreBounded(t *testing.T) {
	b, p := through(t, standing(patient))
	b.largest, b.partSize = 1<<20, 5<<20
	var mu sync.Mutex
	var now, most int
	full := make(chan struct{})
	opens := sync.OnceFunc(func() { close(full) })
	p.change(func(r *http.Request) fate {
		if operationOf(r) != "UploadPart" {
			return nil
		}
		return func(p *proxy, w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			now++
			most = max(most, now)
			if now == partsAside {
				time.AfterFunc(100*time.Millisecond, opens) // time for more to come, if more could
			}
			mu.Unlock()
			<-full // so that they do meet
			mu.Lock()
			now--
			mu.Unlock()
			pass(p, w, r)
		}
	})
	content := random(8*5<<20 + 17)
	if created, err := b.PutIfAbsent(t.Context(), "x", content); !created || err != nil {
		t.Fatal(created, err)
	}
	same(t, "x", get(t, b, "x"), content)
	mu.Lock()
	defer mu.Unlock()
	if most != partsAside || p.count("UploadPart") < 9 {
		t.Errorf("%d parts at a time, %d in all", most, p.count("UploadPart"))
	}
}

// TestAnswersThatDoNotPass are told at once: nothing is gained by another try.
func TestAnswersThatDoNotPass(t *testing.T) {
	b, p := through(t, standing(patient))
	for _, c := range []struct {
		status int
		code   string
		kind   pinflow.Kind
	}{
		{http.StatusForbidden, "AccessDenied", pinflow.Unavailable}, // somebody may give the right back while the lake is used
		{http.StatusNotFound, "NoSuchBucket", pinflow.Unavailable},
		{http.StatusBadRequest, "KeyTooLongError", pinflow.Invalid},
		{http.StatusBadRequest, "EntityTooLarge", pinflow.TooLarge},
		{http.StatusBadRequest, "SomethingNew", pinflow.Internal},
	} {
		before := p.count("PutObject")
		p.change(first("PutObject", refuse(c.status, c.code)))
		created, err := b.PutIfAbsent(t.Context(), "x", nil)
		if created || pinflow.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.code) || p.count("PutObject") != before+1 {
			t.Errorf("%s: %v, %v after %d requests", c.code, pinflow.KindOf(err), err, p.count("PutObject")-before)
		}
		p.change(first("GetObject", refuse(c.status, c.code)))
		if _, err := b.Get(t.Context(), "x"); pinflow.KindOf(err) != c.kind {
			t.Errorf("get, %s: %v, %v", c.code, pinflow.KindOf(err), err)
		}
	}
}

// TestHeaders: what other clients are told of an object does not make them change its bytes.
func TestHeaders(t *testing.T) {
	b := open(t)
	b.largest = 10
	for name, want := range map[string]string{"raw/t/period=1/0-1.json.gz": "application/gzip", "raw/t/period=1/_SUCCESS": "application/json", "raw/t/_topic.json": "application/json",
		"gen=1/clean/x.parquet": "application/vnd.apache.parquet", "else": "application/octet-stream"} {
		for _, size := range []int{5, 20} {
			must(t, b.Replace(t.Context(), name, random(size)))
			head, err := b.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &b.bucket, Key: b.key(name)})
			if err != nil || *head.ContentType != want || head.ContentEncoding != nil && *head.ContentEncoding != "" {
				t.Errorf("%s: %v, %v, %v", name, head.ContentType, head.ContentEncoding, err)
			}
		}
	}
}

// TestMetrics counts requests by what became of them.
func TestMetrics(t *testing.T) {
	r := prometheus.NewRegistry()
	b, p := through(t, func(o *Options) { o.Metrics, o.Timeout = r, patient })
	count := func(operation, outcome string) float64 {
		return testutil.ToFloat64(b.meters.requests.WithLabelValues(operation, outcome))
	}
	put, found, sent := count("PutObject", "200"), count("PutObject", "412"), testutil.ToFloat64(b.meters.sent)
	for range 2 {
		p.change(first("PutObject", refuse(503, "SlowDown"), breakOff))
		if _, err := b.PutIfAbsent(t.Context(), "x", random(1000)); err != nil {
			t.Fatal(err)
		}
	}
	if count("PutObject", "200") != put+1 || count("PutObject", "412") != found+1 || count("PutObject", "503") != 2 || count("PutObject", "failed") != 2 {
		t.Errorf("puts: 200 %v, 412 %v, 503 %v, failed %v", count("PutObject", "200"), count("PutObject", "412"), count("PutObject", "503"), count("PutObject", "failed"))
	}
	if n := testutil.ToFloat64(b.meters.sent) - sent; n < 2000 {
		t.Errorf("%v bytes were sent", n)
	}
	again, err := Open(t.Context(), Options{URL: b.String(), Metrics: r}) // they share what is counted
	must(t, err)
	defer again.Close()
	if again.meters.requests != b.meters.requests {
		t.Error("counted twice")
	}
	if n, err := testutil.GatherAndCount(r); n == 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
