package lake

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/value"
)

const (
	// chunkBytes of lines are compressed at a time, and each partition holds up to as many uncompressed. One stream over all of a
	// partition's lines would be 2 % smaller.
	chunkBytes = 128 << 10
	// level is the fastest: 2 makes objects of real pins 3 % smaller for 1.15 times the work, 5 9 % for twice the work (BenchmarkLevels),
	// and the processor is needed for the live half.
	level = 1
)

// buffer is an object in the making: contiguous records of one partition and period.
type buffer struct {
	Object
	end    int64 // one after the last record
	count  int
	newest int64     // the greatest append time
	since  time.Time // when the first record came

	lines  []byte // the last ones, not compressed yet
	packed []byte // a gzip stream of those before
	crc    uint32
	raw    int64 // bytes of all lines but those in lines
}

// lastBlock is an empty deflate block that ends a stream.
var lastBlock = [2]byte{0x03, 0x00}

func newBuffer(o Object, now time.Time) *buffer {
	return &buffer{Object: o, end: o.Start, since: now}
}

// bytes is how many bytes of lines the buffer has.
func (b *buffer) bytes() int64 { return b.raw + int64(len(b.lines)) }

// held is how much memory the buffer takes.
func (b *buffer) held() int64 { return int64(cap(b.lines) + cap(b.packed)) }

// add appends a record's line.
func (b *buffer) add(r *pinflow.Record, p *packer) {
	if b.lines == nil {
		b.lines = p.spare()
	}
	b.lines = value.AppendLine(b.lines, r)
	b.end = r.Offset + 1
	b.count++
	b.newest = max(b.newest, r.Timestamp)
	if len(b.lines) >= chunkBytes {
		p.pack(b)
	}
}

// finish returns the whole gzip stream.
func (b *buffer) finish(p *packer) []byte {
	p.pack(b)
	p.keep(b.lines)
	b.lines = nil
	Extent{End: b.end, Records: int64(b.count), Newest: b.newest}.writeTo(b.packed)
	b.packed = append(b.packed, lastBlock[:]...)
	b.packed = binary.LittleEndian.AppendUint32(b.packed, b.crc)
	b.packed = binary.LittleEndian.AppendUint32(b.packed, uint32(b.raw))
	return b.packed
}

// packer compresses for all partitions in turn: the pieces of one stream, each ending at a byte's end, need
// nothing of one another. So a partition costs its bytes and no compressor's tables, which are 1 MiB.
type packer struct {
	deflate *flate.Writer
	out     []byte
	spares  [][]byte // chunks to be used again
}

// maxSpares is how many chunks are kept for later.
const maxSpares = 4

func newPacker(level int) (*packer, error) {
	p := &packer{}
	var err error
	p.deflate, err = flate.NewWriter(p, level)
	return p, err
}

// Write takes what the compressor gives.
func (p *packer) Write(b []byte) (int, error) {
	p.out = append(p.out, b...)
	return len(b), nil
}

// pack moves b's lines to its stream. Writing to memory does not fail.
func (p *packer) pack(b *buffer) {
	if len(b.packed) == 0 {
		b.packed = append(b.packed, gzipHeader[:]...)
	}
	if len(b.lines) == 0 {
		return
	}
	b.crc = crc32.Update(b.crc, crc32.IEEETable, b.lines)
	b.raw += int64(len(b.lines))
	p.out = b.packed
	p.deflate.Reset(p)
	_, _ = p.deflate.Write(b.lines)
	_ = p.deflate.Flush()
	b.packed, p.out = p.out, nil
	if b.lines = b.lines[:0]; cap(b.lines) > 4*chunkBytes {
		b.lines = nil // one huge record
	}
}

func (p *packer) spare() []byte {
	if n := len(p.spares); n > 0 {
		s := p.spares[n-1]
		p.spares = p.spares[:n-1]
		return s
	}
	return nil
}

func (p *packer) keep(lines []byte) {
	if c := cap(lines); c >= chunkBytes && c <= 4*chunkBytes && len(p.spares) < maxSpares {
		p.spares = append(p.spares, lines[:0])
	}
}
