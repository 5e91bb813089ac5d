package faults

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pinflow/pinflow/internal/realtest"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/kafka"
	"github.com/pinflow/pinflow/lake/folder"
	"github.com/pinflow/pinflow/web"
)

// TestFullDisk fills the disk under a pinflow whose journal, lake and store are all its own, and gives it room again: first while it runs, then it is killed while
// there is none. Posts that cannot be kept are refused meanwhile.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	w := bareWorld(t, "--log-period", "5s")
	disk := w.mount(256 << 20)
	data := filepath.Join(disk, "data")
	w.places = []string{"--data", data}
	up := &process{dir: w.dir, name: "up-1", env: os.Environ()}
	up.args = append([]string{"up", "--data", data, "--pipeline", w.pipeline, "--http", "127.0.0.1:0", "--kafka-listen", "127.0.0.1:0"}, w.timing...)
	w.processes["up-1"] = up
	up.start(t)
	p := w.post(4, 200, 1)
	for round := range 2 {
		before := p.acknowledged()
		eventually(t, "posts are acknowledged", func() bool { return p.acknowledged() > before+200 })
		free := fill(t, disk)
		eventually(t, "posts are refused", func() bool {
			status, header, _ := up.answers(http.MethodPost, "/pin/", string(newRows(98, nil).newPin()))
			return status == http.StatusServiceUnavailable && header.Get("Retry-After") != ""
		})
		rest(t.Context(), 2*time.Second)
		if up.hasEnded() {
			t.Fatalf("it ended on a full disk: %v\n%s", up.how(), up.tail())
		}
		if round == 1 {
			up.kill()
		}
		free()
		if round == 1 {
			up.start(t)
		}
	}
	before := p.acknowledged()
	eventually(t, "posts are acknowledged again", func() bool { return p.acknowledged() > before+200 })
	p.end(t)
	lake, err := folder.Open(filepath.Join(data, "lake"))
	must(t, err)
	defer lake.Close()
	w.objects = lake
	eventually(t, "all is counted, and in the lake", func() bool {
		code, _, text := up.answers(http.MethodGet, "/api/status", "")
		var s web.Status
		if code != http.StatusOK || json.Unmarshal([]byte(text), &s) != nil || s.Lag == nil || *s.Lag > 0 {
			return false
		}
		ends, err := w.lakeEnds(t.Context())
		all := int64(0)
		for _, end := range ends {
			all += end
		}
		return err == nil && all == s.Counted
	})
	w.metricsAreExact()
	w.stopAll()
	w.openJournal(data)
	w.checkAtRest(p.receipts)
}

// openJournal opens a copy of the embedded journal of a data folder in which nobody works: the commands that follow open the journal itself.
func (w *world) openJournal(data string) {
	t := w.t
	t.Helper()
	dir := filepath.Join(w.dir, "journal")
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join(data, "journal"))))
	broker, err := embedded.Open(t.Context(), embedded.Options{Dir: dir, Listen: "127.0.0.1:0"})
	must(t, err)
	t.Cleanup(func() { broker.Close() })
	w.journal, err = kafka.Open(t.Context(), kafka.Options{Brokers: []string{broker.Addr()}})
	must(t, err)
	t.Cleanup(func() { w.journal.Close() })
}

// mount makes a disk of a size.
func (w *world) mount(size int) string {
	w.t.Helper()
	disk := filepath.Join(w.dir, "disk")
	must(w.t, os.Mkdir(disk, 0o700))
	if err := unix.Mount("pinflow", disk, "tmpfs", 0, "size="+strconv.Itoa(size)); err != nil {
		realtest.Missing(w.t, "test of a full disk: mounting one needs root: %v", err)
	}
	w.t.Cleanup(func() { must(w.t, unix.Unmount(disk, unix.MNT_DETACH)) })
	return disk
}

// fill takes all the room there is on a disk, until free is called.
func fill(t testing.TB, disk string) (free func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(disk, "filler"))
	must(t, err)
	defer f.Close()
	for size := 1 << 20; size > 0; { // to the last byte
		if _, err = f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() { must(t, os.Remove(f.Name())) }
}
