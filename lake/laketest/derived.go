package laketest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
)

// Derived keeps on a place what is derived of some periods: each is put over and over, its parts are staged by several readers through a cache that holds few of them, what
// is old is swept, and at last all is dropped. The place may fail now and then: what is Unavailable is tried again.
func Derived(t *testing.T, open func(t testing.TB) pinflow.Objects) {
	d := &derived{t: t, objects: open(t), random: rand.New(rand.NewPCG(4, 4)), cache: filepath.Join(t.TempDir(), "cache")}
	d.openArea()
	for n := range 6 {
		p := pinflow.Period(time.Duration(n%3)*time.Minute/time.Millisecond) + 1_790_000_040_000
		d.round(p)
		if n == 3 {
			d.openArea() // another process, which finds the copies of this one
		}
	}
	eventually(t, func() error { return d.area.Drop(t.Context(), derivedGeneration) })
	for _, name := range d.parts("gen=") {
		t.Errorf("%s is left", name)
	}
}

const derivedGeneration = "a1b2"

type derived struct {
	t       *testing.T
	objects pinflow.Objects
	area    *lake.DerivedArea
	random  *rand.Rand
	cache   string
}

func (d *derived) openArea() {
	var err error
	d.area, err = lake.NewDerived(lake.DerivedOptions{Objects: d.objects, PeriodLength: pinflow.PeriodLength(time.Minute), CacheDir: d.cache, CacheBytes: 100_000})
	if err != nil {
		d.t.Fatal(err)
	}
}

// round puts a period, reads it and removes what it took the place of.
func (d *derived) round(p pinflow.Period) {
	m, contents := d.draft(p)
	var note pinflow.Replacement
	eventually(d.t, func() (err error) {
		note, err = d.area.Replacing(d.t.Context(), derivedGeneration, p)
		return err
	})
	eventually(d.t, func() error {
		_, err := d.area.Put(d.t.Context(), m)
		return err
	})
	var got pinflow.Manifest
	eventually(d.t, func() (err error) {
		got, err = d.area.Manifest(d.t.Context(), derivedGeneration, p)
		return err
	})
	if len(got.Parts) != len(contents) {
		d.t.Fatalf("the manifest names %d parts of %d", len(got.Parts), len(contents))
	}
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for i, part := range got.Parts {
				if err := persist(func() error { return d.stage(part, contents[i]) }); err != nil {
					d.t.Error(err)
				}
			}
		})
	}
	readers.Wait()
	eventually(d.t, func() error { return d.area.Sweep(d.t.Context(), derivedGeneration, p) })
	d.replacements(p, 1)
	eventually(d.t, func() error { return note.End(d.t.Context()) })
	d.replacements(p, 0)
	var named []string
	for _, part := range got.Parts {
		named = append(named, part.Name)
	}
	slices.Sort(named)
	if left := d.parts(fmt.Sprintf("/period=%s/", time.UnixMilli(int64(p)).UTC().Format("2006-01-02T150405"))); !slices.Equal(left, named) {
		d.t.Errorf("after a sweep there are %q, want %q", left, named)
	}
}

// replacements checks how many notes there are, at the least one of them of the period; what a try left of which no answer came is removed.
func (d *derived) replacements(p pinflow.Period, want int) {
	d.t.Helper()
	eventually(d.t, func() error {
		notes, err := d.area.Replacements(d.t.Context(), derivedGeneration)
		if err != nil {
			return err
		}
		if len(notes) < want {
			d.t.Errorf("there are %d notes, want %d", len(notes), want)
		}
		for _, n := range notes {
			if n.Period != p || time.Since(n.Began) > time.Hour || time.Since(n.Began) < 0 {
				d.t.Errorf("a note is of %d, since %s; want one of %d", n.Period, n.Began, p)
			}
			if want == 0 {
				err = errors.Join(err, n.End(d.t.Context()))
			}
		}
		return err
	})
}

// draft makes what a run of a period has made.
func (d *derived) draft(p pinflow.Period) (pinflow.Manifest, [][]byte) {
	m, dir := pinflow.Manifest{Generation: derivedGeneration, Period: p}, d.t.TempDir()
	var contents [][]byte
	for i, f := range []pinflow.Folder{{Kind: pinflow.CleanPart, Of: "posts"}, {Kind: pinflow.CleanPart, Of: "posts"}, {Kind: pinflow.MetricPart, Of: "of:an odd/name"}} {
		content := stamped(d.random.IntN(99_999_999), 1+d.random.IntN(8_000))
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(file, content, 0o600); err != nil {
			d.t.Fatal(err)
		}
		contents = append(contents, content)
		m.Parts = append(m.Parts, pinflow.Part{Kind: f.Kind, Of: f.Of, File: file, Rows: int64(i)})
	}
	return m, contents
}

// stage reads a part, which must be what was put.
func (d *derived) stage(part pinflow.Part, want []byte) error {
	staged, release, err := d.area.Stage(d.t.Context(), part)
	if err != nil {
		return err
	}
	defer release()
	content, err := os.ReadFile(staged.File)
	if err == nil && !bytes.Equal(content, want) {
		err = fmt.Errorf("%s has %d bytes that are not those of %d that were put", part.Name, len(content), len(want))
	}
	return err
}

// parts lists those whose name has that within.
func (d *derived) parts(within string) (all []string) {
	eventually(d.t, func() error {
		all = nil
		for info, err := range d.objects.List(d.t.Context(), "gen="+derivedGeneration+"/", "") {
			if err != nil {
				return err
			}
			if strings.Contains(info.Name, within) && strings.HasSuffix(info.Name, ".parquet") {
				all = append(all, info.Name)
			}
		}
		return nil
	})
	return all
}
