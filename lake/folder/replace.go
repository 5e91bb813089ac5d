package folder

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"syscall"

	"github.com/pinflow/pinflow"
)

// Replace implements pinflow.ObjectReplacer: the new file is made durable and then renamed to the object's name.
func (f *Folder) Replace(ctx context.Context, name string, content []byte) error {
	const op = "replace object"
	if err := f.check(op, name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return f.fault(op, name, err)
	}
	if info, err := f.root.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return f.fault(op, name, &fs.PathError{Op: "rename", Path: name, Err: errNotRegular})
	}
	temp, err := f.writeTemp(content)
	if err != nil {
		return &pinflow.Error{Op: op, On: f.String() + "/" + name, Kind: pinflow.KindOf(f.fault(op, name, err)), Err: err, Hint: pinflow.HintOf(f.fault(op, name, err))}
	}
	if err = ctx.Err(); err == nil {
		err = f.root.MkdirAll(path.Dir(name), dirMode)
	}
	if err == nil {
		err = f.root.Rename(temp, name)
	}
	if err != nil {
		f.root.Remove(temp)
		return f.fault(op, name, err)
	}
	if err := f.sync(path.Dir(name)); err != nil {
		return f.fault(op, name, err)
	}
	return nil
}

// Delete implements pinflow.ObjectReplacer. Folders that are empty then are left to others: removing one would race with a put into it.
func (f *Folder) Delete(ctx context.Context, name string) error {
	const op = "delete object"
	if err := f.check(op, name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return f.fault(op, name, err)
	}
	info, err := f.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || err == nil && !info.Mode().IsRegular() {
		return nil // there is no such object
	}
	if err == nil {
		err = f.root.Remove(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another was faster
	}
	if err == nil {
		err = f.sync(path.Dir(name))
	}
	if err != nil {
		return f.fault(op, name, err)
	}
	return nil
}

// Path implements pinflow.LocalObjects.
func (f *Folder) Path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }
