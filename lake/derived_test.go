package lake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/folder"
	"github.com/pinflow/pinflow/lake/laketest"
)

const period = pinflow.Period(29_833_334 * 60_000)

// area returns a derived area over a place of objects.
func area(t testing.TB, objects pinflow.Objects, bytes int64) *lake.DerivedArea {
	t.Helper()
	d, err := lake.NewDerived(lake.DerivedOptions{Objects: objects, PeriodLength: minute, CacheDir: filepath.Join(t.TempDir(), "cache"), CacheBytes: bytes})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// version makes what a run of a period made, each time other parts.
func version(t testing.TB, random *rand.Rand, p pinflow.Period) pinflow.Manifest {
	t.Helper()
	dir := t.TempDir()
	m := pinflow.Manifest{Generation: "g1", Period: p,
		Seals:   []pinflow.Seal{{Topic: "a", Period: p, Partitions: []pinflow.SealedPartition{{Partition: 1, Start: 3, End: 9, Records: 5}}}},
		Counts:  []pinflow.ModelCount{{Model: "posts", TopicPartition: pinflow.TopicPartition{Topic: "a", Partition: 1}, Accepted: random.Int64N(9), Rejected: 1}},
		Folders: []pinflow.Folder{{Kind: pinflow.RejectPart, Of: "posts"}, {Kind: pinflow.CleanPart, Of: "posts"}}}
	for i, f := range []pinflow.Folder{{Kind: pinflow.CleanPart, Of: "posts"}, {Kind: pinflow.CleanPart, Of: "posts"}, {Kind: pinflow.MetricPart, Of: "_odd:na/me"}, {Kind: pinflow.LatestPart, Of: "pins"}} {
		content := fmt.Appendf(nil, "%d%s", random.Uint64(), strings.Repeat("x", random.IntN(3000)))
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		m.Parts = append(m.Parts, pinflow.Part{Kind: f.Kind, Of: f.Of, File: file, Rows: int64(i)})
	}
	return m
}

// staged reads a part.
func staged(t testing.TB, d *lake.DerivedArea, p pinflow.Part) string {
	t.Helper()
	s, release, err := d.Stage(t.Context(), p)
	if err != nil {
		t.Fatalf("%s: %v", p.Name, err)
	}
	defer release()
	content, err := os.ReadFile(s.File)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func names(t testing.TB, objects pinflow.Objects, prefix string) (all []string) {
	t.Helper()
	for info, err := range objects.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info.Name)
	}
	return all
}

func TestDerived(t *testing.T) {
	for name, open := range map[string]func() pinflow.Objects{
		"files":  func() pinflow.Objects { f, err := folder.Open(t.TempDir()); must(t, err); return f },
		"copies": func() pinflow.Objects { return &laketest.Memory{} },
	} {
		t.Run(name, func(t *testing.T) {
			objects := open()
			d := area(t, objects, 5000)
			random := rand.New(rand.NewPCG(7, 7))
			if _, err := d.Manifest(t.Context(), "g1", period); pinflow.KindOf(err) != pinflow.NotFound {
				t.Errorf("before there is one: %v", err)
			}
			for range 3 {
				made := version(t, random, period)
				put, err := d.Put(t.Context(), made)
				must(t, err)
				got, err := d.Manifest(t.Context(), "g1", period)
				must(t, err)
				for i := range put.Parts {
					if want, err := os.ReadFile(made.Parts[i].File); err != nil || staged(t, d, got.Parts[i]) != string(want) {
						t.Errorf("the part %s came back as another", got.Parts[i].Name)
					}
					put.Parts[i].File = ""
				}
				if !reflect.DeepEqual(got, put) || len(got.Folders) != 4 {
					t.Errorf("put  %+v\nread %+v", put, got)
				}
				must(t, d.Sweep(t.Context(), "g1", period))
				var want []string
				for _, p := range got.Parts {
					want = append(want, p.Name)
				}
				slices.Sort(want)
				if left := slices.DeleteFunc(names(t, objects, "gen=g1/"), func(n string) bool { return !strings.HasSuffix(n, ".parquet") }); !slices.Equal(left, want) {
					t.Errorf("after a sweep there are %q, want %q", left, want)
				}
			}
			if have := names(t, objects, "gen=g1/rejects/posts/"); len(have) != 1 || !strings.HasSuffix(have[0], "/_manifest.json") {
				t.Errorf("a folder without a part has %q", have)
			}
			must(t, d.Drop(t.Context(), "g1"))
			if left := names(t, objects, "gen="); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mortal is a place that is gone for a process after so many changes; the last may have been made.
type mortal struct {
	pinflow.Objects
	mu   sync.Mutex
	left int
	last bool
}

var errKilled = errors.New("killed")

func (m *mortal) change(f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left--; m.left > 0 || m.left == 0 && m.last {
		if err := f(); err != nil {
			return err
		}
	}
	if m.left <= 0 {
		return errKilled
	}
	return nil
}

func (m *mortal) PutIfAbsent(ctx context.Context, name string, content []byte) (created bool, err error) {
	err = m.change(func() error { created, err = m.Objects.PutIfAbsent(ctx, name, content); return err })
	return created, err
}

func (m *mortal) Replace(ctx context.Context, name string, content []byte) error {
	return m.change(func() error { return m.Objects.Replace(ctx, name, content) })
}

// TestPutKilledAnywhere kills the process that puts a second version after each change, and reads what there is: all of the first or all of the second.
func TestPutKilledAnywhere(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 8))
	for _, last := range []bool{false, true} {
		done := false
		for after := 1; !done; after++ {
			memory := &laketest.Memory{}
			d := area(t, memory, 1<<20)
			first, err := d.Put(t.Context(), version(t, random, period))
			must(t, err)
			dying := area(t, &mortal{Objects: memory, left: after, last: last}, 1<<20)
			second := version(t, random, period)
			put, err := dying.Put(t.Context(), second)
			if err != nil && !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			done = err == nil
			m, err := d.Manifest(t.Context(), "g1", period)
			must(t, err)
			want := first
			if done || last && m.Parts[0].Name != first.Parts[0].Name {
				want = put
			}
			for i, p := range m.Parts {
				if file, err := os.ReadFile(want.Parts[i].File); err != nil || staged(t, d, p) != string(file) {
					t.Fatalf("killed after %d changes: a part of another version", after)
				}
			}
			for _, name := range names(t, memory, "gen=g1/") {
				if strings.HasSuffix(name, "/_manifest.json") {
					wholeFolder(t, d, memory, name)
				}
			}
			again, err := d.Put(t.Context(), version(t, random, period))
			must(t, err)
			must(t, d.Sweep(t.Context(), "g1", period))
			if n := len(slices.DeleteFunc(names(t, memory, "gen=g1/"), func(n string) bool { return !strings.HasSuffix(n, ".parquet") })); n != len(again.Parts) {
				t.Fatalf("killed after %d changes: %d parts are left, not %d", after, n, len(again.Parts))
			}
		}
	}
}

// wholeFolder checks that all parts that a folder's manifest names are there, of one run.
func wholeFolder(t *testing.T, d *lake.DerivedArea, objects pinflow.Objects, name string) {
	t.Helper()
	r, err := objects.Get(t.Context(), name)
	must(t, err)
	text, err := io.ReadAll(r)
	must(t, err)
	var m struct {
		Run   string         `json:"run"`
		Parts []pinflow.Part `json:"parts"`
	}
	must(t, json.Unmarshal(text, &m))
	for _, p := range m.Parts {
		staged(t, d, p)
		if !strings.HasPrefix(p.Name, strings.TrimSuffix(name, "_manifest.json")+m.Run+"-") {
			t.Errorf("%s names %s", name, p.Name)
		}
	}
}

func TestSweepKeepsWhatLaterPeriodsName(t *testing.T) {
	memory := &laketest.Memory{}
	d := area(t, memory, 1<<20)
	random := rand.New(rand.NewPCG(9, 9))
	first, err := d.Put(t.Context(), version(t, random, period))
	must(t, err)
	next := version(t, random, minute.Next(period))
	next.Before = map[string][]pinflow.Part{"pins": first.StateOf("pins")}
	next, err = d.Put(t.Context(), next)
	must(t, err)
	_, err = d.Put(t.Context(), version(t, random, period))
	must(t, err)
	must(t, d.Sweep(t.Context(), "g1", period))
	m, err := d.Manifest(t.Context(), "g1", next.Period)
	must(t, err)
	for _, p := range m.StateOf("pins") {
		staged(t, d, p)
	}
	if _, _, err := d.Stage(t.Context(), first.Parts[0]); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("a part that nothing names: %v", err)
	}
}

// TestCacheIsBounded stages parts from many goroutines: files that are read stay, of the others the last used up to the limit.
func TestCacheIsBounded(t *testing.T) {
	memory := &laketest.Memory{}
	dir := t.TempDir()
	const limit = 6000
	d, err := lake.NewDerived(lake.DerivedOptions{Objects: memory, PeriodLength: minute, CacheDir: dir, CacheBytes: limit})
	must(t, err)
	random := rand.New(rand.NewPCG(10, 10))
	var parts []pinflow.Part
	content := map[string]string{}
	for i := range 8 {
		m, err := d.Put(t.Context(), version(t, random, period+pinflow.Period(60_000*i)))
		must(t, err)
		for _, p := range m.Parts {
			b, err := os.ReadFile(p.File)
			must(t, err)
			content[p.Name], p.File = string(b), ""
			parts = append(parts, p)
		}
	}
	used := func() (n int64) {
		files, err := os.ReadDir(dir)
		must(t, err)
		for _, f := range files {
			if info, err := f.Info(); err == nil {
				n += info.Size()
			}
		}
		return n
	}
	held, hold, err := d.Stage(t.Context(), parts[0])
	must(t, err)
	var all sync.WaitGroup
	for w := range 4 {
		random := rand.New(rand.NewPCG(11, uint64(w)))
		all.Go(func() {
			for range 200 {
				p := parts[random.IntN(len(parts))]
				s, release, err := d.Stage(t.Context(), p)
				if err != nil {
					t.Error(err)
					return
				}
				if b, err := os.ReadFile(s.File); err != nil || string(b) != content[p.Name] {
					t.Errorf("%s: %d bytes, %v", p.Name, len(b), err)
				}
				release()
				release() // twice is once
			}
		})
	}
	all.Wait()
	if b, err := os.ReadFile(held.File); err != nil || string(b) != content[parts[0].Name] {
		t.Errorf("a file that is read has gone: %v", err)
	}
	hold()
	if n := used(); n > limit || n < limit/2 {
		t.Errorf("%d bytes are kept, the limit is %d", n, limit)
	}
	// Another process finds the copies, but does not trust them.
	files, err := os.ReadDir(dir)
	must(t, err)
	damaged := strings.TrimSuffix(files[0].Name(), ".parquet")
	must(t, os.WriteFile(filepath.Join(dir, files[0].Name()), []byte("x"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "left.parquet.tmp"), []byte("x"), 0o600))
	d, err = lake.NewDerived(lake.DerivedOptions{Objects: memory, PeriodLength: minute, CacheDir: dir, CacheBytes: limit})
	must(t, err)
	for _, p := range parts {
		if p.SHA256 == damaged && staged(t, d, p) != content[p.Name] {
			t.Error("a damaged copy was given out")
		}
	}
	if n := used(); n > limit {
		t.Errorf("%d bytes are kept, the limit is %d", n, limit)
	}
}

func TestChangedPartsAreFound(t *testing.T) {
	f, err := folder.Open(t.TempDir())
	must(t, err)
	for _, objects := range []pinflow.Objects{f, &laketest.Memory{}} {
		d := area(t, objects, 1<<20)
		m, err := d.Put(t.Context(), version(t, rand.New(rand.NewPCG(12, 12)), period))
		must(t, err)
		p := m.Parts[0]
		must(t, objects.Replace(t.Context(), p.Name, bytes.Repeat([]byte("y"), int(p.Size)+1)))
		if _, _, err := d.Stage(t.Context(), p); pinflow.KindOf(err) != pinflow.Invalid || pinflow.HintOf(err) == "" {
			t.Errorf("a changed part: %v", err)
		}
		must(t, objects.Replace(t.Context(), "gen=g1/_periods/"+minute.Name(period)+".json", []byte(`{"version":2}`)))
		if _, err := d.Manifest(t.Context(), "g1", period); pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("a manifest of another version: %v", err)
		}
		p.Name += "x"
		if _, _, err := d.Stage(t.Context(), p); pinflow.KindOf(err) != pinflow.NotFound {
			t.Errorf("no part: %v", err)
		}
	}
	if _, err := lake.NewDerived(lake.DerivedOptions{Objects: &laketest.Memory{}, PeriodLength: minute}); err == nil {
		t.Error("no folder for copies, and no error")
	}
}

// TestReportsAreAddedToAPeriod: they come after the period was made, and again, and leave all else that its manifest names.
func TestReportsAreAddedToAPeriod(t *testing.T) {
	objects, err := folder.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d, random := area(t, objects, 0), rand.New(rand.NewPCG(5, 5))
	report := func() pinflow.Manifest {
		file := filepath.Join(t.TempDir(), "r")
		if err := os.WriteFile(file, fmt.Append(nil, random.Uint64()), 0o600); err != nil {
			t.Fatal(err)
		}
		return pinflow.Manifest{Generation: "g1", Period: period, Parts: []pinflow.Part{{Kind: pinflow.ReportPart, Of: "top", File: file, Rows: 1}}}
	}
	if _, err := d.Put(t.Context(), report()); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("reports of a period that was not made: %v", err)
	}
	made, err := d.Put(t.Context(), version(t, random, period))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := d.Put(t.Context(), report()); err != nil {
			t.Fatal(err)
		}
		got, err := d.Manifest(t.Context(), "g1", period)
		if err != nil {
			t.Fatal(err)
		}
		reports := slices.DeleteFunc(slices.Clone(got.Parts), func(p pinflow.Part) bool { return p.Kind != pinflow.ReportPart })
		if len(got.Parts) != len(made.Parts)+1 || len(reports) != 1 || !reflect.DeepEqual(got.Counts, made.Counts) || !reflect.DeepEqual(got.Seals, made.Seals) {
			t.Fatalf("the period's manifest is %+v, was %+v", got, made)
		}
		for _, p := range got.Parts {
			staged(t, d, p)
		}
	}
}
