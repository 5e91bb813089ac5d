package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"iter"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/realtest"
)

const (
	stackKey    = "stack"
	stackSecret = "stackstack"
)

var (
	starting sync.Mutex
	started  bool
)

// server returns the address of the real server, and makes its credentials those of the environment.
func server(t testing.TB) string {
	t.Helper()
	start(t)
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": stackKey, "AWS_SECRET_ACCESS_KEY": stackSecret, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "us-east-1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"} {
		t.Setenv(name, value)
	}
	return "http://127.0.0.1:" + cmp.Or(os.Getenv("S3_PORT"), "19000")
}

// start starts the real server, or skips the test.
func start(t testing.TB) {
	t.Helper()
	starting.Lock()
	defer starting.Unlock()
	if !started {
		realtest.Service(t, "s3.sh", "start")
		started = true
	}
}

// admin is a client of the real server by which a test looks past the code that it tests.
func admin(endpoint string) *s3.Client {
	return s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: &endpoint, UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(stackKey, stackSecret, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired})
}

// newBucket makes a bucket of the test's own, which is removed at its end.
func newBucket(t testing.TB, endpoint string) string {
	t.Helper()
	c, name := admin(endpoint), "lake-"+strings.ToLower(rand.Text())
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &name}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			for _, o := range page.Contents {
				if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &name, Key: o.Key}); err != nil {
					t.Error(err)
				}
			}
		}
		if _, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &name}); err != nil {
			t.Error(err)
		}
	})
	return name
}

// urlOf is the URL of a place on a server.
func urlOf(place, endpoint string) string {
	return "s3://" + place + "?" + url.Values{"endpoint": {endpoint}, "region": {"us-east-1"}, "use_path_style": {"true"}}.Encode()
}

// impatient are options of which a test does not wait long for what goes wrong.
func impatient(url string) Options {
	return Options{URL: url, Timeout: 2 * time.Second, backoff: backoff{time.Millisecond, 20 * time.Millisecond}}
}

func opened(t testing.TB, o Options) *Bucket {
	t.Helper()
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// open makes an empty place on the real server.
func open(t testing.TB) *Bucket {
	endpoint := server(t)
	return opened(t, impatient(urlOf(newBucket(t, endpoint)+"/a lake/é", endpoint)))
}

// tidy is a place without what the server that is tested here lists for a moment while it replaces an object: a file of its own beside it.
type tidy struct{ *Bucket }

// List implements pinflow.ObjectReader.
func (b tidy) List(ctx context.Context, prefix, delimiter string) iter.Seq2[pinflow.ObjectInfo, error] {
	return func(yield func(pinflow.ObjectInfo, error) bool) {
		for info, err := range b.Bucket.List(ctx, prefix, delimiter) {
			if !strings.Contains(info.Name, ".sgwtmp.") && !yield(info, err) {
				return
			}
		}
	}
}

func openTidy(t testing.TB) pinflow.Objects { return tidy{open(t)} }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, o pinflow.Objects, name string) []byte {
	t.Helper()
	r, err := o.Get(t.Context(), name)
	must(t, err)
	defer r.Close()
	content, err := io.ReadAll(r)
	must(t, err)
	return content
}

// random returns bytes that do not repeat.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func same(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes came back, not the %d that were put", what, len(got), len(want))
	}
}
