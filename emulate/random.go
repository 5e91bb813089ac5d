package emulate

import (
	"math/rand/v2"
	"time"
)

// RandomPins is how the original's emulator posts: without end, a random pin out of the 11,000 of Pins(seed)
// each time, after a pause of 0 or 1 s at random. The same seed gives the same sequence.
func RandomPins(seed uint64) Rows {
	return &randomPins{
		pins: Pins(seed, pinsOfOriginal),
		rand: rand.New(rand.NewPCG(seed, seed)),
	}
}

type randomPins struct {
	pins [][]byte
	rand *rand.Rand
}

func (r *randomPins) Next() (Row, error) {
	pause := time.Duration(r.rand.IntN(2)) * time.Second
	return Row{JSON: r.pins[r.rand.IntN(len(r.pins))], Pause: pause}, nil
}

func (r *randomPins) Close() error { return nil }
