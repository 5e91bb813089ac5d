package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/kafka"
)

// TestBatchKilled lets a batch that is 100 periods behind, and in whose store nothing has ever been counted live, be killed again and again. What it
// has made at last is exact; the live half goes on from there.
func TestBatchKilled(t *testing.T) {
	data := dataFolder(t)
	last := fillJournal(t, data, 100)
	r := rand.New(rand.NewPCG(20, 26))
	batch := []string{"batch", "--data", data, "--log-period", "1s", "--seal-grace", "1s", "--to", last}
	for range rounds(t) {
		args := batch
		if r.IntN(4) == 0 {
			args = append(args[:len(args):len(args)], "--rerun")
		}
		killAfter(t, time.Duration(50+r.IntN(2500))*time.Millisecond, args...)
	}
	command(t, batch...)
	report := auditOf(t, exitDone, "--data", data, "--deep")
	installed := map[string]bool{}
	for _, c := range report.Counts {
		if c.State == pinflow.InstalledPeriod {
			installed[c.Period] = true
		}
	}
	if len(installed) != 100 {
		t.Errorf("%d periods are installed, want 100", len(installed))
	}
	again := command(t, append(batch, "--output", "csv")...)
	if strings.Count(again, "\n") != strings.Count(again, "it was installed already\n")+1 {
		t.Errorf("the batch did something again:\n%s", again)
	}

	p := start(t, data, "up", "--seal-grace", "1s", "--lake-flush", "100ms")
	if _, err := emulate.Run(t.Context(), emulate.Options{To: p.info.HTTP + "/pin/", Seed: 9, Count: 200, Rate: 400}); err != nil {
		t.Fatal(err)
	}
	waitUntilCounted(t, p, pins)
	p.interrupt()
	a := readAftermath(t, data, pins)
	a.lakeHolds(pins)
	a.metricsAreExact()
	auditOf(t, exitDone, "--data", data, "--deep")
}

// fillJournal appends posts over so many log periods of a second, the last of them just over, to a journal that nobody reads. Some periods have
// one post, some none; the first and the last have some. It returns the last one's name.
func fillJournal(t *testing.T, data string, periods int) string {
	t.Helper()
	var clock atomic.Int64
	first := time.Now().Add(-time.Duration(periods+9) * time.Second).Truncate(time.Second)
	broker, err := embedded.Open(t.Context(), embedded.Options{Dir: filepath.Join(data, "journal"), Listen: "127.0.0.1:0", Clock: func() time.Time { return time.UnixMilli(clock.Load()) }})
	must(t, err)
	defer broker.Close()
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{broker.Addr()}})
	must(t, err)
	defer j.Close()
	clock.Store(first.UnixMilli())
	_, err = j.EnsureTopic(t.Context(), pins, 1)
	must(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	posts := emulate.Pins(4, 400)
	for n := range periods {
		clock.Store(first.UnixMilli() + int64(n)*1000 + int64(r.IntN(900)))
		count := []int{0, 1, 1, 3, 12, 25}[r.IntN(6)]
		if n == 0 || n == periods-1 {
			count = 3
		}
		var drafts []pinflow.Draft
		for range count {
			drafts = append(drafts, pinflow.Draft{Topic: pins, Partition: pinflow.AnyPartition, Value: posts[r.IntN(len(posts))]})
		}
		for _, receipt := range j.Append(t.Context(), drafts) {
			must(t, receipt.Err)
		}
	}
	length := pinflow.PeriodLength(time.Second)
	return length.Name(length.Of(first.UnixMilli()+int64(periods-1)*1000, pinflow.NoPeriod))
}

// killAfter runs pinflow and kills it after a while, if it has not ended by then.
func killAfter(t *testing.T, d time.Duration, args ...string) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asMain+"=1")
	out := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	must(t, cmd.Start())
	timer := time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil && !strings.Contains(err.Error(), "killed") {
		t.Fatalf("pinflow %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
