package laketest

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pinflow/pinflow"
)

func replace(t *testing.T, o pinflow.Objects) {
	for i, size := range []int{0, 1, 100_000, 3, 5 << 20} {
		for _, name := range []string{"some/folder/replaced", fmt.Sprintf("another/%d", i)} {
			content := bytes.Repeat([]byte{byte('a' + i)}, size)
			want := bytes.Clone(content)
			if err := o.Replace(t.Context(), name, content); err != nil {
				t.Fatal(err)
			}
			clear(content) // it is the caller's again
			if !bytes.Equal(get(t, o, name), want) {
				t.Errorf("%s: %d bytes came back as others", name, size)
			}
		}
	}
	if put(t, o, "some/folder/replaced", []byte("another")) {
		t.Error("created although it is there")
	}
	put(t, o, "put", []byte("first"))
	if err := o.Replace(t.Context(), "put", []byte("second")); err != nil || string(get(t, o, "put")) != "second" {
		t.Errorf("what was put is not replaced: %v", err)
	}
}

// readersSeeOneOrTheOther replaces an object while others read and list it.
func readersSeeOneOrTheOther(t *testing.T, o pinflow.Objects) {
	const name, size, writers = "a/manifest", 20_000, 2
	if err := o.Replace(t.Context(), name, stamped(1, size)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers, replacers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for last := false; !last; {
				select {
				case <-done:
					last = true
				default:
				}
				if content := get(t, o, name); !whole(content, size) {
					t.Errorf("it was seen in part: %d bytes", len(content))
					return
				}
				n := 0
				for info, err := range o.List(t.Context(), "a/", "") {
					if n++; err != nil || info.Name != name || info.Size != 8*size {
						t.Errorf("listed %v, %v", info, err)
						return
					}
				}
				if n != 1 {
					t.Errorf("listed %d times", n)
					return
				}
			}
		})
	}
	for w := range writers {
		replacers.Go(func() {
			for n := range 40 {
				if err := o.Replace(t.Context(), name, stamped(100*w+n, size)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	replacers.Wait()
	close(done)
	readers.Wait()
}

func deletes(t *testing.T, o pinflow.Objects) {
	for _, name := range []string{"a/b/c", "a/b/d", "a/x"} {
		put(t, o, name, []byte(name))
	}
	r, err := o.Get(t.Context(), "a/b/c")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, name := range []string{"a/b/c", "a/b/c", "nothing", "no/folder/either", "a/b", "a/x/y"} {
		if err := o.Delete(t.Context(), name); err != nil {
			t.Errorf("delete %s: %v", name, err)
		}
	}
	if r, err := o.Get(t.Context(), "a/b/c"); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("it is still there: %v, %v", r, err)
	}
	var left []string
	for info, err := range o.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, info.Name)
	}
	if want := []string{"a/b/d", "a/x"}; !slices.Equal(left, want) {
		t.Errorf("left: %q, want %q", left, want)
	}
	if !put(t, o, "a/b/c", []byte("again")) || string(get(t, o, "a/b/c")) != "again" {
		t.Error("it could not be put again")
	}
}

// localFiles reads objects as files, if the place says that they are.
func localFiles(t *testing.T, o pinflow.Objects) {
	local, ok := o.(pinflow.LocalObjects)
	if !ok {
		t.Skip("its objects are no files")
	}
	put(t, o, "a b/period=1/c%2F", []byte("x"))
	path := local.Path("a b/period=1/c%2F")
	if content, err := os.ReadFile(path); string(content) != "x" || err != nil || !filepath.IsAbs(path) {
		t.Errorf("%s holds %q, %v", path, content, err)
	}
}

// heads reads the beginnings of objects, if the place can do that alone.
func heads(t *testing.T, o pinflow.Objects) {
	h, ok := o.(pinflow.HeadReader)
	if !ok {
		t.Skip("its objects have no heads")
	}
	if _, err := h.GetHead(t.Context(), "nothing", 5); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("the head of nothing: %v", err)
	}
	for size, n := range map[int]int64{0: 5, 3: 5, 5: 5, 200_000: 70_000} {
		name := fmt.Sprintf("a/%d", size)
		content := []byte(strings.Repeat("0123456789", size/10+1)[:size])
		put(t, o, name, content)
		r, err := h.GetHead(t.Context(), name, n)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if want := content[:min(int64(size), n)]; err != nil || !bytes.Equal(got, want) {
			t.Errorf("of %d bytes, %d come as the first %d: %v", size, len(got), n, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
