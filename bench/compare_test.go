package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// turn is how long ours or the peer runs before the other has its turn.
const turn = 2 * time.Second

// compare lets ours and the peer take turns and reports the medians, the median of the ratios, and their spread.
func compare(b *testing.B, unit string, ours, peer func(time.Duration) float64) {
	b.Helper()
	ours(turn / 4) // both warm
	peer(turn / 4)
	var mine, theirs, ratios []float64
	for range rounds {
		a, p := ours(turn), peer(turn)
		mine, theirs, ratios = append(mine, a), append(theirs, p), append(ratios, a/p)
	}
	for _, s := range [][]float64{mine, theirs, ratios} {
		slices.Sort(s)
	}
	n := len(ratios)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(mine[n/2], unit)
	b.ReportMetric(theirs[n/2], "peer-"+unit)
	b.ReportMetric(ratios[n/2], "ratio")
	b.Logf("ratios %.2f to %.2f", ratios[0], ratios[n-1])
}

// spread shows the least and the greatest of ratios.
func spread(ratios []float64) string {
	return fmt.Sprintf("%.2f to %.2f", slices.Min(ratios), slices.Max(ratios))
}
