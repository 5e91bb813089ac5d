package lake

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/pinflow/pinflow"
)

// cache keeps copies of parts as files, named by their checksums: those that are being read, and of the others the last used
// up to so many bytes.
type cache struct {
	dir string
	max int64

	mu      sync.Mutex
	entries map[string]*entry // by name of the file
	idle    *list.List        // of *entry that nobody reads, the last used first
	bytes   int64             // of these
}

// entry is a file, or one that is being made.
type entry struct {
	name    string
	size    int64
	readers int
	at      *list.Element // in idle
	trusted bool          // it was made or checked by this process
	made    chan struct{} // closed when it is there, or could not be made
	err     error
}

const partSuffix = ".parquet"

// openCache opens a folder of copies. What another process was copying when it ended is removed.
func openCache(dir string, maxBytes int64) (*cache, error) {
	fail := func(err error) (*cache, error) {
		return nil, &pinflow.Error{Op: "open the cache of the lake's parts", On: dir, Err: err, Hint: "It must be a folder that this user can create or write to."}
	}
	if dir == "" {
		return fail(errors.New("no folder is given"))
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fail(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return fail(err)
	}
	c := &cache{dir: dir, max: maxBytes, entries: map[string]*entry{}, idle: list.New()}
	made := make(chan struct{})
	close(made)
	for _, f := range files {
		info, err := f.Info()
		switch {
		case err != nil || !info.Mode().IsRegular():
		case strings.HasSuffix(f.Name(), ".tmp"):
			if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
				return fail(err)
			}
		case strings.HasSuffix(f.Name(), partSuffix):
			e := &entry{name: f.Name(), size: info.Size(), made: made}
			c.entries[e.name] = e
			c.rest(e)
		}
	}
	c.evict()
	return c, nil
}

// get returns a part's file, made by copy if there is none, and what is to be called when it is no longer read.
func (c *cache) get(ctx context.Context, p pinflow.Part, copy func(ctx context.Context, p pinflow.Part, to io.Writer) error) (string, func(), error) {
	if sum, err := hex.DecodeString(p.SHA256); err != nil || len(sum) != sha256.Size {
		return "", nil, &pinflow.Error{Op: "stage part", On: p.Name, Kind: pinflow.Invalid, Err: fmt.Errorf("its checksum is %q", p.SHA256), Hint: "Parts are staged as their manifest names them."}
	}
	name := p.SHA256 + partSuffix
	for {
		e, mine := c.hold(name)
		if mine {
			err := c.make(ctx, e, p, copy)
			c.settle(e, p.Size, err)
		}
		select {
		case <-e.made:
		case <-ctx.Done():
			c.release(e)
			return "", nil, ctx.Err()
		}
		if e.err == nil {
			return filepath.Join(c.dir, name), sync.OnceFunc(func() { c.release(e) }), nil
		}
		c.release(e)
		if mine || ctx.Err() != nil {
			return "", nil, e.err
		}
	}
}

// hold returns the entry of that name, which stays until it is released. If it is mine, I am to make it.
func (c *cache) hold(name string) (e *entry, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e = c.entries[name]
	if e != nil && e.at != nil {
		c.idle.Remove(e.at)
		c.bytes -= e.size
		e.at = nil
		if !e.trusted {
			e.made, mine = make(chan struct{}), true
		}
	}
	if e == nil {
		e, mine = &entry{name: name, made: make(chan struct{})}, true
		c.entries[name] = e
	}
	e.readers++
	return e, mine
}

func (c *cache) release(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.readers--; e.readers > 0 || e.err != nil {
		return
	}
	c.rest(e)
	c.evict()
}

// settle ends the making of an entry. One that could not be made is tried again by who comes next.
func (c *cache) settle(e *entry, size int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.size, e.err, e.trusted = size, err, err == nil
	if err != nil {
		delete(c.entries, e.name)
	}
	close(e.made)
}

// rest makes an entry one that nobody reads.
func (c *cache) rest(e *entry) {
	e.at = c.idle.PushFront(e)
	c.bytes += e.size
}

// evict removes the files that were not used for the longest.
func (c *cache) evict() {
	for c.bytes > c.max {
		e := c.idle.Remove(c.idle.Back()).(*entry)
		c.bytes -= e.size
		delete(c.entries, e.name)
		_ = os.Remove(filepath.Join(c.dir, e.name)) // what cannot be removed is found again by the next process
	}
}

// make copies a part into its file, unless a file of an earlier process has the part's checksum.
func (c *cache) make(ctx context.Context, e *entry, p pinflow.Part, copy func(ctx context.Context, p pinflow.Part, to io.Writer) error) error {
	path := filepath.Join(c.dir, e.name)
	if sum, err := sumOf(path); err == nil && sum == p.SHA256 {
		return nil
	}
	temp := path + ".tmp"
	f, err := os.Create(temp)
	if err != nil {
		return c.fault(temp, err)
	}
	defer os.Remove(temp)
	to := &diskErr{w: f}
	err = copy(ctx, p, to)
	if closed := f.Close(); to.err == nil {
		to.err = closed
	}
	if to.err != nil {
		return c.fault(temp, to.err)
	}
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return c.fault(path, err)
	}
	return nil
}

func (c *cache) fault(path string, err error) error {
	e := &pinflow.Error{Op: "copy a part of the lake", On: path, Err: err}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		e.Kind, e.Hint = pinflow.Unavailable, "Make room on the disk, and try again."
	}
	return e
}

// diskErr remembers an error of w, to tell it from one of what is copied.
type diskErr struct {
	w   io.Writer
	err error
}

func (d *diskErr) Write(b []byte) (int, error) {
	n, err := d.w.Write(b)
	if err != nil {
		d.err = err
	}
	return n, err
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// copyPart writes a part's bytes, which must be those of its checksum.
func (d *DerivedArea) copyPart(ctx context.Context, p pinflow.Part, to io.Writer) error {
	body, err := d.objects.Get(ctx, p.Name)
	if err != nil {
		return err
	}
	defer body.Close()
	h := sha256.New()
	source := &sourceErr{r: body}
	n, err := io.Copy(io.MultiWriter(to, h), source)
	switch {
	case source.err != nil:
		return &pinflow.Error{Op: "stage part", On: at(d.objects, p.Name), Kind: pinflow.Unavailable, Err: source.err}
	case err != nil:
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != p.SHA256 || n != p.Size {
		return d.changed(p, fmt.Errorf("it has %d bytes and the checksum %s, its manifest says %d and %s", n, sum, p.Size, p.SHA256))
	}
	return nil
}
