// Package folder keeps the objects of a lake in a folder of the local file system.
//
// An object is a file of its name. It is written beside the objects, in .tmp, made durable, and then linked to
// its name, which fails if the name is taken, whichever process took it: so no reader sees a part of
// an object, and of two writers one wins. What may be replaced is renamed to its name instead. What has been put, seen or found to exist is not lost by a power cut: the
// directories on the way to it have been synced.
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pinflow/pinflow"
)

const (
	tmp     = ".tmp"         // where objects are while they are written
	leftFor = 24 * time.Hour // what is older than this in tmp was left behind by a crash
	dirMode = 0o750
	mode    = 0o640
)

// Folder is a place for objects. It may be used by several goroutines, and by several processes at a time.
type Folder struct {
	dir  string
	root *os.Root // nothing outside can be reached, by name or by symbolic link

	mu      sync.Mutex
	durable map[string]bool // directories whose own entries, up to the root, have been synced
}

var (
	_ pinflow.Objects      = (*Folder)(nil)
	_ pinflow.LocalObjects = (*Folder)(nil)
)

// OpenURL opens the folder that a URL of the form file:///path names. Another URL is an Invalid error.
func OpenURL(text string) (*Folder, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
	case u.Scheme != "file":
		err = fmt.Errorf("the scheme is %q, not file", u.Scheme)
	case u.Host != "" && u.Host != "localhost":
		err = fmt.Errorf("%q is another machine", u.Host)
	case u.Path == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		err = errors.New("it must have a path and nothing else")
	}
	if err != nil {
		return nil, &pinflow.Error{Op: "open the lake's folder", On: text, Kind: pinflow.Invalid, Err: err,
			Hint: "A folder is given as file:///path/of/it, with three slashes."}
	}
	return Open(filepath.FromSlash(u.Path))
}

// Open opens a folder and creates it if it is missing. Files that a crash left half written are removed.
func Open(dir string) (*Folder, error) {
	fail := func(err error) (*Folder, error) {
		return nil, &pinflow.Error{Op: "open the lake's folder", On: dir, Err: err, Hint: "The folder must be one that this user can create or write to."}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fail(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fail(err)
	}
	f := &Folder{dir: dir, root: root, durable: map[string]bool{}}
	if err := f.removeLeft(time.Now()); err != nil {
		root.Close()
		return fail(err)
	}
	return f, nil
}

// String returns the folder's URL.
func (f *Folder) String() string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(f.dir)}).String()
}

// Close frees what Open took. Objects being read can be read to their end.
func (f *Folder) Close() error { return f.root.Close() }

// removeLeft removes what crashes left in tmp. Should it hit a file that a process is still writing (asleep for
// a day), then that process's put fails and can be tried again.
func (f *Folder) removeLeft(now time.Time) error {
	entries, err := fs.ReadDir(f.root.FS(), tmp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || now.Sub(info.ModTime()) < leftFor {
			continue
		}
		if err := f.root.Remove(tmp + "/" + e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// check returns an Invalid error unless name can be that of an object.
func (f *Folder) check(op, name string) error {
	var why string
	switch {
	case !fs.ValidPath(name) || name == ".":
		why = "it is not a relative path of plain elements"
	case strings.ContainsAny(name, "\x00\\"):
		why = "it has a backslash or a NUL"
	case name == tmp || strings.HasPrefix(name, tmp+"/"):
		why = "files being written lie there"
	default:
		return nil
	}
	return &pinflow.Error{Op: op, On: fmt.Sprintf("%s/%q", f, name), Kind: pinflow.Invalid, Err: errors.New("no name for an object: " + why)}
}

// fault wraps an error of the file system.
func (f *Folder) fault(op, name string, err error) error {
	e := &pinflow.Error{Op: op, On: f.String() + "/" + name, Kind: pinflow.Internal, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Kind, e.Err = pinflow.NotFound, nil
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ENOTDIR), errors.Is(err, errNotRegular):
		e.Kind = pinflow.Invalid
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Kind, e.Hint = pinflow.Unavailable, "Make room on the disk; writing goes on by itself."
	}
	return e
}
