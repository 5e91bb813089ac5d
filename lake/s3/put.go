package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/pinflow/pinflow"
)

// ifAbsent is the condition that no object of the name is there.
var ifAbsent = aws.String("*")

// PutIfAbsent implements pinflow.ObjectWriter. If an earlier try of this very call, of which no answer came, has stored the object, created is false: the server does
// not tell whose object it found.
func (b *Bucket) PutIfAbsent(ctx context.Context, name string, content []byte) (created bool, err error) {
	const op = "put object"
	if err := b.writable(op, name); err != nil {
		return false, err
	}
	err = b.put(ctx, name, content, ifAbsent)
	switch {
	case err == nil:
		return true, nil
	case exists(err):
		return false, nil
	}
	return false, b.fault(ctx, op, name, err)
}

// Replace implements pinflow.ObjectReplacer.
func (b *Bucket) Replace(ctx context.Context, name string, content []byte) error {
	const op = "replace object"
	if err := b.writable(op, name); err != nil {
		return err
	}
	if err := b.put(ctx, name, content, nil); err != nil {
		return b.fault(ctx, op, name, err)
	}
	return nil
}

// Delete implements pinflow.ObjectReplacer.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	const op = "delete object"
	if err := b.writable(op, name); err != nil {
		return err
	}
	if err := b.remove(ctx, name); err != nil {
		return b.fault(ctx, op, name, err)
	}
	return nil
}

func (b *Bucket) remove(ctx context.Context, name string) error {
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: b.key(name)})
	if err != nil && codeOf(err) == codeNoObject {
		return nil
	}
	return err
}

// put stores an object, whole or in parts.
func (b *Bucket) put(ctx context.Context, name string, content []byte, condition *string) error {
	if len(content) > b.largest && (condition == nil || b.partsKeep) {
		return b.putInParts(ctx, name, content, condition)
	}
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.bucket, Key: b.key(name), Body: bytes.NewReader(content), ContentLength: aws.Int64(int64(len(content))), IfNoneMatch: condition,
		ContentType: contentType(name), ChecksumCRC32C: b.checksumOf(content), ServerSideEncryption: types.ServerSideEncryption(b.sse), SSEKMSKeyId: b.kms()}, b.trustTLS)
	return err
}

// trustTLS leaves the bytes out of the signature where TLS sees to it that they arrive as they are: to hash them would cost more than to send them.
func (b *Bucket) trustTLS(o *s3.Options) {
	if b.endpoint == nil || b.endpoint.Scheme == "https" {
		o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksumOf is what the server holds the bytes against before it stores them.
func (b *Bucket) checksumOf(content []byte) *string {
	if !b.checksum {
		return nil
	}
	return aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(content, castagnoli))))
}

func (b *Bucket) kms() *string {
	if b.kmsKey == "" {
		return nil
	}
	return &b.kmsKey
}

// contentType tells clients what an object is. That it is compressed stands in the type, not in a content encoding, which many clients would undo.
func contentType(name string) *string {
	switch {
	case strings.HasSuffix(name, ".gz"):
		return aws.String("application/gzip")
	case strings.HasSuffix(name, ".json"), path.Base(name) == "_SUCCESS":
		return aws.String("application/json")
	case strings.HasSuffix(name, ".parquet"):
		return aws.String("application/vnd.apache.parquet")
	}
	return aws.String("application/octet-stream")
}

// writable returns an Invalid error unless an object of that name may be written.
func (b *Bucket) writable(op, name string) error {
	if err := b.check(op, name); err != nil {
		return err
	}
	if b.readOnly {
		return &pinflow.Error{Op: op, On: b.at(name), Kind: pinflow.Invalid, Err: errors.New("the lake was opened to be read only")}
	}
	return nil
}
