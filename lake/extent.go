package lake

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/pinflow/pinflow"
)

// Extent is what an object holds. It stands in the object's gzip header, so that nobody has to unpack an object to know it.
type Extent struct {
	End     int64 // one after the last record
	Records int64
	Newest  int64 // the greatest append time among them, Unix milliseconds
}

// The extra field of the gzip header (RFC 1952, 2.3.1.1): one subfield, "PF", of End, Records and Newest, each of 8 bytes.
const (
	extentSize = 24
	extentAt   = 16 // where they begin
	headSize   = extentAt + extentSize
)

// gzipHeader starts a stream without name and time: the same records give the same bytes. The extent is filled in at the end.
var gzipHeader = [headSize]byte{0: 0x1f, 1: 0x8b, 2: 8, 3: 4, 9: 255, 10: 4 + extentSize, 12: 'P', 13: 'F', 14: extentSize}

// writeTo fills a header in.
func (e Extent) writeTo(head []byte) {
	for i, n := range [...]int64{e.End, e.Records, e.Newest} {
		binary.LittleEndian.PutUint64(head[extentAt+8*i:], uint64(n))
	}
}

// readExtent looks for an extent in a gzip header. Without one, ok is false.
func readExtent(r io.Reader) (e Extent, ok bool, err error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return e, false, err
	}
	if head[0] != 0x1f || head[1] != 0x8b || head[2] != 8 {
		return e, false, errors.New("it is no gzip stream")
	}
	if head[3]&4 == 0 {
		return e, false, nil
	}
	extra := make([]byte, binary.LittleEndian.Uint16(head[10:]))
	if _, err := io.ReadFull(r, extra); err != nil {
		return e, false, err
	}
	for len(extra) >= 4 {
		size := int(binary.LittleEndian.Uint16(extra[2:]))
		if len(extra) < 4+size {
			break
		}
		if field := extra[4 : 4+size]; extra[0] == 'P' && extra[1] == 'F' && size == extentSize {
			n := func(i int) int64 { return int64(binary.LittleEndian.Uint64(field[8*i:])) }
			return Extent{End: n(0), Records: n(1), Newest: n(2)}, true, nil
		}
		extra = extra[4+size:]
	}
	return e, false, nil
}

// Extent returns what an object holds: by its header, or, if somebody else wrote it, by reading its lines. One that holds
// other than its name says is an Invalid error.
func (t *Topic) Extent(ctx context.Context, o Object) (Extent, error) {
	e, ok, err := t.headOf(ctx, o)
	if err == nil && !ok {
		e, err = t.measure(ctx, o)
	}
	if err != nil {
		return Extent{}, err
	}
	if e.Records < 1 || e.End-o.Start < e.Records {
		return Extent{}, t.damaged(o, fmt.Errorf("it says that it holds %d records and ends at %d", e.Records, e.End))
	}
	return e, nil
}

func (t *Topic) headOf(ctx context.Context, o Object) (e Extent, ok bool, err error) {
	body, err := t.openHead(ctx, o.Name(t.PeriodLength()))
	if err != nil {
		return e, false, err
	}
	defer body.Close()
	source := &sourceErr{r: body}
	if e, ok, err = readExtent(bufio.NewReaderSize(source, 64)); err != nil {
		return e, false, t.readFault(o, source, err)
	}
	return e, ok, nil
}

// openHead opens an object of which only the header will be read, however long that may be.
func (t *Topic) openHead(ctx context.Context, name string) (io.ReadCloser, error) {
	if heads, ok := t.objects.(pinflow.HeadReader); ok {
		return heads.GetHead(ctx, name, headSize+math.MaxUint16)
	}
	return t.objects.Get(ctx, name)
}

// measure reads all lines.
func (t *Topic) measure(ctx context.Context, o Object) (Extent, error) {
	var e Extent
	var last pinflow.Line
	for line, err := range t.Read(ctx, o) {
		if err != nil {
			return e, err
		}
		e.Records++
		e.Newest = max(e.Newest, line.Timestamp)
		last = line
	}
	if e.Records == 0 {
		return e, t.damaged(o, errors.New("it is empty"))
	}
	if last.Partition != o.Partition || last.Offset < o.Start {
		return e, t.damaged(o, fmt.Errorf("its last record is %d of partition %d", last.Offset, last.Partition))
	}
	e.End = last.Offset + 1
	return e, nil
}
