package access

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pinflow/pinflow"
)

// FileName is what the file of keys is called in a data folder.
const FileName = "keys.json"

const (
	maxFile = 4 << 20 // bytes: some ten thousand keys
	envName = "PINFLOW_KEYS"
)

// fileOfKeys is the content of a file of keys, and of the environment's PINFLOW_KEYS.
type fileOfKeys struct {
	Keys []storedKey `json:"keys"`
}

type storedKey struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Scopes  []string   `json:"scopes"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
	SHA256  string     `json:"sha256"` // of the key's text, in hex
}

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

// List returns the keys in the file at path, oldest first; none if it is missing.
func List(path string) ([]Key, error) {
	keys, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	return keys, err
}

// ListText returns the keys in the text of PINFLOW_KEYS.
func ListText(text string) ([]Key, error) { return parse([]byte(text), envName) }

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

// readFile reads a file of keys. The error is one of os if there is none.
func readFile(path string) ([]Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError("read keys in", path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fileError("read keys in", path, err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, &pinflow.Error{Op: "read keys in", On: path, Kind: pinflow.Invalid, Err: fmt.Errorf("its mode is %04o: others could add a key of theirs", info.Mode().Perm()), Hint: "chmod 600 " + path + " after a look at what is in it."}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("it has more than %d bytes", maxFile)
	}
	if err != nil {
		return nil, fileError("read keys in", path, err)
	}
	return parse(text, path)
}

// parse reads keys strictly: a file that is not understood to its end gives nobody access.
func parse(text []byte, from string) ([]Key, error) {
	bad := func(err error) ([]Key, error) {
		return nil, &pinflow.Error{Op: "read keys in", On: from, Kind: pinflow.Invalid, Err: err, Hint: `Mend it, or put it aside and make the keys anew with pinflow key create. It is written {"keys":[…]}.`}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var content fileOfKeys
	if err := d.Decode(&content); err != nil {
		if err == io.EOF {
			err = errors.New("it is empty")
		}
		return bad(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return bad(errors.New("something follows the JSON object"))
	}
	if content.Keys == nil {
		return bad(errors.New("it has no member keys"))
	}
	keys := make([]Key, len(content.Keys))
	seen := map[string]bool{}
	for i, stored := range content.Keys {
		k, err := stored.key()
		if err == nil && seen[k.ID] {
			err = errors.New("another one has its id")
		}
		if err != nil {
			return bad(fmt.Errorf("key %d (%q): %w", i+1, stored.ID, err))
		}
		seen[k.ID], keys[i] = true, k
	}
	slices.SortStableFunc(keys, func(a, b Key) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return keys, nil
}

func (s storedKey) key() (Key, error) {
	k := Key{ID: s.ID, Name: s.Name, Created: s.Created.UTC()}
	if decoded, err := alphabet.DecodeString(s.ID); err != nil || len(decoded) != idBytes {
		return k, errors.New("its id is none")
	}
	if err := checkName(s.Name); err != nil {
		return k, err
	}
	var err error
	if k.Scope, err = ParseScope(s.Scopes...); err != nil {
		return k, err
	}
	if s.Expires != nil {
		if k.Expires = s.Expires.UTC(); k.Expires.IsZero() {
			return k, errors.New("it expires at no time")
		}
	}
	hash, err := hex.DecodeString(s.SHA256)
	if err != nil || len(hash) != sha256.Size {
		return k, errors.New("its sha256 is not 64 digits in hex")
	}
	k.hash = [sha256.Size]byte(hash)
	return k, nil
}

func fileError(op, path string, err error) error {
	hint := "Check that the file is there and that you may use it, or name another one with --keys-file."
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err // the path stands before it anyway
	}
	kind := pinflow.Internal
	if errors.Is(err, fs.ErrNotExist) {
		kind = pinflow.NotFound
	}
	return &pinflow.Error{Op: op, On: path, Kind: kind, Err: err, Hint: hint}
}
