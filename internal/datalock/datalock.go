// Package datalock sees to it that one process at a time owns a data folder, and tells others who that is.
//
// The lock is the system's own (flock on the file "lock"), so that it ends with its process however that ends. The file's
// content, JSON, says who holds it; it counts only as long as the lock is held.
package datalock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pinflow/pinflow"
)

// Info is who holds a data folder.
type Info struct {
	PID     int       `json:"pid"`
	HTTP    string    `json:"http,omitempty"`  // the URL of its HTTP API; "" if it has none (yet)
	Kafka   string    `json:"kafka,omitempty"` // host:port of its embedded broker; "" if it has none (yet)
	Started time.Time `json:"started"`
	// Secret is what lets commands of the same user in where keys are needed: who can read the file can read the data. "" if there is none.
	Secret string `json:"secret,omitempty"`
	// Certificate is the SHA-256, in hex, of the certificate that its HTTP API shows; "" for plain HTTP.
	Certificate string `json:"certificate,omitempty"`
}

// String says who it is in words.
func (i Info) String() string {
	if i.PID == 0 {
		return "another process, which is just starting"
	}
	s := fmt.Sprintf("process %d since %s", i.PID, i.Started.UTC().Format(time.RFC3339))
	if i.HTTP != "" {
		s += ", at " + i.HTTP
	}
	return s
}

const (
	fileName = "lock"
	// contentSize is the fixed size of the content. It is written at once, so that readers never see half of it, and
	// padded, so that nothing of a longer one is left.
	contentSize = 1024
	// patience is how long to wait for somebody else who is between two steps that follow each other at once.
	patience = 2 * time.Second
	pause    = time.Millisecond
)

// settling is how long a holder may take from locking to saying who it is. A test makes it long.
var settling = 100 * time.Millisecond

// Lock is a data folder that this process owns.
type Lock struct {
	mu   sync.Mutex
	file *os.File
	info Info
}

// Acquire makes dir if it is missing and takes it. PID and Started of info are filled in if they are zero. If somebody holds dir,
// in this process or another, the error is of kind Exists and says who.
func Acquire(dir string, info Info) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, failure("make", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, failure("lock", dir, err)
	}
	holder, err := own(f)
	if err == nil && holder == nil {
		err = f.Chmod(0o600) // whatever it was: it may hold a secret soon
	}
	if err == nil && holder == nil {
		l := &Lock{file: f}
		if err = l.Update(info); err == nil {
			return l, nil
		}
	}
	defer f.Close()
	if err != nil {
		return nil, failure("lock", dir, err)
	}
	hint := "Stop it first, or name another folder with --data."
	if holder.HTTP != "" {
		hint = "Ask that one (--http " + holder.HTTP + "), stop it first, or name another folder with --data."
	}
	return nil, &pinflow.Error{Op: "lock the data in", On: dir, Kind: pinflow.Exists, Err: fmt.Errorf("%v holds it", *holder), Hint: hint}
}

// Update replaces what others are told, once it is known: an address of a port that was not given. Zero members of
// info keep their values.
func (l *Lock) Update(info Info) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.info.PID == 0 {
		l.info = Info{PID: os.Getpid(), Started: time.Now().UTC().Truncate(time.Millisecond)}
	}
	if info.PID != 0 {
		l.info.PID = info.PID
	}
	if !info.Started.IsZero() {
		l.info.Started = info.Started
	}
	if info.HTTP != "" {
		l.info.HTTP = info.HTTP
	}
	if info.Kafka != "" {
		l.info.Kafka = info.Kafka
	}
	if info.Secret != "" {
		l.info.Secret = info.Secret
	}
	if info.Certificate != "" {
		l.info.Certificate = info.Certificate
	}
	text, err := json.Marshal(l.info)
	if err == nil && len(text) >= contentSize {
		err = errors.New("the addresses are too long")
	}
	if err == nil {
		err = write(l.file, text)
	}
	if err != nil {
		return failure("write who locks", filepath.Dir(l.file.Name()), err)
	}
	return nil
}

func write(f *os.File, text []byte) error {
	content := bytes.Repeat([]byte(" "), contentSize)
	copy(content, text)
	content[contentSize-1] = '\n'
	_, err := f.WriteAt(content, 0)
	return err
}

// Release gives the folder up. Releasing it again does nothing.
func (l *Lock) Release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	// What the next holder has not replaced yet should not be taken for its own.
	err := write(l.file, nil)
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	if err := errors.Join(err, l.file.Close()); err != nil {
		return failure("give up", filepath.Dir(l.file.Name()), err)
	}
	return nil
}

// Holder tells who holds dir, nil if nobody does: what a killed process has left behind does not count.
func Holder(dir string) (*Info, error) {
	f, err := os.Open(filepath.Join(dir, fileName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failure("look who locks", dir, err)
	}
	defer f.Close()
	holder, err := look(f)
	if err != nil {
		return nil, failure("look who locks", dir, err)
	}
	return holder, nil
}

// own takes the lock, or returns who holds it. Who just looks has it for a moment too, but shared.
func own(f *os.File) (*Info, error) {
	for start := time.Now(); time.Since(start) < patience; time.Sleep(pause) {
		taken, err := try(f, unix.LOCK_EX)
		if taken || err != nil {
			return nil, err
		}
		if holder, err := look(f); holder != nil || err != nil {
			return holder, err
		}
	}
	return nil, errors.New("others look at the lock all the time")
}

// look returns who holds the lock, nil if nobody does. A holder that has only just taken it is given the time to say
// who it is; until then there may be nothing, or what a killed process left.
func look(f *os.File) (*Info, error) {
	for start := time.Now(); ; time.Sleep(pause) {
		free, err := try(f, unix.LOCK_SH)
		if free {
			err = unlock(f)
		}
		if free || err != nil {
			return nil, err
		}
		info, err := read(f)
		if err != nil {
			return nil, err
		}
		if info.PID != 0 && alive(info.PID) || time.Since(start) > settling {
			return &info, nil
		}
	}
}

// try takes the lock if that is possible at once.
func try(f *os.File, how int) (bool, error) {
	for {
		switch err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err {
		case nil:
			return true, nil
		case unix.EINTR:
		case unix.EWOULDBLOCK:
			return false, nil
		default:
			return false, os.NewSyscallError("flock", err)
		}
	}
}

func unlock(f *os.File) error {
	return os.NewSyscallError("flock", unix.Flock(int(f.Fd()), unix.LOCK_UN))
}

// read reads the content, zero if there is none.
func read(f *os.File) (Info, error) {
	content := make([]byte, contentSize)
	n, _ := f.ReadAt(content, 0) // io.EOF before the first content
	content = bytes.TrimSpace(content[:n])
	var info Info
	if len(content) == 0 {
		return info, nil
	}
	if err := json.Unmarshal(content, &info); err != nil {
		return info, fmt.Errorf("%s says not who holds it: %w", f.Name(), err)
	}
	return info, nil
}

// alive tells whether there is a process of that id, as far as can be seen from here: not one in another container.
func alive(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }

func failure(what, dir string, err error) error {
	var done *pinflow.Error
	if errors.As(err, &done) {
		return err
	}
	return &pinflow.Error{Op: what + " the data in", On: dir, Err: err, Hint: "Check that the folder is on a local disk and that you may write to it, or name another one with --data."}
}
