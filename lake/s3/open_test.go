package s3

import (
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pinflow/pinflow"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"s3://bucket":                                 "s3://bucket",
		"s3://bucket/":                                "s3://bucket",
		"s3://bucket/a/b%20c/":                        "s3://bucket/a/b%20c",
		"s3://My_old.bucket?region=eu-west-1":         "s3://My_old.bucket?region=eu-west-1",
		"s3://b-1/x?use_path_style=1&endpoint=h:9000": "s3://b-1/x?endpoint=h%3A9000&use_path_style=1",
		"s3://b-1?ssetype=aws:kms&kmskeyid=k":         "s3://b-1?kmskeyid=k&ssetype=aws%3Akms",
	} {
		p, err := parseURL(text)
		if err != nil || p.String() != want {
			t.Errorf("%s is %s, %v, want %s", text, p.String(), err, want)
		}
		if again, err := parseURL(p.String()); err != nil || again.String() != want || again.prefix != p.prefix {
			t.Errorf("%s came back as %s, %v", want, again.String(), err)
		}
	}
	const hush = "hushhush"
	for text, part := range map[string]string{
		"":                                      "not s3",
		"file:///x":                             "not s3",
		":" + hush:                              "no URL",
		"s3://":                                 "no bucket's name",
		"s3://a":                                "no bucket's name",
		"s3://bucket:9000/x":                    "no port",
		"s3://key:" + hush + "@bucket":          "credentials do not belong",
		"s3://" + hush + "@bucket":              "credentials do not belong",
		"s3://bucket/a/../b":                    "no path",
		"s3://bucket//a//b":                     "no path",
		"s3://bucket/x#y":                       "fragment",
		"s3://bucket?secret_access_key=" + hush: "no parameter \"secret_access_key\"",
		"s3://bucket?awssdk=v2":                 "no parameter \"awssdk\"",
		"s3://bucket?region=a&region=b":         "given 2 times",
		"s3://bucket?region=":                   "empty",
		"s3://bucket?use_path_style=yes":        "true or false",
		"s3://bucket?endpoint=ftp://h":          "not http or https",
		"s3://bucket?endpoint=http://a:" + hush + "@h":   "credentials do not belong",
		"s3://bucket?endpoint=http://":                   "no URL of a server",
		"s3://bucket?ssetype=rot13":                      "AES256",
		"s3://bucket?kmskeyid=k":                         "needs ssetype",
		"s3://bucket?request_checksum_calculation=never": "when_supported",
		"s3://bucket?x=%zz&" + hush:                      "cannot be read",
	} {
		_, err := Open(t.Context(), Options{URL: text})
		if pinflow.KindOf(err) != pinflow.Invalid || !strings.Contains(pinflow.HintOf(err), "use_path_style") || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), hush) {
			t.Errorf("%s: %v, want %q", text, err, part)
		}
	}
}

// refused opens a place that cannot be one of a lake, and wants an error of a kind, in one line that says why and what to do.
func refused(t *testing.T, o Options, kind pinflow.Kind, why, hint string) {
	t.Helper()
	b, err := Open(t.Context(), o)
	if err == nil {
		b.Close()
		t.Errorf("opened; want %q", why)
		return
	}
	text := err.Error()
	if pinflow.KindOf(err) != kind || !strings.Contains(text, why) || !strings.Contains(pinflow.HintOf(err), hint) || strings.Contains(text, "\n") || strings.Contains(text, stackSecret) || len(text) > 500 {
		t.Errorf("%v: %s\nwant %v, %q, %q", pinflow.KindOf(err), text, kind, why, hint)
	}
	t.Log(text)
}

func TestOpenRefuses(t *testing.T) {
	endpoint := server(t)
	bucket := newBucket(t, endpoint)
	good := impatient(urlOf(bucket, endpoint))
	set := func(name, value string) func(*testing.T) { return func(t *testing.T) { t.Setenv(name, value) } }
	for _, c := range []struct {
		name      string
		prepare   func(t *testing.T)
		url       string
		kind      pinflow.Kind
		why, hint string
	}{
		{"no bucket", nil, urlOf("nobody-made-this-bucket", endpoint), pinflow.NotFound, "NoSuchBucket", "Make the bucket"},
		{"wrong secret", set("AWS_SECRET_ACCESS_KEY", "wrong"), good.URL, pinflow.Invalid, "SignatureDoesNotMatch", "Check the credentials"},
		{"unknown key", set("AWS_ACCESS_KEY_ID", "nobody"), good.URL, pinflow.Invalid, "No user exists with the provided access key ID", "Check the credentials"},
		{"no credentials", func(t *testing.T) { t.Setenv("AWS_ACCESS_KEY_ID", ""); t.Setenv("AWS_SECRET_ACCESS_KEY", "") }, good.URL, pinflow.Invalid, "no credentials are found", "AWS_ACCESS_KEY_ID"},
		{"no profile", nil, good.URL + "&profile=nobody", pinflow.Invalid, "nobody", "profile"},
		{"no region", set("AWS_REGION", ""), "s3://" + bucket, pinflow.Invalid, "no region", "region="},
		{"another region", nil, strings.Replace(good.URL, "us-east-1", "eu-west-9", 1), pinflow.Invalid, "region", "region="},
		{"nobody listens", nil, urlOf(bucket, "http://"+deserted(t)), pinflow.Unavailable, "connection refused", "endpoint="},
		{"no TLS", nil, urlOf(bucket, strings.Replace(endpoint, "http:", "https:", 1)), pinflow.Invalid, "HTTP response to HTTPS", "speaks no TLS"},
		{"no S3", nil, urlOf(bucket, page(t)), pinflow.Unavailable, "not S3's", "endpoint="},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.prepare != nil {
				c.prepare(t)
			}
			refused(t, impatient(c.url), c.kind, c.why, c.hint)
		})
	}
	left, err := admin(endpoint).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil || len(left.Contents) > 0 {
		t.Errorf("changed: %v, %v", left.Contents, err)
	}
}

// deserted is an address at which nobody listens, and where no outgoing connection takes the port.
func deserted(t *testing.T) string {
	l, err := net.Listen("tcp", "127.7.7.7:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// page is a server that knows nothing of S3.
func page(t *testing.T) string {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return s.URL
}

// TestOpenRefusesWhatOneMayNot: a server that answers AccessDenied to one of the operations.
func TestOpenRefusesWhatOneMayNot(t *testing.T) {
	endpoint := server(t)
	bucket := newBucket(t, endpoint)
	for operation, what := range map[string]string{"ListObjectsV2": "list the bucket", "PutObject": "put an object", "GetObject": "get an object", "DELETE": "delete an object", "UploadPart": "in parts"} {
		p := newProxy(t, endpoint, func(r *http.Request) fate {
			if operationOf(r) == operation {
				return refuse(http.StatusForbidden, "AccessDenied")
			}
			return nil
		})
		refused(t, impatient(urlOf(bucket, p.URL)), pinflow.Invalid, what+": AccessDenied", "s3:ListBucket")
	}
}

// TestOpenRefusesServersThatKeepNothing: those that ignore or do not know If-None-Match.
func TestOpenRefusesServersThatKeepNothing(t *testing.T) {
	endpoint := server(t)
	for why, f := range map[string]fate{"ignores If-None-Match": ignoreCondition, "refuses If-None-Match": refuse(http.StatusNotImplemented, "NotImplemented")} {
		bucket := newBucket(t, endpoint)
		p := newProxy(t, endpoint, func(r *http.Request) fate {
			if r.Header.Get("If-None-Match") != "" {
				return f
			}
			return nil
		})
		refused(t, impatient(urlOf(bucket+"/lake", p.URL)), pinflow.Invalid, "the server has no conditional writes: it "+why, "Use a server that has them")
		left, err := admin(endpoint).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
		if err != nil || len(left.Contents) > 0 {
			t.Errorf("changed: %v, %v", left.Contents, err)
		}
	}
}

// TestConditionOnWholeObjectsOnly: a server that ignores the condition at the end of an upload in parts gets large objects in one piece.
func TestConditionOnWholeObjectsOnly(t *testing.T) {
	endpoint := server(t)
	p := newProxy(t, endpoint, func(r *http.Request) fate {
		if operationOf(r) == "CompleteMultipartUpload" {
			return ignoreCondition
		}
		return nil
	})
	b := opened(t, impatient(urlOf(newBucket(t, endpoint), p.URL)))
	b.largest = 1000
	before, first := p.count("CompleteMultipartUpload"), random(2000)
	for i, content := range [][]byte{first, random(3000)} {
		if created, err := b.PutIfAbsent(t.Context(), "a/b", content); created != (i == 0) || err != nil {
			t.Errorf("put %d: %v, %v", i, created, err)
		}
	}
	same(t, "a/b", get(t, b, "a/b"), first)
	if p.count("CompleteMultipartUpload") != before {
		t.Error("it was put in parts")
	}
	must(t, b.Replace(t.Context(), "a/b", random(4000)))
	if p.count("CompleteMultipartUpload") != before+1 {
		t.Error("it was not replaced in parts")
	}
}

// TestOpenGivesUp: a server that says nothing does not hold who opens for ever, and whoever does not want to wait need not.
func TestOpenGivesUp(t *testing.T) {
	endpoint := server(t)
	bucket := newBucket(t, endpoint)
	p := newProxy(t, endpoint, func(*http.Request) fate { return hang })
	o := impatient(urlOf(bucket, p.URL))
	o.Timeout = 50 * time.Millisecond
	refused(t, o, pinflow.Unavailable, "i/o timeout", "")
	o.Timeout = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, o); pinflow.KindOf(err) != pinflow.Unavailable || !strings.Contains(err.Error(), "deadline") {
		t.Error(err)
	}
}

// TestOpenAgain: what is tried is tried by one object that is no object of the lake.
func TestOpenAgain(t *testing.T) {
	endpoint := server(t)
	bucket := newBucket(t, endpoint)
	for range 3 {
		b := opened(t, impatient(urlOf(bucket+"/lake", endpoint)))
		for info, err := range b.List(t.Context(), "", "") {
			t.Errorf("listed %v, %v", info, err)
		}
		if _, err := b.PutIfAbsent(t.Context(), probeName, nil); pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("put what the server is tried with: %v", err)
		}
	}
	all, err := admin(endpoint).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	must(t, err)
	if len(all.Contents) != 1 || *all.Contents[0].Key != "lake/"+probeName {
		t.Errorf("there are %d objects", len(all.Contents))
	}
	uploads, err := admin(endpoint).ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil || len(uploads.Uploads) > 0 {
		t.Errorf("left: %d uploads, %v", len(uploads.Uploads), err)
	}
}

func TestReadOnly(t *testing.T) {
	endpoint := server(t)
	bucket := newBucket(t, endpoint)
	put := opened(t, impatient(urlOf(bucket, endpoint)))
	_, err := put.PutIfAbsent(t.Context(), "a", []byte("x"))
	must(t, err)
	p := newProxy(t, endpoint, func(r *http.Request) fate {
		if r.Method != http.MethodGet {
			return refuse(http.StatusForbidden, "AccessDenied")
		}
		return nil
	})
	o := impatient(urlOf(bucket, p.URL))
	o.ReadOnly = true
	b := opened(t, o)
	same(t, "a", get(t, b, "a"), []byte("x"))
	_, err = b.PutIfAbsent(t.Context(), "b", nil)
	for _, err := range []error{err, b.Replace(t.Context(), "a", nil), b.Delete(t.Context(), "a")} {
		if pinflow.KindOf(err) != pinflow.Invalid || !strings.Contains(err.Error(), "read only") {
			t.Error(err)
		}
	}
}

// TestTLS reaches the server by a certificate that the environment says is to be trusted.
func TestTLS(t *testing.T) {
	endpoint := server(t)
	p := newProxy(t, endpoint, nil)
	secure := httptest.NewTLSServer(p)
	t.Cleanup(secure.Close)
	url := urlOf(newBucket(t, endpoint), secure.URL)
	refused(t, impatient(url), pinflow.Invalid, "certificate", "AWS_CA_BUNDLE")
	file := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600))
	t.Setenv("AWS_CA_BUNDLE", file)
	var signed string
	p.change(func(r *http.Request) fate {
		if r.Method == http.MethodPut {
			signed = r.Header.Get("X-Amz-Content-Sha256")
		}
		return nil
	})
	b := opened(t, impatient(url))
	b.largest, b.partSize = 1<<20, 5<<20
	for i, size := range []int{0, 5, 1000, 6 << 20} {
		name, content := fmt.Sprint(i), random(size)
		if created, err := b.PutIfAbsent(t.Context(), name, content); !created || err != nil {
			t.Fatal(created, err)
		}
		same(t, name, get(t, b, name), content)
		if signed != "UNSIGNED-PAYLOAD" {
			t.Errorf("TLS or not, the bytes are signed: %s", signed)
		}
	}
}
