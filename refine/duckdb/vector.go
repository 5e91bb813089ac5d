package duckdb

import (
	"errors"
	"reflect"
	"runtime"
	"sync"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// A vector of text holds 16 bytes per value, DuckDB's string_t: the length, then up to 12 bytes of text padded with
// zeros, or the first 4 bytes and where the whole text lies. DuckDB copies what it keeps, so that text
// needs to stay in place only until the statement has ended. Written here, a value costs some nanoseconds; through
// the driver, a call into C and an allocation.
const (
	textSize  = 16
	maxInline = 12
)

// putText writes the string_t at p of a text that lies in a textHeap, unless it is short.
func putText(p unsafe.Pointer, text []byte) {
	*(*uint32)(p) = uint32(len(text))
	if len(text) <= maxInline {
		*(*uint64)(unsafe.Add(p, 4)) = 0
		*(*uint32)(unsafe.Add(p, 12)) = 0
		copy(unsafe.Slice((*byte)(unsafe.Add(p, 4)), maxInline), text)
		return
	}
	*(*uint32)(unsafe.Add(p, 4)) = *(*uint32)(unsafe.Pointer(&text[0]))
	*(*uintptr)(unsafe.Add(p, 8)) = uintptr(unsafe.Pointer(&text[0]))
}

const heapBlock = 1 << 20

// textHeap holds texts to which vectors point. Its blocks are pinned, as memory must be to which C has pointers.
type textHeap struct {
	pool   *sync.Pool // of *[heapBlock]byte
	pinner runtime.Pinner
	common []*[heapBlock]byte
	free   []byte // what is left of the last block
}

// room returns a slice of length 0 with room for n bytes at least.
func (h *textHeap) room(n int) []byte {
	switch {
	case n <= len(h.free):
	case n > heapBlock/4:
		large := make([]byte, n)
		h.pinner.Pin(unsafe.SliceData(large))
		return large[:0]
	default:
		block, _ := h.pool.Get().(*[heapBlock]byte)
		if block == nil {
			block = new([heapBlock]byte)
		}
		h.pinner.Pin(block)
		h.common = append(h.common, block)
		h.free = block[:]
	}
	return h.free[:0]
}

// keep takes what was appended to a room.
func (h *textHeap) keep(text []byte) {
	if len(h.free) > 0 && len(text) > 0 && &h.free[0] == &text[0] {
		h.free = h.free[len(text):]
	}
}

// reset gives up all texts.
func (h *textHeap) reset() {
	h.pinner.Unpin()
	for _, block := range h.common {
		h.pool.Put(block)
	}
	h.common, h.free = h.common[:0], nil
}

// rawChunk is a chunk that DuckDB wants to be filled.
type rawChunk struct {
	chunk      mapping.DataChunk
	projection []int // position in the chunk by column, -1 for a column not asked for
}

// rawChunkOf finds DuckDB's own handle in what the driver gives, which offers writing value by value only.
func rawChunkOf(c duckdb.DataChunk, columns int) (rawChunk, error) {
	v := reflect.ValueOf(c)
	chunk, projection := v.FieldByName("chunk"), v.FieldByName("projection")
	if chunk.Kind() != reflect.Struct || projection.Kind() != reflect.Slice || projection.Len() != columns {
		return rawChunk{}, errors.New("this version of duckdb-go has other chunks than the one that Pinflow is built for")
	}
	ptr := chunk.FieldByName("Ptr")
	if ptr.Kind() != reflect.UnsafePointer {
		return rawChunk{}, errors.New("this version of duckdb-go has other chunks than the one that Pinflow is built for")
	}
	raw := rawChunk{chunk: mapping.DataChunk{Ptr: ptr.UnsafePointer()}, projection: make([]int, columns)}
	for i := range raw.projection {
		raw.projection[i] = int(projection.Index(i).Int())
	}
	return raw, nil
}

// vector returns where a column's values and its validity mask lie, as they are for one fill.
func (c *rawChunk) vector(column int) (mapping.Vector, unsafe.Pointer, unsafe.Pointer) {
	v := mapping.DataChunkGetVector(c.chunk, mapping.IdxT(c.projection[column]))
	return v, mapping.VectorGetData(v), mapping.VectorGetValidity(v)
}

// setNull clears a row's bit in a validity mask.
func setNull(validity unsafe.Pointer, row int) {
	word := (*uint64)(unsafe.Add(validity, row/64*8))
	*word &^= 1 << (row % 64)
}
