// Package realtest finds what tests of real rows and real services need. Where it is
// not at hand a test is skipped with a line that says how to run it; in CI that is a failure.
package realtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Data returns the folder of real rows (pins.ndjson, emulator_sequence.csv).
func Data(t testing.TB) string {
	return folder(t, "PINFLOW_TEST_ROWS", "pins.ndjson", "real rows")
}

// Service installs or starts a real service (verb "install" or "start", which may be repeated) by its script
// (kafka.sh, postgres.sh) and returns the script's path, for its other verbs.
func Service(t testing.TB, script, verb string) string {
	t.Helper()
	path := filepath.Join(folder(t, "PINFLOW_TEST_STACK", "stack.sh", "real services"), script)
	if out, err := exec.CommandContext(t.Context(), "bash", path, verb).CombinedOutput(); err != nil {
		Missing(t, "%s %s: %v (set STACK_DIR to a folder that it can write to)\n%s", script, verb, err, out)
	}
	return path
}

var (
	givenLock sync.Mutex
	given     = map[int]bool{} // ports
)

// FreePort returns a port of 127.0.0.1 at which nobody listens, for a process that is to listen there some time later: no other call returns it, and
// it is below those that the system gives to whoever connects or asks for any.
func FreePort(t testing.TB) int {
	t.Helper()
	givenLock.Lock()
	defer givenLock.Unlock()
	for range 1000 {
		port := 20_000 + rand.IntN(12_000)
		if given[port] {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			given[port] = true
			return port
		}
	}
	t.Fatal("there is no free port")
	return 0
}

// Missing skips the test, since what it needs is not at hand; in CI it fails it.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

func folder(t testing.TB, env, holds, what string) string {
	t.Helper()
	dir := os.Getenv(env)
	_, err := os.Stat(filepath.Join(dir, holds))
	if dir != "" && err == nil {
		return dir
	}
	Missing(t, "test of %s: set %s to the folder that holds %s to run it", what, env, holds)
	return ""
}
