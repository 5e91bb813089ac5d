package s3

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pinflow/pinflow"
)

// List implements pinflow.ObjectReader, page by page.
func (b *Bucket) List(ctx context.Context, prefix, delimiter string) iter.Seq2[pinflow.ObjectInfo, error] {
	return func(yield func(pinflow.ObjectInfo, error) bool) {
		const op = "list objects"
		in := &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: b.key(prefix)}
		if delimiter != "" {
			in.Delimiter = &delimiter
		}
		if b.pageSize > 0 {
			in.MaxKeys = &b.pageSize
		}
		last := ""
		for pages := s3.NewListObjectsV2Paginator(b.client, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(pinflow.ObjectInfo{}, b.fault(ctx, op, prefix, err))
				return
			}
			for _, info := range b.namesOf(page) {
				if info.Name <= last {
					yield(pinflow.ObjectInfo{}, &pinflow.Error{Op: op, On: b.at(prefix), Kind: pinflow.Invalid, Err: fmt.Errorf("the server lists %q behind %q", info.Name, last),
						Hint: "A lake needs a server that lists objects in order of name; directory buckets do not."})
					return
				}
				if last = info.Name; !yield(info, nil) {
					return
				}
			}
		}
	}
}

// namesOf returns what a page has of the lake, in order.
func (b *Bucket) namesOf(page *s3.ListObjectsV2Output) []pinflow.ObjectInfo {
	all := make([]pinflow.ObjectInfo, 0, len(page.Contents)+len(page.CommonPrefixes))
	for _, o := range page.Contents {
		name := strings.TrimPrefix(aws.ToString(o.Key), b.prefix)
		if name != "" && !strings.HasSuffix(name, "/") && name != probeName { // some tools mark a folder by an object whose name ends in a slash
			all = append(all, pinflow.ObjectInfo{Name: name, Size: aws.ToInt64(o.Size)})
		}
	}
	for _, f := range page.CommonPrefixes {
		all = append(all, pinflow.ObjectInfo{Name: strings.TrimPrefix(aws.ToString(f.Prefix), b.prefix)})
	}
	slices.SortFunc(all, func(a, b pinflow.ObjectInfo) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// check returns an Invalid error unless name can be that of an object.
func (b *Bucket) check(op, name string) error {
	why := badName(name)
	if name == probeName {
		why = "it is used to try the server"
	}
	if why == "" {
		return nil
	}
	return &pinflow.Error{Op: op, On: fmt.Sprintf("%s/%q", b.name(), name), Kind: pinflow.Invalid, Err: errors.New("no name for an object: " + why)}
}
