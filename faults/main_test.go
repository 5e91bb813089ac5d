package faults

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rs/zerolog"
)

// built is where the binary goes; build makes it when the first test asks.
var (
	built string
	build = sync.OnceValues(func() ([]byte, error) {
		return exec.Command("go", "build", "-o", built, "../cmd/pinflow").CombinedOutput()
	})
)

func TestMain(m *testing.M) {
	flag.Parse()
	zerolog.SetGlobalLevel(zerolog.Disabled) // the proxies' own words
	// Worlds of processes mostly wait: as many as there are may do so side by side.
	if err := flag.Set("test.parallel", "16"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	dir, err := os.MkdirTemp("", "pinflow-faults-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // PostgreSQL's user goes through it
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built = filepath.Join(dir, "pinflow")
	own.dir = filepath.Join(dir, "stack")
	code := m.Run()
	own.stop()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
