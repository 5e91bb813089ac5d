package refine

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/datalock"
)

// scratch is a folder of a run's own. It is locked, so that others know what a killed run has left.
type scratch struct {
	dir  string
	lock *datalock.Lock
}

const scratchPrefix = "batch-"

// newScratch makes a folder below dir, and removes those there of runs that have ended.
func newScratch(dir string) (*scratch, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, scratchError(dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, scratchError(dir, err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), scratchPrefix) {
			(&scratch{dir: filepath.Join(dir, e.Name())}).removeIfLeft()
		}
	}
	s := &scratch{}
	if err := s.make(dir); err != nil {
		return nil, scratchError(dir, err)
	}
	return s, nil
}

// make makes the folder. It has its name only when it is locked, so that nobody takes it for one that was left.
func (s *scratch) make(dir string) error {
	made, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		return err
	}
	if s.lock, err = datalock.Acquire(made, datalock.Info{}); err != nil {
		return err
	}
	s.dir = filepath.Join(dir, scratchPrefix+strings.TrimPrefix(filepath.Base(made), "new-"))
	return os.Rename(made, s.dir)
}

// removeIfLeft removes a folder that nobody has locked.
func (s *scratch) removeIfLeft() {
	lock, err := datalock.Acquire(s.dir, datalock.Info{})
	if err != nil {
		return
	}
	s.lock = lock
	s.remove()
}

// remove removes the folder. What cannot be removed is left to a later run.
func (s *scratch) remove() {
	_ = os.RemoveAll(s.dir)
	_ = s.lock.Release()
}

// scratchError tells of a folder that cannot be written to.
func scratchError(dir string, err error) error {
	return &pinflow.Error{Op: "make a folder for the batch", On: dir, Err: err, Hint: "Free some space there, or give another folder; the next run goes on from here."}
}
