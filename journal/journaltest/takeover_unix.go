//go:build unix

package journaltest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/pinflow/pinflow"
)

// takeoverWithin is how soon others have what a member had that is not heard of any more.
const takeoverWithin = 15 * time.Second

// testTakeover lets members in processes of their own join, leave, be killed, and be paused until they count as gone. What they take is
// fenced as stores do it: each record counts once, none comes to a member after its partition was taken from it, and what those had who
// are gone is others' in time.
func testTakeover(t *T) {
	const partitions = 6
	topic := t.topic(partitions)
	c := t.crew(topic)
	appending, stop := context.WithCancel(t.ctx)
	var appender sync.WaitGroup
	ends := make([]int64, partitions)
	appender.Go(func() { t.keepAppending(appending, topic, ends) })
	defer appender.Wait()
	defer stop()

	killed, paused := c.join("killed"), c.join("paused")
	c.within(takeoverWithin, "two members share the partitions", func() bool { return c.fair(partitions) && killed.has() > 0 })
	third, leaves := c.join("third"), c.join("leaves")
	c.within(takeoverWithin, "four members share them", func() bool { return c.fair(partitions) && leaves.has() > 0 })

	killed.gone(true)
	paused.gone(true)
	t.must(paused.cmd.Process.Signal(syscall.SIGSTOP))
	t.must(killed.cmd.Process.Kill())
	took := c.within(takeoverWithin, "two of them have all", func() bool { return c.covered(partitions) })
	t.Logf("taken over within %s: %s", took, c.state())

	t.must(leaves.cmd.Process.Signal(os.Interrupt))
	took = c.within(takeoverWithin, "one that leaves hands over", func() bool { return third.has() == partitions })
	t.Logf("handed over within %s: %s", took, c.state())

	t.must(paused.cmd.Process.Signal(syscall.SIGCONT))
	c.within(takeoverWithin, "one that was paused learns what it has lost", paused.hasLost)
	paused.gone(false)
	last := c.join("last")
	c.within(takeoverWithin, "three share them", func() bool { return c.fair(partitions) && last.has() > 0 && paused.has() > 0 })

	stop()
	appender.Wait()
	c.within(t.Patience, "all is taken", func() bool { return c.reached(ends) })
	for _, m := range []*mate{paused, third, last} {
		t.must(m.cmd.Process.Signal(os.Interrupt))
	}
	c.within(takeoverWithin, "all have left", func() bool { return paused.hasLeft() && third.hasLeft() && last.hasLeft() })
	t.Logf("%d times somebody took what another had taken", c.fenced)
}

// keepAppending appends to all partitions until ctx ends, and notes where they end.
func (t *T) keepAppending(ctx context.Context, topic string, ends []int64) {
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		drafts := make([]pinflow.Draft, len(ends))
		for p := range drafts {
			drafts[p] = pinflow.Draft{Topic: topic, Partition: int32(p), Value: fmt.Append(nil, n)}
		}
		for p, r := range t.Journal.Append(t.ctx, drafts) {
			if r.Err != nil {
				t.Error(r.Err)
				return
			}
			ends[p] = r.Offset + 1
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
	}
}

func (t *T) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
