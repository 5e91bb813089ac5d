package laketest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/pinflow/pinflow"
)

const (
	placeVariable = "PINFLOW_LAKETEST_PLACE"
	workVariable  = "PINFLOW_LAKETEST_WORKER"
	racedNames    = 40
)

// Processes lets several processes put objects of the same names at once; of each, one must win. They are this test's own
// binary, running the calling test alone: so it must be the first thing that the test does. open returns an empty place, reopen the one
// of that URL.
func Processes(t *testing.T, open func(t testing.TB) pinflow.Objects, reopen func(url string) (pinflow.Objects, error)) {
	if url := os.Getenv(placeVariable); url != "" {
		work(t, url, reopen)
		return
	}
	o := open(t)
	const workers = 4
	var answers [workers]bytes.Buffer
	var running []*exec.Cmd
	for w := range workers {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		c.Env = append(os.Environ(), placeVariable+"="+o.String(), fmt.Sprintf("%s=%d", workVariable, w))
		c.Stderr = &answers[w]
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, c)
	}
	winners := map[int][]int{}
	for w, c := range running {
		if err := c.Wait(); err != nil {
			t.Fatalf("%v: %s", err, answers[w].Bytes())
		}
		var won []int
		if err := json.Unmarshal(answers[w].Bytes(), &won); err != nil {
			t.Fatalf("%v: %s", err, answers[w].Bytes())
		}
		for _, n := range won {
			winners[n] = append(winners[n], w)
		}
	}
	for n := range racedNames {
		if len(winners[n]) != 1 {
			t.Errorf("object %d was created by %v", n, winners[n])
		} else if got := get(t, o, racedName(n)); !bytes.Equal(got, stamped(winners[n][0], 5000)) {
			t.Errorf("object %d is not the winner's", n)
		}
	}
}

func racedName(n int) string { return fmt.Sprintf("raw/raced/period=%d/object", n) }

// work is what each process does: it tells on standard error which objects it created.
func work(t *testing.T, url string, reopen func(url string) (pinflow.Objects, error)) {
	o, err := reopen(url)
	if err != nil {
		t.Fatal(err)
	}
	var w int
	if _, err := fmt.Sscan(os.Getenv(workVariable), &w); err != nil {
		t.Fatal(err)
	}
	won := []int{}
	for n := range racedNames {
		created, err := o.PutIfAbsent(context.Background(), racedName(n), stamped(w, 5000))
		if err != nil {
			t.Fatal(err)
		}
		if created {
			won = append(won, n)
		}
	}
	slices.Sort(won)
	text, err := json.Marshal(won)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "%s\n", text)
}
