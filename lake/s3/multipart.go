package s3

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

const (
	largest    = 16 << 20 // bytes of an object that goes in one piece
	partSize   = 8 << 20
	maxParts   = 10_000
	partsAside = 4                // parts of an object on their way at a time
	abortFor   = 10 * time.Second // how long it is tried to free what was uploaded for nothing
	leftFor    = 24 * time.Hour   // an upload that has not ended by then was left behind by a crash
)

// putInParts stores a large object. The condition is that of the end of the upload, which is asked for once: asked again, servers say that it has ended well if it is under way, or if
// any object of the name is there. If no good answer comes, all is uploaded again, and the condition tells what is there.
func (b *Bucket) putInParts(ctx context.Context, name string, content []byte, condition *string) error {
	for attempt := 1; ; attempt++ {
		err := b.upload(ctx, name, content, condition)
		if err == nil || attempt == attempts || !b.again(err) || !b.backoff.wait(ctx, attempt) {
			return err
		}
	}
}

// again tells whether an upload that failed at its end may come to another. That it is not known may mean that it has ended, and the answer was lost.
func (b *Bucket) again(err error) bool {
	var unended *unendedError
	return errors.As(err, &unended) && (codeOf(err) == codeNoUpload || newRetryer(b.backoff).IsErrorRetryable(err))
}

// unendedError is that of an upload whose end failed.
type unendedError struct{ error }

func (e *unendedError) Unwrap() error { return e.error }

// upload is one attempt of putInParts. If it fails, nothing is left of it on the server, unless that cannot be reached.
func (b *Bucket) upload(ctx context.Context, name string, content []byte, condition *string) error {
	id, err := b.beginUpload(ctx, name)
	if err != nil {
		return err
	}
	parts, err := b.putParts(ctx, name, id, content)
	if err == nil {
		err = b.endUpload(ctx, name, id, parts, condition)
	}
	if err != nil {
		b.abort(ctx, name, id)
	}
	return err
}

func (b *Bucket) endUpload(ctx context.Context, name, id string, parts []types.CompletedPart, condition *string) error {
	_, err := b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &b.bucket, Key: b.key(name), UploadId: &id, IfNoneMatch: condition,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}, once)
	if err != nil {
		return &unendedError{err}
	}
	return nil
}

func (b *Bucket) beginUpload(ctx context.Context, name string) (id string, err error) {
	in := &s3.CreateMultipartUploadInput{Bucket: &b.bucket, Key: b.key(name), ContentType: contentType(name), ServerSideEncryption: types.ServerSideEncryption(b.sse), SSEKMSKeyId: b.kms()}
	if b.checksum {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32c
	}
	begun, err := b.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.ToString(begun.UploadId), nil
}

// putParts uploads all parts; the first that fails ends it.
func (b *Bucket) putParts(ctx context.Context, name, id string, content []byte) ([]types.CompletedPart, error) {
	size := max(b.partSize, (len(content)+maxParts-1)/maxParts)
	parts := make([]types.CompletedPart, (len(content)+size-1)/size)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(partsAside)
	for i := range parts {
		g.Go(func() (err error) {
			parts[i], err = b.putPart(ctx, name, id, int32(i+1), content[i*size:min(len(content), (i+1)*size)])
			return err
		})
	}
	return parts, g.Wait()
}

func (b *Bucket) putPart(ctx context.Context, name, id string, number int32, content []byte) (types.CompletedPart, error) {
	sum := b.checksumOf(content)
	put, err := b.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &b.bucket, Key: b.key(name), UploadId: &id, PartNumber: &number, Body: bytes.NewReader(content),
		ContentLength: aws.Int64(int64(len(content))), ChecksumCRC32C: sum}, b.trustTLS)
	if err != nil {
		return types.CompletedPart{}, err
	}
	return types.CompletedPart{PartNumber: &number, ETag: put.ETag, ChecksumCRC32C: sum}, nil
}

// abort frees the parts of an upload, though ctx may have ended.
func (b *Bucket) abort(ctx context.Context, name, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortFor)
	defer cancel()
	_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.bucket, Key: b.key(name), UploadId: &id})
	if err != nil && codeOf(err) != codeNoUpload {
		b.log.Warn("lake: the parts of an object that was not stored are still on the server; they are removed a day later, when the lake is opened", "object", b.at(name), "error", err)
	}
}

// removeLeft frees the parts of uploads that a crash has left behind. That it cannot do so hinders nobody.
func (b *Bucket) removeLeft(ctx context.Context, now time.Time) {
	all, err := b.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &b.bucket, Prefix: b.key("")})
	if err != nil {
		b.log.Debug("lake: not looked for uploads left behind", "lake", b.name(), "error", meaningOf(err).why)
		return
	}
	for _, u := range all.Uploads {
		if u.Initiated == nil || now.Sub(*u.Initiated) < leftFor {
			continue
		}
		_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.bucket, Key: u.Key, UploadId: u.UploadId})
		if err != nil && codeOf(err) != codeNoUpload {
			b.log.Debug("lake: an upload left behind is not removed", "object", aws.ToString(u.Key), "error", meaningOf(err).why)
		}
	}
}
