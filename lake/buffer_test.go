package lake

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/value"
)

// TestBuffersShareAPacker fills buffers in turn, chunk by chunk and with records larger than that, and reads them by the standard library.
func TestBuffersShareAPacker(t *testing.T) {
	p, err := newPacker(level)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	const n = 4
	var buffers [n]*buffer
	var want [n][]byte
	for round := range 3 {
		for i := range buffers {
			buffers[i], want[i] = newBuffer(Object{Start: int64(round)}, time.Time{}), nil
		}
		for offset := range int64(4000) {
			i := random.IntN(n)
			size := random.IntN(2000)
			if random.IntN(500) == 0 {
				size = random.IntN(5 * chunkBytes)
			}
			text := make([]byte, size)
			for k := range text {
				text[k] = "abcdefgh "[random.IntN(9)]
			}
			r := pinflow.Record{Offset: offset, Value: fmt.Appendf(nil, `{"text":"%s"}`, text)}
			buffers[i].add(&r, p)
			want[i] = value.AppendLine(want[i], &r)
			if b := buffers[i]; b.bytes() != int64(len(want[i])) || b.end != offset+1 {
				t.Fatalf("%d bytes of %d, end %d at %d", b.bytes(), len(want[i]), b.end, offset)
			}
			if cap(buffers[i].lines) > 4*chunkBytes+2*(size+200) {
				t.Fatalf("%d bytes of lines are held", cap(buffers[i].lines))
			}
		}
		for i, b := range buffers {
			z, err := gzip.NewReader(bytes.NewReader(b.finish(p)))
			if err != nil {
				t.Fatal(err)
			}
			z.Multistream(false)
			got, err := io.ReadAll(z)
			if err != nil || !bytes.Equal(got, want[i]) {
				t.Fatalf("buffer %d came back as %d bytes of %d, %v", i, len(got), len(want[i]), err)
			}
		}
	}
	if len(p.spares) > maxSpares {
		t.Errorf("%d chunks are kept", len(p.spares))
	}
}
