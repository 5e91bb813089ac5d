package laketest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/pinflow/pinflow"
)

// Memory is a place of objects in memory.
type Memory struct {
	mu      sync.Mutex
	objects map[string][]byte
}

var _ pinflow.Objects = (*Memory)(nil)

// String implements pinflow.Objects.
func (m *Memory) String() string { return "memory:" }

// CheckName returns an Invalid error unless name can be an object's.
func CheckName(op, name string) error {
	if fs.ValidPath(name) && name != "." {
		return nil
	}
	return &pinflow.Error{Op: op, On: name, Kind: pinflow.Invalid, Err: errors.New("no name for an object")}
}

// PutIfAbsent implements pinflow.ObjectWriter.
func (m *Memory) PutIfAbsent(ctx context.Context, name string, content []byte) (bool, error) {
	if err := CheckName("put object", name); err != nil {
		return false, err
	}
	if err := ctx.Err(); err != nil {
		return false, &pinflow.Error{Op: "put object", On: name, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[name]; ok {
		return false, nil
	}
	if m.objects == nil {
		m.objects = map[string][]byte{}
	}
	m.objects[name] = bytes.Clone(content)
	return true, nil
}

// Replace implements pinflow.ObjectReplacer.
func (m *Memory) Replace(ctx context.Context, name string, content []byte) error {
	if err := CheckName("replace object", name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &pinflow.Error{Op: "replace object", On: name, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = map[string][]byte{}
	}
	m.objects[name] = bytes.Clone(content)
	return nil
}

// Delete implements pinflow.ObjectReplacer.
func (m *Memory) Delete(ctx context.Context, name string) error {
	if err := CheckName("delete object", name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &pinflow.Error{Op: "delete object", On: name, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
	return nil
}

// Get implements pinflow.ObjectReader.
func (m *Memory) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := CheckName("get object", name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, &pinflow.Error{Op: "get object", On: name, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	content, ok := m.objects[name]
	if !ok {
		return nil, &pinflow.Error{Op: "get object", On: name, Kind: pinflow.NotFound}
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// List implements pinflow.ObjectReader.
func (m *Memory) List(ctx context.Context, prefix, delimiter string) iter.Seq2[pinflow.ObjectInfo, error] {
	m.mu.Lock()
	sizes := map[string]int{}
	for name, content := range m.objects {
		if strings.HasPrefix(name, prefix) {
			sizes[name] = len(content)
		}
	}
	m.mu.Unlock()
	return func(yield func(pinflow.ObjectInfo, error) bool) {
		last := ""
		for _, name := range slices.Sorted(maps.Keys(sizes)) {
			if err := ctx.Err(); err != nil {
				yield(pinflow.ObjectInfo{}, &pinflow.Error{Op: "list objects", On: prefix, Err: err})
				return
			}
			info := pinflow.ObjectInfo{Name: name, Size: int64(sizes[name])}
			if folder, _, cut := strings.Cut(name[len(prefix):], delimiter); cut && delimiter != "" {
				if info = (pinflow.ObjectInfo{Name: prefix + folder + delimiter}); info.Name == last {
					continue
				}
				last = info.Name
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}
