package folder

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"runtime"

	"github.com/pinflow/pinflow"
)

// PutIfAbsent implements pinflow.ObjectWriter. A name that the file system cannot hold is an Invalid error, a
// full disk an Unavailable one.
func (f *Folder) PutIfAbsent(ctx context.Context, name string, content []byte) (created bool, err error) {
	const op = "put object"
	if err := f.check(op, name); err != nil {
		return false, err
	}
	if err := ctx.Err(); err != nil {
		return false, f.fault(op, name, err)
	}
	switch taken, err := f.taken(name); {
	case err != nil:
		return false, f.fault(op, name, err)
	case taken:
		return false, nil
	}
	temp, err := f.writeTemp(content)
	if err != nil {
		return false, &pinflow.Error{Op: op, On: f.String() + "/" + name, Kind: pinflow.KindOf(f.fault(op, name, err)), Err: err}
	}
	defer f.root.Remove(temp)
	if err := ctx.Err(); err != nil {
		return false, f.fault(op, name, err)
	}
	if err := f.root.MkdirAll(path.Dir(name), dirMode); err != nil {
		return false, f.fault(op, name, err)
	}
	err = f.root.Link(temp, name)
	if errors.Is(err, fs.ErrExist) {
		taken, err := f.taken(name)
		if err == nil && !taken {
			err = errors.New("it was there and is gone") // somebody deletes objects
		}
		if err != nil {
			return false, f.fault(op, name, err)
		}
		return false, nil
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return false, &pinflow.Error{Op: op, On: f.String() + "/" + name, Err: err, Hint: "The lake's folder must lie on a file system with hard links."}
	}
	if err != nil {
		return false, &pinflow.Error{Op: op, On: f.String() + "/" + name, Err: err}
	}
	if err := f.sync(path.Dir(name)); err != nil {
		return false, f.fault(op, name, err)
	}
	return true, nil
}

// taken tells whether an object of that name is there; if so, it is there for good.
func (f *Folder) taken(name string) (bool, error) {
	info, err := f.root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, &fs.PathError{Op: "link", Path: name, Err: errNotRegular}
	}
	return true, f.sync(path.Dir(name))
}

// writeTemp writes a durable file of a new name in tmp and returns the name.
func (f *Folder) writeTemp(content []byte) (string, error) {
	name := tmp + "/" + rand.Text() + ".tmp"
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.root.MkdirAll(tmp, dirMode); err != nil {
			return "", err
		}
		file, err = f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	}
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		f.root.Remove(name)
		return "", err
	}
	return name, nil
}

// sync makes the entries of a directory durable, and the directories on the way to it, which may have been
// made by another process that has not come to this yet.
func (f *Folder) sync(dir string) error {
	if err := f.syncOne(dir); err != nil {
		return err
	}
	for dir != "." {
		f.mu.Lock()
		known := f.durable[dir]
		f.mu.Unlock()
		if known {
			return nil
		}
		above := path.Dir(dir)
		if err := f.syncOne(above); err != nil {
			return err
		}
		f.remember(dir)
		dir = above
	}
	return nil
}

// remember keeps that a directory's entry is durable. It may forget others: syncing again costs little.
func (f *Folder) remember(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.durable) >= 1000 {
		clear(f.durable)
	}
	f.durable[dir] = true
}

func (f *Folder) syncOne(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call: NTFS keeps the order by its journal
	}
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
