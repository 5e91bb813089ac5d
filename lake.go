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

// ObjectReplacer changes what may change in a lake: what is derived from records, never records.
type ObjectReplacer interface {
	// Replace stores the object durably, in place of the one of that name if there is one. Readers see the one or the other, whole.
	Replace(ctx context.Context, name string, content []byte) error
	// Delete removes an object; it is no error if there is none.
	Delete(ctx context.Context, name string) error
}

// HeadReader is implemented by places where it costs to fetch an object of which only the beginning is wanted.
type HeadReader interface {
	// GetHead opens up to n bytes of an object, from its first on; NotFound if there is none.
	GetHead(ctx context.Context, name string, n int64) (io.ReadCloser, error)
}

// LocalObjects are objects that lie in files of this machine, which others may read and must not change.
type LocalObjects interface {
	// Path returns the absolute path of an object's file, whether it exists or not.
	Path(name string) string
}

// Objects is all of these.
type Objects interface {
	ObjectWriter
	ObjectReader
	ObjectReplacer
	// String returns the URL of the place.
	String() string
}
