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
	"slices"
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
