package access

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
)

// TestMain lets the test binary be another process that makes keys, and revokes every other one of them.
func TestMain(m *testing.M) {
	path := os.Getenv("ACCESS_TEST_FILE")
	if path == "" {
		os.Exit(m.Run())
	}
	n, _ := strconv.Atoi(os.Getenv("ACCESS_TEST_KEYS"))
	for i := range n {
		k, _, err := Create(path, os.Getenv("ACCESS_TEST_NAME"), Post, time.Time{}, time.Now())
		if err == nil && i%2 == 1 {
			err = Revoke(path, k.ID)
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if i%2 == 0 {
			fmt.Println(k.ID)
		}
	}
}

func create(t *testing.T, path, name string, s Scope, expires time.Time) (Key, string) {
	t.Helper()
	k, text, err := Create(path, name, s, expires, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return k, text
}

func TestCreateListRevoke(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", FileName)
	if keys, err := List(path); err != nil || keys != nil {
		t.Fatal(keys, err)
	}
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	a, textA := create(t, path, "a", Post|SQL, time.Time{})
	b, textB := create(t, path, "b", Admin, ends)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{textA, textB, textA[12:], textB[12:]} {
		if bytes.Contains(text, []byte(secret)) {
			t.Fatalf("the file has a secret: %s", text)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Error(info.Mode(), err)
	}
	keys, err := List(path)
	if err != nil || len(keys) != 2 || !keys[0].matches(textA) && !keys[1].matches(textA) {
		t.Fatal(keys, err)
	}
	for _, k := range keys {
		if want := map[string]Key{a.ID: a, b.ID: b}[k.ID]; k != want {
			t.Errorf("got %+v, want %+v", k, want)
		}
	}
	if err := Revoke(path, a.ID); err != nil {
		t.Fatal(err)
	}
	if keys, err = List(path); err != nil || len(keys) != 1 || keys[0] != b {
		t.Error(keys, err)
	}
	if err := Revoke(path, a.ID); pinflow.KindOf(err) != pinflow.NotFound {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(left) != 1 {
		t.Error(left, err)
	}
	if _, _, err := Create(path, "c", Read, time.Now().Add(-time.Second), time.Now()); pinflow.KindOf(err) != pinflow.Invalid {
		t.Error(err)
	}
}

// TestTheFilesModeStays: what an operator has allowed beyond the owner's reading stays, but for writing.
func TestTheFilesModeStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	create(t, path, "a", Read, time.Time{})
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	create(t, path, "b", Read, time.Time{})
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Error(info.Mode(), err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	create(t, link, "c", Read, time.Time{})
	if keys, err := List(path); err != nil || len(keys) != 3 {
		t.Error(keys, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error(info.Mode(), err)
	}
}

// TestProcessesLoseNoKey: several processes create and revoke at once, and the file has just what should be left.
func TestProcessesLoseNoKey(t *testing.T) {
	const processes, each = 4, 20
	path := filepath.Join(t.TempDir(), FileName)
	var out [processes]bytes.Buffer
	var all [processes]*exec.Cmd
	for i := range all {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "ACCESS_TEST_FILE="+path, "ACCESS_TEST_KEYS="+strconv.Itoa(each), "ACCESS_TEST_NAME=p"+strconv.Itoa(i))
		c.Stdout = &out[i]
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all[i] = c
	}
	want := map[string]bool{}
	for i, c := range all {
		if err := c.Wait(); err != nil {
			t.Fatal(err, out[i].String())
		}
		for id := range strings.FieldsSeq(out[i].String()) {
			want[id] = true
		}
	}
	keys, err := List(path)
	if err != nil || len(keys) != processes*each/2 || len(want) != len(keys) {
		t.Fatalf("%d keys are left, %d should be: %v", len(keys), len(want), err)
	}
	for _, k := range keys {
		if !want[k.ID] {
			t.Errorf("%s should be revoked", k.ID)
		}
	}
}

func TestFilesThatAreWrong(t *testing.T) {
	good := func() string {
		path := filepath.Join(t.TempDir(), FileName)
		create(t, path, "a", Read, time.Now().Add(time.Hour))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}()
	if _, err := ListText(good); err != nil {
		t.Fatal(err)
	}
	with := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatal(old)
		}
		return strings.Replace(good, old, new, 1)
	}
	whole := strings.TrimSuffix(strings.TrimPrefix(good, `{`), "}\n")
	one := whole[strings.Index(whole, "["):][1:strings.LastIndex(whole[strings.Index(whole, "["):], "]")]
	for name, text := range map[string]string{
		"empty": "", "blank": "\n", "half": good[:len(good)/2], "null": "null", "list": "[]", "no keys": "{}", "keys null": `{"keys":null}`, "more": good + good, "unknown member": with(`"keys"`, `"kees"`),
		"unknown member of a key": with(`"name"`, `"nam"`), "scope": with(`"read"`, `"root"`), "no scope": with(`"read"`, ``), "hash": with(`"sha256": "`, `"sha256": "zz`),
		"short hash": with(`"sha256": "`, `"sha256": "ab", "x": "`), "id": with(`"id": "`, `"id": "!`), "expires": with(`"expires": "2`, `"expires": "x`), "never": with(`"expires": "`+expiresOf(good), `"expires": "0001-01-01T00:00:00Z`), "twice": `{"keys":[` + one + "," + one + "]}",
	} {
		if keys, err := ListText(text); pinflow.KindOf(err) != pinflow.Invalid || keys != nil || pinflow.HintOf(err) == "" {
			t.Errorf("%s: %v %v", name, keys, err)
		}
	}
	path := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o644: true, 0o660: false, 0o602: false, 0o666: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := List(path); (err == nil) != ok {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if _, err := List(filepath.Dir(path)); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder: %v", err)
	}
	// What is wrong is not written over.
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Create(path, "b", Read, time.Time{}, time.Now()); pinflow.KindOf(err) != pinflow.Invalid {
		t.Error(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "{" {
		t.Errorf("%s %v", text, err)
	}
}

func expiresOf(text string) string {
	_, after, _ := strings.Cut(text, `"expires": "`)
	value, _, _ := strings.Cut(after, `"`)
	return value
}

// TestKeysThatRootMakes belong to whom the data belong, whose Pinflow has to read them.
func TestKeysThatRootMakes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const owner = 4242
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := os.Chown(dir, owner, owner); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		create(t, path, "a", Read, time.Time{})
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if of := info.Sys().(*syscall.Stat_t); of.Uid != owner || of.Gid != owner || info.Mode() != 0o600 {
			t.Errorf("it belongs to %d:%d, %v", of.Uid, of.Gid, info.Mode())
		}
	}
}
