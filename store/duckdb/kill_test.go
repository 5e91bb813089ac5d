package duckdb_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/duckdb"
)

// childVar tells a run of this test binary that it is the child that is going to be killed.
const childVar = "PINFLOW_TEST_STORE"

// TestKilledInCommit kills a process while it commits, merges and checkpoints: what it had committed is there, whole, and
// what it had not has left nothing.
func TestKilledInCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	r := rand.New(rand.NewPCG(9, 9))
	for round := range 10 {
		told := killAfter(t, path, 1+r.IntN(25), time.Duration(r.IntN(30000))*time.Microsecond)
		p := &place{path: path, options: duckdb.Options{Recent: 50, WAL: 64 << 10}}
		s := p.open(t)
		positions, err := s.Positions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at := positions[pinflow.TopicPartition{Topic: "orders"}].NextOffset
		if at < told {
			t.Errorf("round %d: position %d, but the commit of %d had returned", round, at, told)
		}
		for _, sql := range []string{"SELECT n FROM totals", "SELECT count(*) FROM things", "SELECT sum(n) FROM words"} {
			result, err := s.Query(t.Context(), pinflow.Query{SQL: sql})
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(result.Rows[0][0]); got != strconv.FormatInt(at, 10) {
				t.Errorf("round %d: %s is %s, the position %d", round, sql, got, at)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter runs the child, kills it some time after so many commits, and returns up to where it had reported commits.
func killAfter(t *testing.T, path string, commits int, later time.Duration) (told int64) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.count=1")
	child.Env = append(os.Environ(), childVar+"="+path)
	return kill(t, child, commits, later)
}

// kill starts a child and kills it some time after so many reports of where it stands.
func kill(t *testing.T, child *exec.Cmd, commits int, later time.Duration) (told int64) {
	t.Helper()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	reports := bufio.NewReader(out)
	for n := 0; ; n++ {
		var at int64
		if err := binary.Read(reports, binary.LittleEndian, &at); err == nil {
			told = at
		} else if n < commits {
			rest, _ := io.ReadAll(reports)
			t.Fatalf("the child ended by itself: %v, %s", err, rest)
		} else {
			break
		}
		if n == commits {
			time.AfterFunc(later, func() { _ = child.Process.Kill() })
		}
	}
	_ = child.Wait() // it was killed
	return told
}

// TestChild is the child of TestKilledInCommit: it commits until it is killed. Run by itself, it does nothing.
func TestChild(t *testing.T) {
	path := os.Getenv(childVar)
	if path == "" {
		return // nobody's child
	}
	p := &place{path: path, options: duckdb.Options{Recent: 50, WAL: 64 << 10}}
	s := p.open(t)
	plan := smallPlan()
	if err := s.Prepare(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	tp := pinflow.TopicPartition{Topic: "orders"}
	claimed, err := s.Claim(t.Context(), plan.Generation, map[pinflow.TopicPartition]int64{tp: 0})
	if err != nil {
		t.Fatal(err)
	}
	for at := claimed[tp].NextOffset; ; {
		size := 1 + at%97
		d := smallDelta(plan, tp, at, at+size)
		if err := s.Commit(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		at += size
		if err := binary.Write(os.Stdout, binary.LittleEndian, at); err != nil {
			t.Fatal(err)
		}
	}
}
