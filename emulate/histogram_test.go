package emulate

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, scale := range []time.Duration{1, 20, time.Microsecond, time.Millisecond, time.Minute, 1000 * time.Hour} {
		var h histogram
		if h.quantile(0.5) != 0 {
			t.Error("an empty histogram has a quantile")
		}
		var all []time.Duration
		for range 1000 {
			d := time.Duration(r.Int64N(int64(100*scale) + 1))
			all = append(all, d)
			h.add(d)
		}
		slices.Sort(all)
		for _, q := range []float64{0.001, 0.5, 0.99, 1} {
			want := all[int(q*1000+0.5)-1]
			if got := h.quantile(q); got < want-want/24 || got > want+want/24 {
				t.Errorf("scale %v: quantile %v is %v, want %v", scale, q, got, want)
			}
		}
	}
}

func TestBucketsAreInOrder(t *testing.T) {
	last := -1
	for d := time.Duration(0); d < 1<<62; d += 1 + d/50 {
		b := bucketOf(d)
		if b < last || b > last+1 && d > 200 {
			t.Fatalf("%d lies in bucket %d, what is before it in %d", d, b, last)
		}
		last = b
		if m := middleOf(b); m < d-d/16 || m > d+d/16 {
			t.Fatalf("the middle of the bucket of %d is %d", d, m)
		}
	}
	if b := bucketOf(1<<63 - 1); b >= 64*steps {
		t.Errorf("the longest lies in bucket %d", b)
	}
}
