package emulate

import (
	"math/bits"
	"time"
)

// steps is into how many parts a histogram cuts each power of two.
const steps = 16

// histogram counts durations in buckets whose width is a sixteenth of a power of two: a quantile is
// off by 1/32 at the most, in fixed memory.
type histogram struct {
	counts [64 * steps]int64
	total  int64
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
}

// bucketOf numbers the buckets: nanoseconds below 16 one each, then 16 to a power of two.
func bucketOf(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < steps {
		return int(n)
	}
	power := bits.Len64(n) - 5 // so that n>>power lies in [16, 32)
	return power*steps + int(n>>power)
}

// middleOf is the inverse of bucketOf, to within half a bucket.
func middleOf(bucket int) time.Duration {
	if bucket < 2*steps {
		return time.Duration(bucket)
	}
	power := bucket/steps - 1
	low := int64(bucket%steps+steps) << power
	return time.Duration(low + int64(1)<<power/2)
}

// quantile returns the duration that a share q of all does not exceed, 0 if there are none.
func (h *histogram) quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := max(int64(q*float64(h.total)+0.5), 1)
	seen := int64(0)
	for bucket, n := range h.counts {
		if seen += n; seen >= rank {
			return middleOf(bucket)
		}
	}
	return 0
}
