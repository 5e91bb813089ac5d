package embedded_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/journaltest"
	"github.com/pinflow/pinflow/journal/kafka"
)

// open opens a broker, to be closed with the test.
func open(t testing.TB, o embedded.Options) *embedded.Broker {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	b, err := embedded.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// connect connects a client, to be closed with the test.
func connect(t testing.TB, b *embedded.Broker) *kafka.Journal {
	t.Helper()
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{b.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// clock is a broker's time that tests move. It does not move by itself.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ms.Store(time.Date(2026, 11, 22, 23, 59, 0, 0, time.UTC).UnixMilli())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

func TestConformance(t *testing.T) {
	journaltest.Run(t, func(t testing.TB) journaltest.Env {
		c := newClock()
		o := embedded.Options{Dir: t.TempDir(), Clock: c.now, RetentionBytes: 1, SegmentBytes: 1 << 20}
		b := open(t, o)
		j := connect(t, b)
		return journaltest.Env{
			Journal: j,
			Brokers: b.Addr(),
			Advance: c.advance,
			Restart: func(t testing.TB) journaltest.Journal {
				j.Close()
				b.Close()
				b = open(t, o)
				return connect(t, b)
			},
			Trim: func(t testing.TB, tp pinflow.TopicPartition, before int64) int64 {
				if _, err := b.Trim(t.Context(), map[pinflow.TopicPartition]int64{tp: before}); err != nil {
					t.Fatal(err)
				}
				d, err := j.Topic(t.Context(), tp.Topic)
				if err != nil {
					t.Fatal(err)
				}
				return d.Partitions[tp.Partition].Start
			},
		}
	})
}
