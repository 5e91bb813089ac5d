package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/journaltest"
	"github.com/pinflow/pinflow/journal/kafka"
)

// killedDir makes the test binary the process that is killed: it appends to the journal there.
const killedDir = "PINFLOW_TEST_KILLED_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		if err := appendForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(journaltest.Main(m, func(ctx context.Context, brokers string) (journaltest.Journal, error) {
		return kafka.Open(ctx, kafka.Options{Brokers: []string{brokers}})
	}))
}

const killedPartitions = 3

// options make small segments, so that many begin and end.
func killedOptions(dir string) embedded.Options {
	return embedded.Options{Dir: dir, Listen: "127.0.0.1:0", RetentionBytes: 3 << 20, SegmentBytes: 256 << 10}
}

// appendForEver appends from many callers, bulks and single records, and trims. Each receipt is a line, written
// once the record is acknowledged; each trim is one before it begins.
func appendForEver(dir string) error {
	ctx := context.Background()
	b, err := embedded.Open(ctx, killedOptions(dir))
	if err != nil {
		return err
	}
	j, err := kafka.Open(ctx, kafka.Options{Brokers: []string{b.Addr()}})
	if err != nil {
		return err
	}
	if _, err := j.EnsureTopic(ctx, "killed", killedPartitions); err != nil {
		return err
	}
	var mu sync.Mutex // of acked
	acked := map[pinflow.TopicPartition]int64{}
	failed := make(chan error)
	for caller := range 12 {
		go func() {
			rng := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(caller)))
			for i := 0; ; {
				var drafts []pinflow.Draft
				for range 1 + rng.IntN(4)*rng.IntN(40) {
					value := fmt.Sprintf("%d/%d/%d%s", os.Getpid(), caller, i, strings.Repeat(".", rng.IntN(1500)))
					drafts = append(drafts, pinflow.Draft{Topic: "killed", Partition: rng.Int32N(killedPartitions), Value: []byte(value)})
					i++
				}
				var lines strings.Builder
				for k, r := range j.Append(ctx, drafts) {
					if r.Err != nil {
						failed <- r.Err
						return
					}
					name, _, _ := strings.Cut(string(drafts[k].Value), ".")
					fmt.Fprintln(&lines, "ack", r.Partition, r.Offset, name, ".")
					mu.Lock()
					acked[r.TopicPartition] = max(acked[r.TopicPartition], r.Offset)
					mu.Unlock()
				}
				os.Stdout.WriteString(lines.String())
			}
		}()
	}
	for {
		floor := map[pinflow.TopicPartition]int64{}
		mu.Lock()
		for tp, o := range acked {
			floor[tp] = o - 300
		}
		mu.Unlock()
		for tp, o := range floor {
			fmt.Println("trim", tp.Partition, o, "", ".")
		}
		if _, err := b.Trim(ctx, floor); err != nil {
			return err
		}
		select {
		case err := <-failed:
			return err
		default:
		}
	}
}

// TestKill kills the process while it appends and trims. Whatever was acknowledged is there after the next start, at its
// offset and once, unless it had been allowed to be deleted.
func TestKill(t *testing.T) {
	const rounds = 6
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(20261122, 7))
	acked := map[pinflow.Position]string{}
	floor := map[int32]int64{}
	for round := range rounds {
		killAfter(t, dir, 200+rng.IntN(6000), acked, floor)
		b := open(t, killedOptions(dir))
		j := connect(t, b)
		d, err := j.Topic(t.Context(), "killed")
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]pinflow.Position{}
		checked := 0
		for _, p := range d.Partitions {
			if p.Start > max(floor[p.Partition], 0) {
				t.Errorf("round %d: partition %d starts at %d, but only what was before %d could go", round, p.Partition, p.Start, floor[p.Partition])
			}
			for _, r := range readAll(t, j, pinflow.TopicPartition{Topic: "killed", Partition: p.Partition}, p.Start, p.End) {
				name, _, _ := strings.Cut(string(r.Value), ".")
				if want, ok := acked[r.Position()]; ok && want != name {
					t.Fatalf("round %d: %s has %s, its receipt was for %s", round, r.Position(), name, want)
				}
				if other, twice := found[name]; twice {
					t.Fatalf("round %d: %s lies at %s and at %s", round, name, other, r.Position())
				}
				found[name] = r.Position()
			}
		}
		for at, name := range acked {
			if at.Offset < d.Partitions[at.Partition].Start {
				continue // deleted
			}
			if found[name] != at {
				t.Fatalf("round %d: %s was acknowledged at %s, it is at %v", round, name, at, found[name])
			}
			checked++
		}
		t.Logf("round %d: %d acknowledged records found among %d", round, checked, len(found))
		j.Close()
		if round%2 == 0 {
			b.Close() // else the next start is one after two crashes
		}
	}
}

// killAfter starts a process that appends, and kills it after so many receipts.
func killAfter(t *testing.T, dir string, receipts int, acked map[pinflow.Position]string, floor map[int32]int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), killedDir+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		f := strings.Split(lines.Text(), " ")
		if len(f) != 5 || f[4] != "." {
			break // cut off by the kill
		}
		p, _ := strconv.Atoi(f[1])
		offset, _ := strconv.ParseInt(f[2], 10, 64)
		if f[0] == "trim" {
			floor[int32(p)] = max(floor[int32(p)], offset)
			continue
		}
		acked[pinflow.Position{TopicPartition: pinflow.TopicPartition{Topic: "killed", Partition: int32(p)}, Offset: offset}] = f[3]
		if n++; n == receipts {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || n < receipts {
		t.Fatalf("the process ended by itself after %d receipts: %v %s", n, err, stderr.String())
	}
}

func readAll(t *testing.T, j *kafka.Journal, tp pinflow.TopicPartition, start, end int64) []pinflow.Record {
	t.Helper()
	var all []pinflow.Record
	for next := start; next < end; {
		records, err := j.Read(t.Context(), tp, next, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.Offset != next {
				t.Fatalf("%s: %d where %d was next", tp, r.Offset, next)
			}
			next++
		}
		all = append(all, records...)
	}
	return all
}
