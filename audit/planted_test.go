package audit_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/audit"
	"github.com/pinflow/pinflow/internal/duck"
)

// planted is a fault, and the kind of finding that tells of it without and with depth.
type planted struct {
	name        string
	plant       func(w *world) (undo func())
	plain, deep string // "" if it is not looked for: it need not be found, or takes the same way as another
}

// change changes a file and returns what restores it. A nil content deletes it.
func change(w *world, file string, f func([]byte) []byte) func() {
	w.t.Helper()
	was, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	write := func(content []byte) {
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
		if content != nil {
			if err := os.WriteFile(file, content, 0o640); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	now := f(was)
	if bytes.Equal(was, now) {
		w.t.Fatalf("nothing was changed in %s", file)
	}
	write(now)
	return func() { write(was) }
}

func gone([]byte) []byte { return nil }

// lines changes an object's lines.
func lines(f func(lines []string) []string) func([]byte) []byte {
	return func(content []byte) []byte {
		z, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			panic(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			panic(err)
		}
		return zip([]byte(strings.Join(f(strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")), "")))
	}
}

// long returns an object of at least three lines, of sealed periods or of those that are not.
func long(w *world, sealed bool) string {
	w.t.Helper()
	for _, file := range w.files("raw/*/*/*.json.gz") {
		_, err := os.Stat(filepath.Join(filepath.Dir(file), "_SUCCESS"))
		if (err == nil) != sealed {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		n := 0
		lines(func(l []string) []string { n = len(l); return l })(content)
		if n >= 3 && hasNext(file) {
			return file
		}
	}
	w.t.Fatal("no such object")
	return ""
}

// hasNext tells whether an object of the partition follows: without it the lake would only end earlier.
func hasNext(file string) bool {
	partition, _, _ := strings.Cut(filepath.Base(file), "-")
	all, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "..", "*", partition+"-*.json.gz"))
	return slices.ContainsFunc(all, func(other string) bool { return filepath.Base(other) > filepath.Base(file) })
}

func lineAt(i int, f func(string) string) func([]byte) []byte {
	return lines(func(l []string) []string {
		l[len(l)-1] += "\n"
		l[i] = f(l[i])
		return l
	})
}

// edit changes a column of one row of the store.
func edit(w *world, table, set, where string) func() {
	w.t.Helper()
	name := w.table(table)
	w.exec("CREATE OR REPLACE TABLE pinflow_file.main.kept AS SELECT * FROM " + name)
	if n := w.exec("UPDATE " + name + " SET " + set + " WHERE rowid = (SELECT min(rowid) FROM " + name + " WHERE " + where + ")"); n != 1 {
		w.t.Fatalf("%d rows of %s changed", n, table)
	}
	return restore(w, name)
}

// partials returns which of the tables behind a table of partials has rows.
func partials(w *world, table string) string {
	w.t.Helper()
	for _, part := range []string{":merged", ":recent"} {
		var n int
		if err := w.instance.File.QueryRowContext(w.t.Context(), "SELECT count(*) FROM "+w.table(table+part)).Scan(&n); err != nil {
			w.t.Fatal(err)
		} else if n > 0 {
			return table + part
		}
	}
	w.t.Fatal("no rows in " + table)
	return ""
}

func restore(w *world, name string) func() {
	return func() {
		w.exec("DELETE FROM " + name)
		w.exec("INSERT INTO " + name + " SELECT * FROM pinflow_file.main.kept")
		w.exec("DROP TABLE pinflow_file.main.kept")
	}
}

// rewrite changes values in a Parquet file, which stays a good one.
func rewrite(w *world, file, set string) func() {
	w.t.Helper()
	was, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	to := filepath.Join(w.scratch, "rewritten.parquet")
	w.exec("COPY (SELECT * REPLACE (" + set + ") FROM read_parquet(" + duck.Literal(file) + ", hive_partitioning = false)) TO " + duck.Literal(to) + " (FORMAT parquet)")
	now, err := os.ReadFile(to)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, now, 0o640); err != nil {
		w.t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(file, was, 0o640); err != nil {
			w.t.Fatal(err)
		}
	}
}

func faults() []planted {
	const lakeF, sealF, derivedF, storeF = pinflow.FindLake, pinflow.FindSeal, pinflow.FindDerived, pinflow.FindStore
	sealed := func(f func([]byte) []byte) func(*world) func() {
		return func(w *world) func() { return change(w, long(w, true), f) }
	}
	open := func(f func([]byte) []byte) func(*world) func() {
		return func(w *world) func() { return change(w, long(w, false), f) }
	}
	double := lineAt(1, func(l string) string { return l + l })
	missing := lineAt(1, func(string) string { return "" })
	edited := lineAt(1, func(l string) string {
		if strings.HasPrefix(l, `{"_raw"`) {
			return strings.Replace(l, `{"_raw":"`, `{"_raw":"AAAA`, 1)
		}
		return strings.Replace(l, `"_partition":`, `"added":1,"_partition":`, 1)
	})
	success := func(f func([]byte) []byte) func(*world) func() {
		return func(w *world) func() { return change(w, w.files("raw/*/*/_SUCCESS")[0], f) }
	}
	return []planted{
		{"deleted object", sealed(gone), lakeF, lakeF},
		{"deleted object, not sealed", open(gone), lakeF, ""},
		{"damaged object", sealed(func(b []byte) []byte { return b[:len(b)/2] }), lakeF, ""},
		{"doubled line", sealed(double), lakeF, lakeF},
		{"doubled line, not sealed", open(double), lakeF, ""},
		{"deleted line", sealed(missing), lakeF, lakeF},
		{"deleted line, not sealed", open(missing), lakeF, ""},
		{"edited line", sealed(edited), lakeF, ""},
		{"edited line, not sealed", open(edited), lakeF, lakeF},
		{"_SUCCESS missing", success(gone), sealF, sealF},
		{"_SUCCESS with another count", success(func(b []byte) []byte { return bytes.Replace(b, []byte(`"records":`), []byte(`"records":1`), 1) }), sealF, sealF},
		{"clean file changed", func(w *world) func() {
			return rewrite(w, w.files("gen=*/clean/sales/*/*.parquet")[0], "_offset + 1 AS _offset")
		}, derivedF, derivedF},
		{"part deleted", func(w *world) func() { return change(w, w.files("gen=*/metrics/*/*/*.parquet")[0], gone) }, derivedF, ""},
		{"manifest missing", func(w *world) func() { return change(w, w.files("gen=*/_periods/*.json")[0], gone) }, derivedF, ""},
		{"manifest with another checksum", func(w *world) func() {
			return change(w, w.files("gen=*/_periods/*.json")[0], func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"sha256":"`), []byte(`"sha256":"0000`), 1)
			})
		}, derivedF, derivedF},
		{"metric row edited", func(w *world) func() { return edit(w, partials(w, "sales__accepted"), "n = n + 1", "true") }, storeF, storeF},
		{"row of a model edited", func(w *world) func() { return edit(w, "sales", "_topic = 'x'", "true") }, storeF, storeF},
		{"entity row edited", func(w *world) func() {
			first := w.installed(0)
			return edit(w, "orders", "_topic = 'x'", "_period = "+first)
		}, storeF, storeF},
		{"entity row edited that is not installed", func(w *world) func() {
			return edit(w, "orders", "_topic = 'x'", "_period > "+w.installed(-1))
		}, "", storeF},
		{"reject deleted", func(w *world) func() {
			name := w.table("rejects")
			w.exec("CREATE OR REPLACE TABLE pinflow_file.main.kept AS SELECT * FROM " + name)
			if n := w.exec("DELETE FROM " + name + " WHERE rowid = (SELECT min(rowid) FROM " + name + ")"); n != 1 {
				w.t.Fatal(n)
			}
			return restore(w, name)
		}, storeF, storeF},
	}
}

// installed returns an installed period as SQL, the first or, with -1, the last.
func (w *world) installed(i int) string {
	w.t.Helper()
	all, err := w.store.Installed(w.t.Context(), w.plan.Generation)
	if err != nil || len(all) == 0 {
		w.t.Fatal(all, err)
	}
	if i < 0 {
		i = len(all) - 1
	}
	return strconv.FormatInt(int64(all[i].Period), 10)
}

func TestPlantedFaultsAreFound(t *testing.T) {
	w := whole(t, 1, 1)
	for _, f := range faults() {
		undo := f.plant(w)
		for _, deep := range []bool{false, true} {
			want := f.plain
			if deep {
				want = f.deep
			}
			if want == "" {
				continue
			}
			r := w.audit(audit.Request{Deep: deep}, nil)
			if r.OK || !found(r, want) {
				t.Errorf("%s, deep %v: no finding of kind %s:\n%s", f.name, deep, want, describe(r))
			}
		}
		undo()
	}
	for _, deep := range []bool{false, true} {
		if r := w.audit(audit.Request{Deep: deep}, nil); !r.OK {
			t.Errorf("when all is restored, deep %v:\n%s", deep, describe(r))
		}
	}
}

func TestSkippedMicroBatch(t *testing.T) {
	w := newWorld(t, 3, 1, 300)
	w.fill(0.9)
	w.skip = func(n int) bool { return n == 0 }
	w.live(0.95)
	for _, deep := range []bool{false, true} {
		if r := w.audit(audit.Request{Deep: deep}, nil); r.OK || !found(r, pinflow.FindStore) {
			t.Errorf("before the install, deep %v:\n%s", deep, describe(r))
		}
	}
	out := w.batch()
	if !out.Differences {
		t.Fatal("the batch has found no difference")
	}
	stands := func() bool {
		t.Helper()
		r := w.audit(audit.Request{}, nil)
		standing := false
		for _, c := range r.Comparisons {
			standing = standing || c.Standing
		}
		if found(r, pinflow.FindRecorded) != standing || standing && r.OK {
			t.Error(describe(r))
		}
		return standing
	}
	if !stands() {
		t.Error("no recorded difference stands")
	}
	w.audit(audit.Request{Deep: true}, nil)
	if !stands() {
		t.Error("an audit that records nothing has settled the difference")
	}
	w.audit(audit.Request{Deep: true, Record: true}, nil)
	if stands() {
		t.Error("an equal comparison has not settled the difference")
	}
}

// moving is a store that counts on while it is compared.
type moving struct {
	audit.Store
	before func()
}

func (m *moving) Compare(ctx context.Context, in pinflow.Installation, record bool) (*pinflow.Comparison, error) {
	if m.before != nil {
		m.before()
	}
	return m.Store.Compare(ctx, in, record)
}

func TestWhatArrivesMeanwhileIsNoDifference(t *testing.T) {
	w := newWorld(t, 4, 1, 300)
	w.fill(0.9)
	share := 0.5
	w.live(share)
	s := &moving{Store: w.store, before: func() {
		if share < 1 {
			share += 0.1
			w.live(min(share, 1))
		}
	}}
	for _, deep := range []bool{false, true} {
		if r := w.audit(audit.Request{Deep: deep}, func(o *audit.Options) { o.Store = s }); !r.OK {
			t.Errorf("deep %v:\n%s", deep, describe(r))
		}
	}
	if share < 1 {
		t.Errorf("the store has counted %v only", share)
	}
}
