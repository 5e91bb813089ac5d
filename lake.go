package pinflow

import (
	"context"
	"io"
	"iter"
)

// ObjectWriter is the write half of a place for immutable objects: a folder, or a prefix in a bucket.
// Names are relative, slash-separated paths.
type ObjectWriter interface {
	// PutIfAbsent stores the object durably unless one of that name is there; created tells which.
	// No reader ever sees a part of it. An error leaves open whether it was stored.
	PutIfAbsent(ctx context.Context, name string, content []byte) (created bool, err error)
}

// ObjectReader is the read half.
type ObjectReader interface {
	// Get opens an object; NotFound if there is none.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// List yields, in order of name, the objects whose name starts with prefix. With a
	// delimiter ("/"), names are cut after its first occurrence behind prefix and each such
	// folder is yielded once, its name ending in the delimiter.
	List(ctx context.Context, prefix, delimiter string) iter.Seq2[ObjectInfo, error]
}

// ObjectInfo is what a listing tells of an object.
type ObjectInfo struct {
	Name string
	Size int64 // bytes as stored; 0 for a folder
}

// Objects is both halves.
type Objects interface {
	ObjectWriter
	ObjectReader
	// String returns the URL of the place.
	String() string
}
