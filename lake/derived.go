package lake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
)

// DerivedOptions are what a DerivedArea needs.
type DerivedOptions struct {
	Objects      pinflow.Objects
	PeriodLength pinflow.PeriodLength
	// CacheDir is where parts are copied that are no files of this machine; no other process may use it. It may be "" if Objects are LocalObjects.
	CacheDir   string
	CacheBytes int64 // of the copies that nobody is reading; 1 GiB
}

// DerivedArea is the derived part of a lake, gen=<generation>/ (docs/FORMAT.md).
//
// Parts get names that no other run has. When all of a period are there, each folder's manifest is replaced, for those who read one folder,
// and last the period's own, which names them all: by that one, a period is the old version or the new one at any moment. Two runs of one period
// at a time are harmless but for wasted work: the one that ends last counts.
type DerivedArea struct {
	objects pinflow.Objects
	length  pinflow.PeriodLength
	cache   *cache // nil if the objects are files
}

var _ pinflow.Derived = (*DerivedArea)(nil)

// NewDerived makes a DerivedArea.
func NewDerived(o DerivedOptions) (*DerivedArea, error) {
	d := &DerivedArea{objects: o.Objects, length: o.PeriodLength}
	if _, err := pinflow.ParsePeriodLength(time.Duration(o.PeriodLength)); err != nil {
		return nil, err
	}
	if _, local := o.Objects.(pinflow.LocalObjects); local {
		return d, nil
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 1 << 30
	}
	var err error
	d.cache, err = openCache(o.CacheDir, o.CacheBytes)
	return d, err
}

const manifestName = "_manifest.json"

// generationFolder is where all of a generation lies.
func generationFolder(generation string) string { return "gen=" + escape(generation) + "/" }

// folder is where the parts of one kind and name lie.
func (d *DerivedArea) folder(generation string, f pinflow.Folder, p pinflow.Period) string {
	return generationFolder(generation) + escape(string(f.Kind)) + "/" + escape(f.Of) + "/" + folderOf(d.length, p)
}

const periodsFolder = "_periods/"

// periodManifest is the name of the manifest of a whole period.
func (d *DerivedArea) periodManifest(generation string, p pinflow.Period) string {
	return generationFolder(generation) + periodsFolder + d.length.Name(p) + ".json"
}

// escape makes a name one that can stand in a path of any place of objects: other bytes than letters, digits, "_", "-" and "." become %XX.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_' && i > 0, c == '-', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// Manifest implements pinflow.Derived.
func (d *DerivedArea) Manifest(ctx context.Context, generation string, p pinflow.Period) (pinflow.Manifest, error) {
	name := d.periodManifest(generation, p)
	text, err := getAll(ctx, d.objects, name)
	if err != nil {
		return pinflow.Manifest{}, err
	}
	m, err := d.parseManifest(generation, p, text)
	if err != nil {
		return m, &pinflow.Error{Op: "read a manifest", On: at(d.objects, name), Kind: pinflow.Invalid, Err: err,
			Hint: "It was written by another version of Pinflow, or changed: run the batch of the period again."}
	}
	return m, nil
}

// Stage implements pinflow.Derived. A part that is not as it was written is an Invalid error: a copy is held against its checksum, a file of this machine
// against its size.
func (d *DerivedArea) Stage(ctx context.Context, p pinflow.Part) (pinflow.Part, func(), error) {
	if local, ok := d.objects.(pinflow.LocalObjects); ok {
		p.File = local.Path(p.Name)
		info, err := os.Stat(p.File)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return p, nil, &pinflow.Error{Op: "stage part", On: at(d.objects, p.Name), Kind: pinflow.NotFound}
		case err != nil:
			return p, nil, &pinflow.Error{Op: "stage part", On: at(d.objects, p.Name), Err: err}
		case info.Size() != p.Size:
			return p, nil, d.changed(p, fmt.Errorf("it has %d bytes, its manifest says %d", info.Size(), p.Size))
		}
		return p, func() {}, nil
	}
	file, release, err := d.cache.get(ctx, p, d.copyPart)
	p.File = file
	return p, release, err
}

func (d *DerivedArea) changed(p pinflow.Part, err error) error {
	return &pinflow.Error{Op: "stage part", On: at(d.objects, p.Name), Kind: pinflow.Invalid, Err: err,
		Hint: "The file is damaged or was changed: run the batch of its period again."}
}

// Sweep implements pinflow.Derived. Parts that a later period's manifest still names as the state before it are kept. It must not run beside a Put of the same period.
func (d *DerivedArea) Sweep(ctx context.Context, generation string, p pinflow.Period) error {
	m, err := d.Manifest(ctx, generation, p)
	if err != nil && pinflow.KindOf(err) != pinflow.NotFound {
		return err
	}
	named := map[string]bool{}
	for _, part := range m.Parts {
		named[part.Name] = true
	}
	left, err := d.unnamed(ctx, generation, p, named)
	if err != nil || len(left) == 0 {
		return err
	}
	state := func(name string) bool {
		return strings.HasPrefix(name, generationFolder(generation)+string(pinflow.LatestPart)+"/") || strings.HasPrefix(name, generationFolder(generation)+string(pinflow.SnapshotPart)+"/")
	}
	if slices.ContainsFunc(left, state) {
		if err := d.nameBefore(ctx, generation, p, named); err != nil {
			return err
		}
	}
	for _, name := range left {
		if named[name] {
			continue
		}
		if err := d.objects.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// unnamed returns the parts in a period's folders that are not named.
func (d *DerivedArea) unnamed(ctx context.Context, generation string, p pinflow.Period, named map[string]bool) ([]string, error) {
	var left []string
	for kind, err := range d.objects.List(ctx, generationFolder(generation), "/") {
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(kind.Name, "/") || strings.HasSuffix(kind.Name, "/"+periodsFolder) || strings.HasSuffix(kind.Name, "/"+replacingFolder) {
			continue
		}
		for of, err := range d.objects.List(ctx, kind.Name, "/") {
			if err != nil {
				return nil, err
			}
			for part, err := range d.objects.List(ctx, of.Name+folderOf(d.length, p), "") {
				if err != nil {
					return nil, err
				}
				if !named[part.Name] && strings.HasSuffix(part.Name, partSuffix) {
					left = append(left, part.Name)
				}
			}
		}
	}
	return left, nil
}

// nameBefore adds what later periods' manifests name as the state before them.
func (d *DerivedArea) nameBefore(ctx context.Context, generation string, p pinflow.Period, named map[string]bool) error {
	prefix := generationFolder(generation) + periodsFolder
	for info, err := range d.objects.List(ctx, prefix, "") {
		if err != nil {
			return err
		}
		name, ok := strings.CutSuffix(strings.TrimPrefix(info.Name, prefix), ".json")
		if !ok {
			continue // some servers list files of their own while they replace one
		}
		later, err := d.length.Parse(name)
		if err != nil {
			return err
		}
		if later <= p {
			continue
		}
		m, err := d.Manifest(ctx, generation, later)
		if err != nil {
			return err
		}
		for _, parts := range m.Before {
			for _, part := range parts {
				named[part.Name] = true
			}
		}
	}
	return nil
}

// Drop implements pinflow.Derived. The manifests go first: none names a part that is gone.
func (d *DerivedArea) Drop(ctx context.Context, generation string) error {
	folder := generationFolder(generation)
	for _, prefix := range []string{folder + periodsFolder, folder} {
		for info, err := range d.objects.List(ctx, prefix, "") {
			if err != nil {
				return err
			}
			if err := d.objects.Delete(ctx, info.Name); err != nil {
				return err
			}
		}
	}
	return nil
}
