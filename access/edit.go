package access

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pinflow/pinflow"
)

// Create adds a key to the file at path, which is made if it is missing, and returns it with its text. Two processes can do so at once.
func Create(path, name string, s Scope, expires, now time.Time) (Key, string, error) {
	if err := checkName(name); err != nil {
		return Key{}, "", err
	}
	if !expires.IsZero() && !expires.After(now) {
		return Key{}, "", &pinflow.Error{Op: "make a key", On: name, Kind: pinflow.Invalid, Err: errors.New("it would have expired already")}
	}
	var made Key
	var text string
	err := edit(path, func(keys []Key) ([]Key, error) {
		for made.ID == "" || slices.ContainsFunc(keys, func(k Key) bool { return k.ID == made.ID }) {
			made, text = newKey(name, s, now.UTC().Truncate(time.Second), expires.UTC().Truncate(time.Second))
		}
		return append(keys, made), nil
	})
	return made, text, err
}

// Revoke takes the key with the id out of the file at path: NotFound if there is none.
func Revoke(path, id string) error {
	return edit(path, func(keys []Key) ([]Key, error) {
		left := slices.DeleteFunc(slices.Clone(keys), func(k Key) bool { return k.ID == id })
		if len(left) == len(keys) {
			return nil, &pinflow.Error{Op: "revoke key", On: id, Kind: pinflow.NotFound, Err: errors.New(path + " has no key of that id"), Hint: "pinflow key list shows the ids."}
		}
		return left, nil
	})
}

// edit replaces the keys in a file, with a lock on its folder so that nobody else does so meanwhile.
func edit(path string, change func([]Key) ([]Key, error)) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fileError("write keys to", path, err)
	}
	lock, err := os.Open(dir)
	if err != nil {
		return fileError("write keys to", path, err)
	}
	defer lock.Close() // and with it the lock
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		return fileError("lock the folder of", path, os.NewSyscallError("flock", err))
	}
	keys, err := List(path)
	if err != nil {
		return err
	}
	if keys, err = change(keys); err != nil {
		return err
	}
	return write(path, lock, keys)
}

// write puts the keys in place of those in the file, for good. A new file is for its owner only.
func write(path string, dir *os.File, keys []Key) error {
	content := fileOfKeys{Keys: make([]storedKey, len(keys))}
	for i, k := range keys {
		content.Keys[i] = storedKey{k.ID, k.Name, k.Scope.Names(), k.Created, nil, hex.EncodeToString(k.hash[:])}
		if !k.Expires.IsZero() {
			content.Keys[i].Expires = &k.Expires
		}
	}
	text, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return fileError("write keys to", path, err)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // with mode 0600
	if err != nil {
		return fileError("write keys to", path, err)
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, inherit(f, path, dir), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fileError("write keys to", path, errors.Join(err, ignoreMissing(os.Remove(f.Name()))))
	}
	return ignoreUnsupported(dir.Sync())
}

// inherit gives f the mode and the owner of the file at path, or the owner of its folder if there is none yet: keys that root makes must be read by
// the user that Pinflow runs as.
func inherit(f *os.File, path string, dir *os.File) error {
	like, err := os.Stat(path)
	if err == nil {
		err = f.Chmod(like.Mode().Perm() &^ 0o133)
	} else if errors.Is(err, fs.ErrNotExist) {
		like, err = dir.Stat()
	}
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	if owner, ok := like.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ignoreUnsupported forgives file systems on which a folder can't be synced.
func ignoreUnsupported(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}
