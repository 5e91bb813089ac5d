package laketest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
)

// Sealer fills a place by a writer, seals it by two sealers in turn, of which one is made anew each time, and reads all of it, from seals and from any offset. The place may fail now and
// then: what is Unavailable is tried again.
func Sealer(t *testing.T, open func(t testing.TB) pinflow.Objects) {
	objects := open(t)
	j := NewJournal(6, 0)
	j.Create(testTopic, 2)
	random, clock := rand.New(rand.NewPCG(6, 6)), int64(1_790_000_000_000)
	o := lake.SealerOptions{Objects: objects, Journal: j, Topics: []string{testTopic}, Clock: func() time.Time { return time.UnixMilli(clock).Add(3 * testLength) }}
	lasting, err := lake.NewSealer(o)
	if err != nil {
		t.Fatal(err)
	}
	sealed := 0
	for round := range 4 {
		fill(j, random, &clock, 150)
		_, stop := start(t, j, objects)
		reached(t, j, objects)
		stop()
		sealer := lasting
		if round%2 == 1 {
			if sealer, err = lake.NewSealer(o); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, func() error {
			st, err := sealer.Seal(t.Context())
			sealed += len(st.Sealed)
			return err
		})
		eventually(t, func() error { return CheckSeals(t.Context(), j, objects, []string{testTopic}, testLength, true, true) })
		clock += 5 * testLength.Milliseconds() // the grace is over: what comes is of another period
	}
	if sealed == 0 {
		t.Error("nothing was sealed")
	}
}

// eventually does something again for as long as its place is not available.
func eventually(t testing.TB, do func() error) {
	t.Helper()
	if err := persist(do); err != nil {
		t.Fatal(err)
	}
}

// persist is eventually for goroutines that are not the test's.
func persist(do func() error) error {
	deadline := time.Now().Add(time.Minute)
	for {
		err := do()
		if err == nil || pinflow.KindOf(err) != pinflow.Unavailable || time.Now().After(deadline) {
			return err
		}
	}
}
