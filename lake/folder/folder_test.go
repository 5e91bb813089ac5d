package folder

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake/laketest"
)

func open(t testing.TB) pinflow.Objects {
	f, err := Open(filepath.Join(t.TempDir(), "a lake"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestObjects(t *testing.T) { laketest.Objects(t, open) }

func TestProcesses(t *testing.T) {
	laketest.Processes(t, open, func(url string) (pinflow.Objects, error) { return OpenURL(url) })
}

func TestKilled(t *testing.T) {
	laketest.Killed(t, open, func(url string) (pinflow.Objects, error) { return OpenURL(url) })
}

func TestWriter(t *testing.T) { laketest.Writer(t, open) }

func TestOpenURL(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "100% a lake")
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.PutIfAbsent(t.Context(), "x", []byte("y")); err != nil {
		t.Fatal(err)
	}
	again, err := OpenURL(f.String())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	r, err := again.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if content, err := io.ReadAll(r); string(content) != "y" || err != nil {
		t.Errorf("%s holds %q, %v", f, content, err)
	}
	for _, bad := range []string{"", "/tmp/x", "s3://bucket", "file:", "file://", "file://host/x", "file:///x?y=z", "file:///x#y", ":"} {
		if _, err := OpenURL(bad); pinflow.KindOf(err) != pinflow.Invalid || pinflow.HintOf(err) == "" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNothingOutsideIsReached(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(filepath.Join(dir, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Symlink(dir, filepath.Join(dir, "lake", "out")); err != nil {
		t.Fatal(err)
	}
	if r, err := f.Get(t.Context(), "out/secret"); err == nil {
		t.Errorf("read %v through a symbolic link", r)
	}
	if _, err := f.PutIfAbsent(t.Context(), "out/new", nil); err == nil {
		t.Error("wrote through a symbolic link")
	}
	for info, err := range f.List(t.Context(), "", "") {
		t.Errorf("listed %v, %v", info, err)
	}
}

func TestLeftoversAreRemovedWhenOld(t *testing.T) {
	dir := t.TempDir()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names [2]string
	for i := range names {
		if names[i], err = f.writeTemp([]byte("half an object")); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(names[i], ".json.gz") {
			t.Errorf("%s would be read as an object", names[i])
		}
	}
	for info, err := range f.List(t.Context(), "", "") {
		t.Errorf("listed %v, %v", info, err)
	}
	old := time.Now().Add(-2 * leftFor)
	if err := os.Chtimes(filepath.Join(dir, names[0]), old, old); err != nil {
		t.Fatal(err)
	}
	g, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for i, want := range []bool{false, true} {
		if _, err := os.Stat(filepath.Join(dir, names[i])); (err == nil) != want {
			t.Errorf("%s: %v", names[i], err)
		}
	}
}

func TestPutLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"a/b", "a/b", "a/b/c", strings.Repeat("x", 300), "a"} {
		_, err := f.PutIfAbsent(t.Context(), name, []byte("x"))
		if want := name != "a/b"; (pinflow.KindOf(err) == pinflow.Invalid) != want || (err != nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	left, err := os.ReadDir(filepath.Join(dir, tmp))
	if len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := f.PutIfAbsent(t.Context(), tmp+"/x", nil); pinflow.KindOf(err) != pinflow.Invalid {
		t.Errorf("put into %s: %v", tmp, err)
	}
}

func TestModes(t *testing.T) {
	dir := t.TempDir()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.PutIfAbsent(t.Context(), "a/b", bytes.Repeat([]byte("x"), 10)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "a/b"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s: everybody may use it: %v, %v", name, info.Mode(), err)
		}
	}
}

func BenchmarkList100kPrefix(b *testing.B) {
	dir := b.TempDir()
	f, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	folder := filepath.Join(dir, "raw", "t", "period=2026-11-22")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		b.Fatal(err)
	}
	for i := range 100_000 {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%05d-%020d.json.gz", i%100, i)), nil, 0o640); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		n := 0
		for range f.List(b.Context(), "raw/t/period=2026-11-22/00007-", "") {
			n++
		}
		if n != 1000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	f, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	content := make([]byte, 1<<20)
	n := 0
	for b.Loop() {
		n++
		if created, err := f.PutIfAbsent(b.Context(), fmt.Sprintf("raw/t/%d", n), content); !created || err != nil {
			b.Fatal(created, err)
		}
	}
}
