package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pinflow/pinflow/internal/realtest"
)

// The key that the stack's S3 server takes.
const s3Key, s3Secret = "stack", "stackstack"

// bucket is one that is gone after the benchmark.
type bucket struct {
	name, endpoint, region string
	client                 *s3.Client
}

// newBucket starts the S3 server and makes a bucket.
func newBucket(b *testing.B) *bucket {
	b.Helper()
	realtest.Service(b, "s3.sh", "start")
	k := &bucket{name: fmt.Sprintf("bench-%d", time.Now().UnixNano()), endpoint: "http://" + address("S3_PORT", "19000"), region: "us-east-1"}
	k.client = s3.New(s3.Options{BaseEndpoint: &k.endpoint, Region: k.region, UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(s3Key, s3Secret, "")})
	if _, err := k.client.CreateBucket(b.Context(), &s3.CreateBucketInput{Bucket: &k.name}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := k.remove(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	})
	return k
}

// environment lets a process in.
func (k *bucket) environment() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + s3Key, "AWS_SECRET_ACCESS_KEY=" + s3Secret, "AWS_REGION=" + k.region}
}

func (k *bucket) remove(ctx context.Context) error {
	for pages := s3.NewListObjectsV2Paginator(k.client, &s3.ListObjectsV2Input{Bucket: &k.name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, object := range page.Contents {
			if _, err := k.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &k.name, Key: object.Key}); err != nil {
				return err
			}
		}
	}
	_, err := k.client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &k.name})
	return err
}
