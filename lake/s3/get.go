package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/pinflow/pinflow"
)

// Get implements pinflow.ObjectReader. The object that is returned is read to its end as it was when Get found it: a read that breaks off goes on where it was,
// and is Unavailable if the object has been replaced meanwhile. ctx must last while it is read.
func (b *Bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	return b.get(ctx, name, 0)
}

// GetHead implements pinflow.HeadReader.
func (b *Bucket) GetHead(ctx context.Context, name string, n int64) (io.ReadCloser, error) {
	return b.get(ctx, name, n)
}

// get opens an object, up to an end if that is not 0.
func (b *Bucket) get(ctx context.Context, name string, end int64) (io.ReadCloser, error) {
	const op = "get object"
	if err := b.check(op, name); err != nil {
		return nil, err
	}
	r := &reader{b: b, ctx: ctx, name: name, end: end, size: -1}
	if err := r.open(); err != nil {
		return nil, b.fault(ctx, op, name, err)
	}
	return r, nil
}

// reader is an object that is being read.
type reader struct {
	b    *Bucket
	ctx  context.Context
	name string

	body   io.ReadCloser // nil while it has broken off
	etag   *string
	at     int64
	end    int64 // no more is asked for; 0 for all
	size   int64 // of what is asked for, -1 if the server did not say
	broken int   // breaks since the last byte came
}

// smallRest is how much of an object is read to its end when it is closed, so that the connection can be used again.
const smallRest = 64 << 10

// open asks for the object, from at on.
func (r *reader) open() error {
	in := &s3.GetObjectInput{Bucket: &r.b.bucket, Key: r.b.key(r.name), IfMatch: r.etag}
	switch {
	case r.end > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", r.at, r.end-1))
	case r.at > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", r.at))
	default:
		in.ChecksumMode = types.ChecksumModeEnabled
	}
	got, err := r.b.client.GetObject(r.ctx, in)
	switch {
	case err != nil && r.etag != nil && exists(err):
		return r.fault(errors.New("it was replaced while it was read"))
	case err != nil && r.at == 0 && r.end > 0 && codeOf(err) == codeNoRange: // it is empty
		r.end = 0
		return r.open()
	case err != nil:
		return err
	case in.Range != nil && !strings.HasPrefix(aws.ToString(got.ContentRange), fmt.Sprintf("bytes %d-", r.at)):
		got.Body.Close()
		return r.fault(errors.New("the server does not give the part of it that it is asked for"))
	}
	if r.etag == nil && got.ContentLength != nil {
		r.size = *got.ContentLength
	}
	r.body, r.etag = got.Body, got.ETag
	return nil
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	for {
		if r.body == nil {
			if err := r.open(); err != nil {
				return 0, r.b.fault(r.ctx, "read object", r.name, err)
			}
			r.b.meters.resumed.Inc()
		}
		n, err := r.body.Read(p)
		if r.at += int64(n); n > 0 {
			r.broken = 0
		}
		if err == nil || errors.Is(err, io.EOF) && (r.at == r.size || r.size < 0) {
			return n, err
		}
		if err := r.breakOff(err); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// breakOff closes a body that has broken off. It returns an error if the read cannot go on: what has come is not what the server said it would be, or it has
// broken off too often.
func (r *reader) breakOff(err error) error {
	r.body.Close()
	r.body = nil
	if r.broken++; r.etag == nil || r.at == r.size || r.broken >= attempts || !r.b.backoff.wait(r.ctx, r.broken) {
		r.body = brokenBody{r.b.fault(r.ctx, "read object", r.name, err)}
		_, err = r.body.Read(nil)
		return err
	}
	return nil
}

// brokenBody is that of a read that has failed: it stays so.
type brokenBody struct{ err error }

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }
func (brokenBody) Close() error               { return nil }

func (r *reader) fault(err error) error {
	return &pinflow.Error{Op: "read object", On: r.b.at(r.name), Kind: pinflow.Unavailable, Err: err}
}

// Close implements io.Closer.
func (r *reader) Close() error {
	if r.body == nil {
		return nil
	}
	if rest := r.size - r.at; rest > 0 && rest <= smallRest {
		_, _ = io.CopyN(io.Discard, r.body, rest+1) // for the connection's sake alone
	}
	err := r.body.Close()
	r.body = brokenBody{r.fault(errors.New("it was closed"))}
	if err != nil {
		return r.fault(err)
	}
	return nil
}
