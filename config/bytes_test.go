package config

import (
	"math/rand/v2"
	"testing"
)

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{
		"0": 0, "12": 12, "12B": 12, "1KiB": 1024, "256MiB": 256 << 20, "256 mib": 256 << 20, " 3GiB ": 3 << 30, "1TiB": 1 << 40, "5kB": 5000, "5 MB": 5e6, "2GB": 2e9, "1TB": 1e12,
		"9223372036854775807": 1<<63 - 1,
		"":                    -1, "MiB": -1, "-1": -1, "-1MiB": -1, "1.5GiB": -1, "1M": -1, "1K": -1, "1 Mi": -1, "1MiBB": -1, "x": -1, "8388608TiB": -1, "9223372036854775808": -1, "1e3": -1, "0x10": -1,
	} {
		got := Bytes(-1)
		if err := got.UnmarshalText([]byte(text)); (err == nil) != (want >= 0) || got != want {
			t.Errorf("%q: %d %v", text, got, err)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		want := Bytes(r.Int64() >> r.IntN(63) << r.IntN(40) & (1<<62 - 1))
		text, _ := want.MarshalText()
		var got Bytes
		if err := got.UnmarshalText(text); err != nil || got != want {
			t.Fatalf("%d is written %s and read as %d: %v", want, text, got, err)
		}
	}
}
