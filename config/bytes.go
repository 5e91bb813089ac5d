package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
)

// Bytes is a size. It is written 256MiB (1024 based), 256MB (1000 based) or as a plain number of bytes.
type Bytes int64

// unit is a unit of size.
type unit struct {
	name string
	size int64
}

// units returns the units, none before one that it ends with, 1024 based ones from the largest first.
func units() []unit {
	return []unit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
	}
}

// UnmarshalText reads a size; anything else is an Invalid error.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, size := strings.TrimSpace(string(text)), int64(1)
	for _, u := range units() {
		if n := len(number) - len(u.name); n > 0 && strings.EqualFold(number[n:], u.name) {
			number, size = strings.TrimSpace(number[:n]), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/size {
		return &pinflow.Error{Op: "read the size", On: strconv.Quote(string(text)), Kind: pinflow.Invalid,
			Err: fmt.Errorf("that is no size"), Hint: "Write a whole number and a unit, such as 256MiB."}
	}
	*b = Bytes(n * size)
	return nil
}

// MarshalText writes a size as String does.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// String writes a size in the largest 1024-based unit that does so exactly, else in bytes.
func (b Bytes) String() string {
	for _, u := range units()[:4] {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}
