package laketest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/pinflow/pinflow"
)

const (
	killedVariable = "PINFLOW_LAKETEST_KILLED"
	kills          = 12
	killedSize     = 60_000
)

// Killed kills processes that replace an object over and over: whenever that is, the object is one of those they put, whole, and nothing else is listed. They are
// this test's own binary, as those of Processes are.
func Killed(t *testing.T, open func(t testing.TB) pinflow.Objects, reopen func(url string) (pinflow.Objects, error)) {
	if url := os.Getenv(killedVariable); url != "" {
		replaceForever(t, url, reopen)
		return
	}
	o := open(t)
	for n := range kills {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		c.Env = append(os.Environ(), killedVariable+"="+o.String())
		told, err := c.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		replaced := bufio.NewScanner(told)
		for range 1 + n {
			replaced.Scan() // it has replaced the object once more, and goes on while it is killed
		}
		least, err := strconv.Atoi(replaced.Text())
		if err != nil {
			t.Errorf("the process said %q: %v", replaced.Text(), err)
		}
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
		content := get(t, o, "a/manifest")
		if !whole(content, killedSize) {
			t.Fatalf("after kill %d it is seen in part: %d bytes", n, len(content))
		}
		if is, err := strconv.Atoi(string(content[:8])); err != nil || is < least {
			t.Errorf("after kill %d it holds number %d, %v; %d had been put", n, is, err, least)
		}
		for info, err := range o.List(t.Context(), "", "") {
			if err != nil || info.Name != "a/manifest" {
				t.Errorf("after kill %d there is %v, %v", n, info, err)
			}
		}
	}
}

// replaceForever is what each process does: it tells on standard error how often it has replaced the object.
func replaceForever(t *testing.T, url string, reopen func(url string) (pinflow.Objects, error)) {
	o, err := reopen(url)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		if err := o.Replace(context.Background(), "a/manifest", stamped(n, killedSize)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(os.Stderr, n)
	}
}
