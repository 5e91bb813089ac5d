package folder

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/pinflow/pinflow"
)

var errNotRegular = errors.New("something that is no regular file has that name")

// Get implements pinflow.ObjectReader.
func (f *Folder) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	const op = "get object"
	if err := f.check(op, name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, f.fault(op, name, err)
	}
	file, err := f.root.Open(name)
	if err != nil {
		if errors.Is(err, syscall.ENOTDIR) {
			err = fs.ErrNotExist
		}
		return nil, f.fault(op, name, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		file.Close()
		return nil, f.fault(op, name, fs.ErrNotExist)
	}
	if err == nil {
		// Its writer may have been killed before it came to this. A reader without the right to do it has nothing to lose by it.
		err = f.sync(path.Dir(name))
		if errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrPermission) {
			err = nil
		}
	}
	if err != nil {
		file.Close()
		return nil, f.fault(op, name, err)
	}
	return file, nil
}

// List implements pinflow.ObjectReader. It reads only the directories that can hold such names, each whole.
func (f *Folder) List(ctx context.Context, prefix, delimiter string) iter.Seq2[pinflow.ObjectInfo, error] {
	return func(yield func(pinflow.ObjectInfo, error) bool) {
		const op = "list objects"
		if delimiter != "" && delimiter != "/" {
			yield(pinflow.ObjectInfo{}, &pinflow.Error{Op: op, On: f.String() + "/" + prefix, Kind: pinflow.Invalid, Err: errors.New("the delimiter of a folder is a slash")})
			return
		}
		dir, begins := path.Split(prefix)
		if dir != "" {
			dir = dir[:len(dir)-1]
			if err := f.check(op, dir); err != nil {
				yield(pinflow.ObjectInfo{}, err)
				return
			}
		}
		w := walk{f: f, ctx: ctx, flat: delimiter == "", yield: yield}
		w.in(dir, begins)
	}
}

// walk yields a folder's objects in the order of their full names.
type walk struct {
	f     *Folder
	ctx   context.Context
	flat  bool // go into folders instead of yielding them
	yield func(pinflow.ObjectInfo, error) bool
}

// in yields the objects of dir whose names in it begin as said; false if the listing ends there.
func (w *walk) in(dir, begins string) bool {
	entries, err := w.read(dir, begins)
	if err == nil {
		err = w.ctx.Err()
	}
	if err != nil {
		w.yield(pinflow.ObjectInfo{}, w.f.fault("list objects", dir, err))
		return false
	}
	for _, e := range entries {
		name := dir + "/" + e.name
		if dir == "" {
			name = e.name
		}
		if e.folder && w.flat {
			if !w.in(strings.TrimSuffix(name, "/"), "") {
				return false
			}
		} else if !w.yield(pinflow.ObjectInfo{Name: name, Size: e.size}, nil) {
			return false
		}
	}
	return true
}

// entry is a file or folder. A folder's name ends in a slash, as its objects' names go on: "a-b" comes before "a/b".
type entry struct {
	name   string
	folder bool
	size   int64
}

// read returns the entries of dir that begin as said, in order. Of a large folder few are wanted: the others are not even looked at.
func (w *walk) read(dir, begins string) ([]entry, error) {
	info, err := w.f.root.Stat(path.Join(".", dir))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || err == nil && !info.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	here, err := w.f.root.OpenRoot(path.Join(".", dir))
	if err != nil {
		return nil, err
	}
	defer here.Close()
	d, err := here.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, name := range names {
		if !strings.HasPrefix(name+"/", begins) || dir == "" && name == tmp {
			continue
		}
		info, err := here.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has just been removed
		case err != nil:
			return nil, err
		case info.IsDir():
			entries = append(entries, entry{name: name + "/", folder: true})
		case info.Mode().IsRegular() && strings.HasPrefix(name, begins):
			entries = append(entries, entry{name: name, size: info.Size()})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return entries, nil
}
