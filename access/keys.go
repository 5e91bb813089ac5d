package access

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// lookEvery is how old what is known of a file may be. Whoever needs it then looks again: nothing runs meanwhile.
const lookEvery = 250 * time.Millisecond

// Keys are the keys that count now: those in a file, as it is now, or those of the environment.
type Keys struct {
	path     string // "" for those of the environment
	now      func() time.Time
	needed   atomic.Bool // once keys were needed they stay so: a file that is removed lets nobody in
	current  atomic.Pointer[keySet]
	looking  sync.Mutex
	lookedAt atomic.Int64 // since began
	began    time.Time
}

// keySet is what a file said at a time.
type keySet struct {
	keys map[string]*Key
	err  error       // why nothing is known: nobody has access
	file fs.FileInfo // nil if there was none
}

// OpenKeys reads the keys in the file at path, and again whenever it changes. If they are needed, whoever has none is refused; else
// that begins when there is a file. What is wrong with a file is an error, and later one for all who come with a key.
func OpenKeys(path string, needed bool) (*Keys, error) {
	k := &Keys{path: path, now: time.Now, began: time.Now()}
	k.needed.Store(needed)
	k.look()
	return k, k.current.Load().err
}

// KeysOf reads the text of PINFLOW_KEYS.
func KeysOf(text string) (*Keys, error) {
	k := &Keys{now: time.Now, began: time.Now()}
	k.needed.Store(true)
	keys, err := ListText(text)
	k.current.Store(setOf(keys, err, nil))
	return k, err
}

// Usable returns how many keys have not expired.
func (k *Keys) Usable() int {
	n := 0
	for _, key := range k.set().keys {
		if !key.isExpired(k.now()) {
			n++
		}
	}
	return n
}

// Needed tells whether whoever has no key is refused.
func (k *Keys) Needed() bool {
	if k == nil {
		return false
	}
	if !k.needed.Load() {
		k.set()
	}
	return k.needed.Load()
}

// find returns the key with the id, nil if there is none. The error is why nothing is known.
func (k *Keys) find(id string) (*Key, error) {
	if k == nil {
		return nil, nil
	}
	s := k.set()
	return s.keys[id], s.err
}

// set returns what is known, after another look at the file if it is time for one. Only one looks; all others go on with what is known.
func (k *Keys) set() *keySet {
	if k.path != "" && k.age() >= lookEvery && k.looking.TryLock() {
		if k.age() >= lookEvery {
			k.look()
		}
		k.looking.Unlock()
	}
	return k.current.Load()
}

func (k *Keys) age() time.Duration { return time.Since(k.began) - time.Duration(k.lookedAt.Load()) }

// look reads the file if it is not the one that was read before.
func (k *Keys) look() {
	at := time.Since(k.began)
	known := k.current.Load()
	info, err := os.Stat(k.path)
	switch {
	case err == nil && known != nil && known.err == nil && sameFile(info, known.file):
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		k.current.Store(setOf(nil, nil, nil))
	case err != nil:
		k.current.Store(setOf(nil, fileError("read keys in", k.path, err), nil))
		k.needed.Store(true)
	default: // what changes while it is read has another time than info tells, and is read again
		keys, err := readFile(k.path)
		if errors.Is(err, fs.ErrNotExist) {
			k.current.Store(setOf(nil, nil, nil))
			break
		}
		k.current.Store(setOf(keys, err, info))
		k.needed.Store(true)
	}
	k.lookedAt.Store(int64(at))
}

func setOf(keys []Key, err error, file fs.FileInfo) *keySet {
	s := &keySet{keys: make(map[string]*Key, len(keys)), err: err, file: file}
	for i := range keys {
		s.keys[keys[i].ID] = &keys[i]
	}
	return s
}

func sameFile(a, b fs.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}
