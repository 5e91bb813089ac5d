package laketest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
)

// Draft makes a record of the kinds that a lake must keep: plain values, others, tombstones, keys and headers or none.
func Draft(random *rand.Rand, tp pinflow.TopicPartition, timestamp int64) pinflow.Record {
	r := pinflow.Record{Topic: tp.Topic, Partition: tp.Partition, Timestamp: timestamp}
	if random.IntN(3) > 0 {
		r.Key = fmt.Appendf(nil, "key %d", random.IntN(9))
	}
	if random.IntN(4) == 0 {
		r.Headers = []pinflow.Header{{Key: "h", Value: []byte("v")}}
	}
	switch random.IntN(8) {
	case 0:
		r.Value = []byte(`{"not":"JSON`)
	case 1:
		r.Value = fmt.Appendf(nil, `{"_offset":%d}`, random.IntN(9))
	case 2:
		r.Value = nil
	case 3:
		r.Value = []byte(" { } ")
	default:
		r.Value = fmt.Appendf(nil, `{"n": %d, "text": "%x"}`, random.IntN(1e6), make([]byte, random.IntN(200)))
	}
	return r
}

// Writer runs a writer on a place of objects, which open makes anew: it fills, is restarted, meets another that has
// the same partitions, and must leave a lake that Check finds whole.
func Writer(t *testing.T, open func(t testing.TB) pinflow.Objects) {
	WriterOn(t, func(t testing.TB) (used, seen pinflow.Objects) {
		o := open(t)
		return o, o
	})
}

// WriterOn is Writer on a place that the writers see otherwise, as one that fails now and then, than the test that looks at what they did.
func WriterOn(t *testing.T, open func(t testing.TB) (used, seen pinflow.Objects)) {
	t.Run("fills", func(t *testing.T) {
		used, seen := open(t)
		fills(t, used, seen)
	})
	t.Run("two at once", func(t *testing.T) {
		used, seen := open(t)
		twoAtOnce(t, used, seen)
	})
}

const (
	testTopic  = "Posts.of-pins_1"
	testLength = time.Second
)

// fill appends n records whose time goes on over some periods.
func fill(j *Journal, random *rand.Rand, clock *int64, n int) {
	for range n {
		*clock += random.Int64N(50) - 5
		tps := j.Partitions()
		j.Append(Draft(random, tps[random.IntN(len(tps))], *clock))
	}
}

// start runs a writer; the returned function ends it and waits.
func start(t testing.TB, j *Journal, objects pinflow.Objects) (w *lake.Writer, stop func()) {
	t.Helper()
	w, err := lake.NewWriter(lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{testTopic},
		PeriodLength: pinflow.PeriodLength(testLength), FlushAge: 20 * time.Millisecond, FlushCount: 40})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return w, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// reached waits until the lake has all that the journal has.
func reached(t testing.TB, j *Journal, objects pinflow.Objects) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		err := Check(t.Context(), j, objects, testTopic, testLength, true)
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func fills(t *testing.T, used, seen pinflow.Objects) {
	j := NewJournal(1, 0)
	j.Create(testTopic, 2)
	random, clock := rand.New(rand.NewPCG(1, 2)), int64(1_790_000_000_000)
	for range 3 {
		fill(j, random, &clock, 300)
		_, stop := start(t, j, used)
		reached(t, j, seen) // by age alone
		fill(j, random, &clock, 300)
		stop()
		if err := Check(t.Context(), j, seen, testTopic, testLength, false); err != nil {
			t.Fatal(err)
		}
	}
	_, stop := start(t, j, used)
	reached(t, j, seen)
	stop()
}

func twoAtOnce(t *testing.T, used, seen pinflow.Objects) {
	j := NewJournal(2, 0)
	j.Create(testTopic, 3)
	random, clock := rand.New(rand.NewPCG(3, 4)), int64(1_790_000_000_000)
	_, stopA := start(t, j, used)
	_, stopB := start(t, j, used)
	for range 40 {
		fill(j, random, &clock, 30)
		tps := j.Partitions()
		switch random.IntN(3) {
		case 0:
			j.Rebalance()
		case 1:
			j.Steal(tps[random.IntN(len(tps))], 30*time.Millisecond)
		default:
			j.AssignAgain(tps[random.IntN(len(tps))])
		}
		<-time.After(time.Duration(random.IntN(10)) * time.Millisecond)
	}
	stopA()
	reached(t, j, seen)
	stopB()
	if err := Check(t.Context(), j, seen, testTopic, testLength, true); err != nil {
		t.Error(err)
	}
}
