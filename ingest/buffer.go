package ingest

import (
	"bytes"
	"io"
	"slices"
	"sync"

	"github.com/pinflow/pinflow"
)

// buffer holds a post's bytes. It is used again only when nobody else can still read them.
type buffer struct {
	b      []byte
	drafts []pinflow.Draft
	kept   bool
}

// buffers keeps small buffers; larger ones are rare enough to be made anew.
var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 2<<10)} }}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

// keep leaves the buffer to the journal, which may yet append a record after the wait for its receipt has ended.
func (b *buffer) keep() { b.kept = true }

func (b *buffer) giveBack() {
	if b.kept || cap(b.b) > smallBody {
		return
	}
	b.b = b.b[:0]
	clear(b.drafts)
	buffers.Put(b)
}

// fill reads until there are more than limit bytes or the body ends, which it tells.
func (b *buffer) fill(from *body, limit int) (whole bool, err error) {
	for len(b.b) <= limit {
		if len(b.b) == cap(b.b) {
			b.b = slices.Grow(b.b, min(len(b.b)+512, limit+1))
		}
		n, err := from.Read(b.b[len(b.b):min(cap(b.b), limit+1)])
		b.b = b.b[:len(b.b)+n]
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// trimBOM drops the byte order mark that some programs put before UTF-8.
func trimBOM(v []byte) []byte { return bytes.TrimPrefix(v, []byte("\ufeff")) }

// firstByte returns the first byte that is neither a byte order mark nor whitespace, 0 if there is none.
func firstByte(v []byte) byte {
	for _, c := range trimBOM(v) {
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
	}
	return 0
}
