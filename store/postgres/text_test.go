package postgres

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// odd is text of what PostgreSQL holds and what it does not.
func odd(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(8) {
		b.WriteString([]string{"\x00", "\x01", "\x02", "\xff", "\x80", "\xed\xa0\x80", "a", "é", "\u0080", "🙂", "\U0010ffff"}[r.IntN(11)])
	}
	return b.String()
}

func TestTextComesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		a, b := odd(r), odd(r)
		stored, other := storedText(a), storedText(b)
		if strings.IndexByte(stored, 0) >= 0 || !utf8.ValidString(stored) {
			t.Fatalf("%q is stored as %q, which PostgreSQL refuses", a, stored)
		}
		if got := readText(stored); got != a {
			t.Fatalf("%q came back as %q", a, got)
		}
		if (stored == other) != (a == b) {
			t.Fatalf("%q and %q are stored as %q and %q", a, b, stored, other)
		}
		if utf8.ValidString(a) && utf8.ValidString(b) && strings.Compare(a, b) != strings.Compare(stored, other) {
			t.Fatalf("%q and %q have another order as %q and %q", a, b, stored, other)
		}
		if !strings.ContainsAny(a, "\x00\x01") && utf8.ValidString(a) && stored != a {
			t.Fatalf("%q is stored as %q", a, stored)
		}
	}
}

func TestTimesComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		at := time.UnixMicro(r.Int64N(1<<58) - 1<<57).UTC()
		if got := readTime(storedTime(at)); !got.Equal(at) && at.Year() > -4713 {
			t.Fatalf("%v came back as %v", at, got)
		}
		day := time.Unix((r.Int64N(1<<22)-1<<21)*86400, 0).UTC()
		if got := readDate(storedDate(day)); !got.Equal(day) && day.Year() > -4713 {
			t.Fatalf("%v came back as %v", day, got)
		}
	}
	for _, at := range []time.Time{timeInfinity, timeMinInfinity} {
		if got := readTime(storedTime(at)); got != at {
			t.Errorf("%v came back as %v", at, got)
		}
	}
	for _, days := range []int64{math.MaxInt32, -math.MaxInt32} {
		at := time.Unix(days*86400, 0).UTC()
		if got := readDate(storedDate(at)); !got.Equal(at) {
			t.Errorf("%v came back as %v", at, got)
		}
	}
}
