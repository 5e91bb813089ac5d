// Package realtest finds what tests of real rows and real services need. Where it is
// not at hand a test is skipped with a line that says how to run it; in CI that is a failure.
package realtest

import (
	"os"
	"path/filepath"
	"testing"
)

// Data returns the folder of real rows (pins.ndjson, emulator_sequence.csv).
func Data(t testing.TB) string {
	return folder(t, "PINFLOW_TEST_ROWS", "pins.ndjson", "real rows")
}

// Stack returns the folder of the scripts that install and start the real services.
func Stack(t testing.TB) string {
	return folder(t, "PINFLOW_TEST_STACK", "stack.sh", "real services")
}

func folder(t testing.TB, env, holds, what string) string {
	t.Helper()
	dir := os.Getenv(env)
	_, err := os.Stat(filepath.Join(dir, holds))
	if dir != "" && err == nil {
		return dir
	}
	say := t.Skipf
	if os.Getenv("CI") == "true" {
		say = t.Fatalf
	}
	say("test of %s: set %s to the folder that holds %s to run it", what, env, holds)
	return ""
}
