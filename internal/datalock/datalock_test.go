package datalock

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pinflow/pinflow"
)

// TestMain lets the test binary be the other process: it takes the folder, says so, and holds it until its input ends.
func TestMain(m *testing.M) {
	dir := os.Getenv("DATALOCK_TEST_HOLD")
	if dir == "" {
		os.Exit(m.Run())
	}
	lock, err := Acquire(dir, Info{HTTP: "http://127.0.0.1:8000", Kafka: "127.0.0.1:9092"})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := lock.Release(); err != nil {
		os.Exit(1)
	}
}

// child is another process that holds dir.
type child struct {
	*exec.Cmd
	in io.Closer
}

func hold(t *testing.T, dir string) child {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "DATALOCK_TEST_HOLD="+dir)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	return child{c, in}
}

// holder is who holds dir, nil for nobody.
func holder(t *testing.T, dir string) *Info {
	t.Helper()
	h, err := Holder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestAnotherProcessHolds(t *testing.T) {
	for name, end := range map[string]func(child) error{
		"ends":   func(c child) error { return c.in.Close() },
		"killed": func(c child) error { return c.Process.Kill() },
	} {
		dir := filepath.Join(t.TempDir(), "made", "if missing")
		if h := holder(t, dir); h != nil {
			t.Errorf("a folder that is not there is held by %v", h)
		}
		before := time.Now()
		c := hold(t, dir)
		h := holder(t, dir)
		if h == nil || h.PID != c.Process.Pid || h.HTTP != "http://127.0.0.1:8000" || h.Kafka != "127.0.0.1:9092" || h.Started.Before(before.Add(-time.Second)) || h.Started.After(time.Now()) {
			t.Errorf("%s: held by %+v", name, h)
		}
		lock, err := Acquire(dir, Info{})
		if lock != nil || pinflow.KindOf(err) != pinflow.Exists {
			t.Fatalf("%s: a second one got %v, %v", name, lock, err)
		}
		for _, want := range []string{dir, fmt.Sprintf("process %d since 20", c.Process.Pid), "at http://127.0.0.1:8000", "--http http://127.0.0.1:8000"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in %v", name, want, err)
			}
		}
		if err := end(c); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if h := holder(t, dir); h != nil {
			t.Errorf("%s: still held by %v", name, h)
		}
		lock, err = Acquire(dir, Info{})
		if err != nil {
			t.Fatal(name, err)
		}
		if h := holder(t, dir); h == nil || h.PID != os.Getpid() || h.HTTP != "" {
			t.Errorf("%s: now held by %+v", name, h)
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	}
}

func TestUpdateAndRelease(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	lock, err := Acquire(dir, Info{HTTP: "http://127.0.0.1:" + strings.Repeat("1", 300)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(dir, Info{}); pinflow.KindOf(err) != pinflow.Exists {
		t.Errorf("the same process twice: %v", err)
	}
	first := holder(t, dir)
	for _, info := range []Info{{HTTP: "http://127.0.0.1:1"}, {Kafka: "127.0.0.1:2"}, {Secret: "hush", Certificate: "ab"}, {Certificate: "cd"}} {
		if err := lock.Update(info); err != nil {
			t.Fatal(err)
		}
	}
	want := Info{PID: os.Getpid(), HTTP: "http://127.0.0.1:1", Kafka: "127.0.0.1:2", Started: first.Started, Secret: "hush", Certificate: "cd"}
	if h := holder(t, dir); *h != want || strings.Contains(fmt.Sprintf("%v %+v", h, *h), "hush") {
		t.Errorf("held by %+v, want %+v", h, want)
	}
	if info, err := os.Stat(filepath.Join(dir, fileName)); err != nil || info.Mode() != 0o600 {
		t.Errorf("others can read it: %v %v", info.Mode(), err)
	}
	if err := lock.Update(Info{HTTP: strings.Repeat("x", contentSize)}); err == nil {
		t.Error("an address that does not fit is taken")
	}
	for range 2 {
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	}
	if h := holder(t, dir); h != nil {
		t.Errorf("released, but held by %v", h)
	}
}

// TestWhatAKilledProcessLeftIsNotTheNextOne: one that has taken the lock and not yet said who it is.
func TestWhatAKilledProcessLeftIsNotTheNextOne(t *testing.T) {
	dir := t.TempDir()
	c := hold(t, dir)
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := own(f); other != nil || err != nil {
		t.Fatal(other, err)
	}
	lock := &Lock{file: f}
	defer lock.Release()
	defer func(d time.Duration) { settling = d }(settling)
	settling = 10 * time.Second // however busy the machine is
	updated := make(chan error, 1)
	time.AfterFunc(10*time.Millisecond, func() { updated <- lock.Update(Info{HTTP: "http://127.0.0.1:3"}) })
	if h := holder(t, dir); h == nil || h.PID != os.Getpid() || h.HTTP != "http://127.0.0.1:3" {
		t.Errorf("held by %+v", h)
	}
	if err := <-updated; err != nil {
		t.Error(err)
	}
}

// TestTheLockWaitsForThoseWhoLook, and is not taken before they have gone.
func TestTheLockWaitsForThoseWhoLook(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if looks, err := try(f, unix.LOCK_SH); !looks || err != nil {
		t.Fatal(err)
	}
	var gone atomic.Bool
	var looker sync.WaitGroup
	looker.Go(func() {
		<-time.After(20 * time.Millisecond)
		gone.Store(true)
		if err := unlock(f); err != nil {
			t.Error(err)
		}
	})
	lock, err := Acquire(dir, Info{})
	if err != nil || !gone.Load() {
		t.Errorf("gone %v: %v", gone.Load(), err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
	looker.Wait()
}

// TestLookingNeverRefusesTheLock: many look and many want it; whoever wants it gets it or is told who has it, and
// never have it two.
func TestLookingNeverRefusesTheLock(t *testing.T) {
	dir := t.TempDir()
	var owners, taken atomic.Int32
	var lookers, takers sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		lookers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := Holder(dir); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 4 {
		takers.Go(func() {
			for n := 0; n < 20; {
				lock, err := Acquire(dir, Info{})
				if pinflow.KindOf(err) == pinflow.Exists {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if owners.Add(1) != 1 {
					t.Error("two own the folder")
				}
				n++
				taken.Add(1)
				owners.Add(-1)
				if err := lock.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	takers.Wait()
	close(done)
	lookers.Wait()
	if taken.Load() != 80 {
		t.Errorf("taken %d times", taken.Load())
	}
}

func TestFoldersThatCannotBeLocked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(file, Info{}); err == nil || pinflow.HintOf(err) == "" || pinflow.KindOf(err) == pinflow.Exists {
		t.Error(err)
	}
	if _, err := Holder(file); err == nil || pinflow.HintOf(err) == "" {
		t.Error(err)
	}
}
