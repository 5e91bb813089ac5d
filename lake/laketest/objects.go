package laketest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pinflow/pinflow"
)

// Objects runs what a place of objects must do. open returns an empty one; it is called once per subtest.
func Objects(t *testing.T, open func(t testing.TB) pinflow.Objects) {
	for _, c := range []struct {
		name string
		f    func(*testing.T, pinflow.Objects)
	}{
		{"put and get", putAndGet},
		{"one of many wins", oneOfManyWins},
		{"readers see no part", readersSeeNoPart},
		{"replace", replace},
		{"readers see one or the other", readersSeeOneOrTheOther},
		{"delete", deletes},
		{"local files", localFiles},
		{"heads", heads},
		{"not found", notFound},
		{"list", list},
		{"list ends early", listEndsEarly},
		{"odd names", oddNames},
		{"bad names", badNames},
		{"context ended", contextEnded},
	} {
		t.Run(c.name, func(t *testing.T) { c.f(t, open(t)) })
	}
}

func get(t testing.TB, o pinflow.Objects, name string) []byte {
	t.Helper()
	r, err := o.Get(t.Context(), name)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return content
}

func put(t testing.TB, o pinflow.Objects, name string, content []byte) bool {
	t.Helper()
	created, err := o.PutIfAbsent(t.Context(), name, content)
	if err != nil {
		t.Fatalf("put %q: %v", name, err)
	}
	return created
}

func putAndGet(t *testing.T, o pinflow.Objects) {
	random := rand.New(rand.NewPCG(1, 1))
	for i, size := range []int{0, 1, 4095, 1 << 20, 20 << 20} {
		name := fmt.Sprintf("some/folder=%d/object", i)
		content := make([]byte, size)
		for k := 0; k+8 <= size; k += 8 {
			binary.LittleEndian.PutUint64(content[k:], random.Uint64())
		}
		want := bytes.Clone(content)
		if !put(t, o, name, content) {
			t.Errorf("%d bytes: not created", size)
		}
		clear(content) // it is the caller's again
		if put(t, o, name, []byte("another")) {
			t.Errorf("%d bytes: created twice", size)
		}
		if !bytes.Equal(get(t, o, name), want) {
			t.Errorf("%d bytes came back as others", size)
		}
	}
}

// stamped is content that shows whether it is whole.
func stamped(writer, size int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%08d", writer), size)
}

func whole(content []byte, size int) bool {
	return len(content) == 8*size && bytes.Equal(content, bytes.Repeat(content[:8], size))
}

func oneOfManyWins(t *testing.T, o pinflow.Objects) {
	const writers, names = 8, 20
	var won [names]atomic.Int64
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range names {
				created, err := o.PutIfAbsent(t.Context(), fmt.Sprintf("raced/%d/object", n), stamped(w+1, 100))
				if err != nil {
					t.Error(err)
				}
				if created && !won[n].CompareAndSwap(0, int64(w+1)) {
					t.Errorf("object %d was created twice", n)
				}
			}
		})
	}
	all.Wait()
	for n := range names {
		if got := get(t, o, fmt.Sprintf("raced/%d/object", n)); !bytes.Equal(got, stamped(int(won[n].Load()), 100)) {
			t.Errorf("object %d is not the winner's", n)
		}
	}
}

func readersSeeNoPart(t *testing.T, o pinflow.Objects) {
	const size, names = 20_000, 30
	done := make(chan struct{})
	var readers sync.WaitGroup
	seen := 0
	readers.Go(func() {
		for last := false; !last; {
			select {
			case <-done:
				last = true
			default:
			}
			seen = 0
			for info, err := range o.List(t.Context(), "", "") {
				if err != nil {
					t.Error(err)
					return
				}
				seen++
				if info.Size != 8*size {
					t.Errorf("%s is listed with %d of %d bytes", info.Name, info.Size, 8*size)
				}
				if !whole(get(t, o, info.Name), size) {
					t.Errorf("%s was seen in part", info.Name)
				}
			}
		}
	})
	for n := range names {
		put(t, o, fmt.Sprintf("parts/%d", n), stamped(n, size))
	}
	close(done)
	readers.Wait()
	if seen != names {
		t.Errorf("%d objects were listed, not %d", seen, names)
	}
}

func notFound(t *testing.T, o pinflow.Objects) {
	put(t, o, "a/b/c", []byte("x"))
	for _, name := range []string{"a/b/d", "a/b", "x/y/z", "a/b/c/d"} {
		if r, err := o.Get(t.Context(), name); pinflow.KindOf(err) != pinflow.NotFound {
			t.Errorf("get %s: %v, %v", name, r, err)
		}
	}
	for _, prefix := range []string{"x/", "a/b/d", "a/b/c/", "b"} {
		for info, err := range o.List(t.Context(), prefix, "") {
			t.Errorf("list %s: %v, %v", prefix, info, err)
		}
	}
}

func list(t *testing.T, o pinflow.Objects) {
	random := rand.New(rand.NewPCG(5, 5))
	elements := []string{"a", "a-b", "a.b", "a=b", "a0", "b", "raw", "period=2026", "00001-0", "00010-0", "é"}
	model := map[string]int{}
	for range 150 {
		parts := []string{}
		for range 1 + random.IntN(3) {
			parts = append(parts, elements[random.IntN(len(elements))])
		}
		name := strings.Join(parts, "/") + ".json" // so that no object lies below another
		if put(t, o, name, make([]byte, random.IntN(20))) {
			model[name] = len(get(t, o, name))
		}
	}
	names := slices.Sorted(maps.Keys(model))
	prefixes := []string{"", "a", "a/", "a-", "raw/", "nothing"}
	for range 60 {
		name := names[random.IntN(len(names))]
		if cut := random.IntN(len(name) + 1); strings.ToValidUTF8(name[:cut], "") == name[:cut] {
			prefixes = append(prefixes, name[:cut])
		}
	}
	for _, prefix := range prefixes {
		for _, delimiter := range []string{"", "/"} {
			var want, got []pinflow.ObjectInfo
			for _, name := range names {
				if !strings.HasPrefix(name, prefix) {
					continue
				}
				info := pinflow.ObjectInfo{Name: name, Size: int64(model[name])}
				if i := strings.Index(name[len(prefix):], "/"); delimiter != "" && i >= 0 {
					info = pinflow.ObjectInfo{Name: name[:len(prefix)+i+1]}
				}
				if len(want) == 0 || want[len(want)-1] != info {
					want = append(want, info)
				}
			}
			for info, err := range o.List(t.Context(), prefix, delimiter) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, info)
			}
			if !slices.Equal(got, want) {
				t.Errorf("list %q, %q:\n got %v\nwant %v", prefix, delimiter, got, want)
			}
		}
	}
}

func listEndsEarly(t *testing.T, o pinflow.Objects) {
	for n := range 10 {
		put(t, o, fmt.Sprintf("f%d/o", n), nil)
	}
	seen := 0
	for _, err := range o.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 {
		t.Errorf("%d objects", seen)
	}
}

func oddNames(t *testing.T, o pinflow.Objects) {
	names := []string{
		"with space/ and more ", "percent%2Fslash", "plus+plus", "equals=a&b=c", "hash#query?x", "quote'\"`", "naïve/ünï/日本語", "..a/b..", ".hidden/.x", "a:b", "*[x]{y}", "~", "$HOME", "-flag", "_topic.json", "x.tmp",
		strings.Repeat("n", 200),
	}
	for i, name := range names {
		if !put(t, o, name, []byte(name)) {
			t.Errorf("%d: %q was there", i, name)
		}
	}
	for _, name := range names {
		if got := get(t, o, name); string(got) != name {
			t.Errorf("%q holds %q", name, got)
		}
	}
	var listed []string
	for info, err := range o.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, info.Name)
	}
	slices.Sort(names)
	if !slices.Equal(listed, names) {
		t.Errorf("listed %q\nwant   %q", listed, names)
	}
}

func badNames(t *testing.T, o pinflow.Objects) {
	for _, name := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "./a", "a/./b", "bad\xffutf8"} {
		if _, err := o.PutIfAbsent(t.Context(), name, []byte("x")); pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("put %q: %v", name, err)
		}
		if _, err := o.Get(t.Context(), name); pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("get %q: %v", name, err)
		}
		if err := o.Replace(t.Context(), name, []byte("x")); pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("replace %q: %v", name, err)
		}
		if err := o.Delete(t.Context(), name); pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("delete %q: %v", name, err)
		}
	}
	for info := range o.List(t.Context(), "", "") {
		t.Errorf("%s was made", info.Name)
	}
}

func contextEnded(t *testing.T, o pinflow.Objects) {
	put(t, o, "a/b", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.PutIfAbsent(ctx, "a/c", []byte("y")); err == nil {
		t.Error("a put went on")
	}
	if _, err := o.Get(ctx, "a/b"); err == nil {
		t.Error("a get went on")
	}
	if err := o.Replace(ctx, "a/b", nil); err == nil {
		t.Error("a replacement went on")
	}
	if err := o.Delete(ctx, "a/b"); err == nil {
		t.Error("a deletion went on")
	}
	if got := get(t, o, "a/b"); string(got) != "x" {
		t.Errorf("it holds %q", got)
	}
	for info, err := range o.List(ctx, "", "") {
		if err == nil {
			t.Errorf("a list went on with %s", info.Name)
		}
	}
}
