package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/pinflow/pinflow"
)

// probeName is the object by which a server is tried. It stays, and is no object of the lake.
const probeName = "_probe"

var probeText = []byte("Pinflow tries with this object whether the server keeps an object that is there (If-None-Match: *). It may be deleted.\n")

// try finds out whether a lake can be kept at the place: it can be reached and listed, and unless it is only to be read, objects can be put, got and
// deleted, and those that are there stay.
func (b *Bucket) try(ctx context.Context) error {
	_, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: b.key(""), MaxKeys: aws.Int32(1)}, func(o *s3.Options) { o.RetryMaxAttempts = 3 })
	if err != nil {
		return b.refusal(ctx, "list the bucket", err)
	}
	if b.readOnly {
		return nil
	}
	if err := b.tryToKeep(ctx); err != nil {
		return err
	}
	if err := b.tryToRead(ctx); err != nil {
		return b.refusal(ctx, "get an object", err)
	}
	if err := b.remove(ctx, probeName+"-none"); err != nil {
		return b.refusal(ctx, "delete an object", err)
	}
	if err := b.tryParts(ctx); err != nil {
		return b.refusal(ctx, "put an object in parts", err)
	}
	b.removeLeft(ctx, time.Now())
	return nil
}

// tryToKeep puts the same object twice at most: then it is there, and must have been kept.
func (b *Bucket) tryToKeep(ctx context.Context) error {
	for range 2 {
		err := b.put(ctx, probeName, probeText, ifAbsent)
		switch {
		case err != nil && exists(err):
			return nil
		case err != nil && statusOf(err) == http.StatusNotImplemented:
			return b.cannotKeep("refuses If-None-Match")
		case err != nil:
			return b.refusal(ctx, "put an object", err)
		}
	}
	if err := b.remove(ctx, probeName); err != nil {
		b.log.Debug("lake: the object by which the server was tried is still there", "object", b.at(probeName), "error", meaningOf(err).why)
	}
	return b.cannotKeep("ignores If-None-Match")
}

func (b *Bucket) cannotKeep(how string) error {
	return &pinflow.Error{Op: "open lake", On: b.name(), Kind: pinflow.Invalid, Err: errors.New("the server has no conditional writes: it " + how + " on a put, so that of two writers one would destroy what the other has stored"),
		Hint: "Use a server that has them, as AWS S3, MinIO, Ceph and others do in their current versions."}
}

func (b *Bucket) tryToRead(ctx context.Context) error {
	got, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: b.key(probeName)})
	if err != nil {
		return err
	}
	defer got.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(got.Body, smallRest))
	return err
}

// tryParts finds out whether the end of an upload in parts heeds the condition, too. If not, objects that must be kept go in one piece, however large.
func (b *Bucket) tryParts(ctx context.Context) error {
	id, err := b.beginUpload(ctx, probeName)
	if err != nil {
		return err
	}
	defer b.abort(ctx, probeName, id)
	part, err := b.putPart(ctx, probeName, id, 1, probeText)
	if err != nil {
		return err
	}
	err = b.endUpload(ctx, probeName, id, []types.CompletedPart{part}, ifAbsent)
	switch {
	case err != nil && exists(err):
		b.partsKeep = true
	case err == nil, statusOf(err) == http.StatusNotImplemented:
		b.log.Info("lake: the server has no conditional writes of objects in parts; large ones go in one piece", "lake", b.name())
	default:
		return err
	}
	return nil
}
