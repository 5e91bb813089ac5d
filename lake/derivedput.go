package lake

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"golang.org/x/sync/errgroup"
)

// manifestFile is a manifest: gen=<generation>/_periods/<period>.json of a whole period, or _manifest.json in a folder, of that folder.
type manifestFile struct {
	Version    int                       `json:"version"`
	Generation string                    `json:"generation"`
	Period     string                    `json:"period"`
	Run        string                    `json:"run"`
	Kind       pinflow.PartKind          `json:"kind,omitempty"` // of the folder
	Of         string                    `json:"of,omitempty"`
	Seals      []manifestSeal            `json:"seals"`
	Folders    []manifestFolder          `json:"folders,omitempty"` // of the period
	Parts      []pinflow.Part            `json:"parts"`
	Before     map[string][]pinflow.Part `json:"before,omitempty"`
	Counts     []pinflow.ModelCount      `json:"counts"`
}

type manifestFolder struct {
	Kind pinflow.PartKind `json:"kind"`
	Of   string           `json:"of"`
}

type manifestSeal struct {
	Topic      string              `json:"topic"`
	Partitions []manifestPartition `json:"partitions"`
}

type manifestPartition struct {
	Partition int32 `json:"partition"`
	Start     int64 `json:"start"`
	End       int64 `json:"end"`
	Records   int64 `json:"records"`
}

// partPuts is how many parts are in memory at a time on their way to the lake.
const partPuts = 2

// runTime is how the name of a run tells when it began.
const runTime = "20060102T150405.000"

// newRun is a name that no other run has: a time and some random letters.
func newRun() string {
	return time.Now().UTC().Format(runTime) + "-" + strings.ToLower(rand.Text()[:10])
}

// Put implements pinflow.Derived. A part that has a Name and no File is in the lake already and stays as it is. Rows of the parts are the caller's word; sizes and checksums are taken of the files, and must be those
// of the parts if these have any.
func (d *DerivedArea) Put(ctx context.Context, m pinflow.Manifest) (pinflow.Manifest, error) {
	run := newRun()
	m.Folders = foldersOf(&m)
	parts := make([]pinflow.Part, len(m.Parts))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(partPuts)
	for i, p := range m.Parts {
		if p.File == "" && p.Name != "" {
			parts[i] = p
			continue
		}
		p.Name = fmt.Sprintf("%s%s-%05d.parquet", d.folder(m.Generation, pinflow.Folder{Kind: p.Kind, Of: p.Of}, m.Period), run, i)
		g.Go(func() (err error) {
			parts[i], err = d.putPart(gctx, p)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return m, err
	}
	m.Parts = parts
	written := m.Folders
	if onlyReports(&m) {
		made, err := d.Manifest(ctx, m.Generation, m.Period)
		if err != nil {
			return m, err
		}
		m = withReports(made, m)
	}
	whole := d.manifestOf(&m, run)
	g, gctx = errgroup.WithContext(ctx)
	g.SetLimit(maxPuts)
	for _, f := range written {
		g.Go(func() error {
			return d.putManifest(gctx, d.folder(m.Generation, f, m.Period)+manifestName, whole.folder(f))
		})
	}
	if err := g.Wait(); err != nil {
		return m, err
	}
	return m, d.putManifest(ctx, d.periodManifest(m.Generation, m.Period), whole)
}

// onlyReports tells whether a manifest names reports and nothing else.
func onlyReports(m *pinflow.Manifest) bool {
	return len(m.Folders) > 0 && !slices.ContainsFunc(m.Folders, func(f pinflow.Folder) bool { return f.Kind != pinflow.ReportPart })
}

// withReports is what was made of a period with reports in place of those of the same names.
func withReports(made, reports pinflow.Manifest) pinflow.Manifest {
	made.Parts = slices.DeleteFunc(made.Parts, func(p pinflow.Part) bool {
		return slices.Contains(reports.Folders, pinflow.Folder{Kind: p.Kind, Of: p.Of})
	})
	made.Parts = append(made.Parts, reports.Parts...)
	made.Folders = append(made.Folders, reports.Folders...)
	made.Folders = foldersOf(&made)
	return made
}

// foldersOf returns the folders that readers will look for, and those of the parts, each once.
func foldersOf(m *pinflow.Manifest) []pinflow.Folder {
	var all []pinflow.Folder
	has := map[pinflow.Folder]bool{}
	add := func(f pinflow.Folder) {
		if !has[f] {
			has[f] = true
			all = append(all, f)
		}
	}
	for _, f := range m.Folders {
		add(f)
	}
	for _, p := range m.Parts {
		add(pinflow.Folder{Kind: p.Kind, Of: p.Of})
	}
	return all
}

// putPart stores a part's file.
func (d *DerivedArea) putPart(ctx context.Context, p pinflow.Part) (pinflow.Part, error) {
	content, err := os.ReadFile(p.File)
	if err != nil {
		return p, &pinflow.Error{Op: "put part", On: p.File, Err: err}
	}
	sum := sha256.Sum256(content)
	size, checksum := int64(len(content)), hex.EncodeToString(sum[:])
	if p.SHA256 != "" && p.SHA256 != checksum || p.Size != 0 && p.Size != size {
		return p, &pinflow.Error{Op: "put part", On: p.File, Kind: pinflow.Internal, Err: errors.New("the file is not the one that was written: its size or checksum is another"),
			Hint: "Look at the disk of the working folder, and run the period again."}
	}
	p.Size, p.SHA256 = size, checksum
	created, err := d.objects.PutIfAbsent(ctx, p.Name, content)
	if err == nil && !created {
		// No other run has the name: an earlier try of this very put, of which no answer came, has stored it.
		err = d.copyPart(ctx, p, io.Discard)
	}
	return p, err
}

func (d *DerivedArea) putManifest(ctx context.Context, name string, f *manifestFile) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return d.objects.Replace(ctx, name, append(text, '\n'))
}

func (d *DerivedArea) manifestOf(m *pinflow.Manifest, run string) *manifestFile {
	f := &manifestFile{Version: formatVersion, Generation: m.Generation, Period: d.length.Name(m.Period), Run: run,
		Parts: append([]pinflow.Part{}, m.Parts...), Before: m.Before, Counts: append([]pinflow.ModelCount{}, m.Counts...), Seals: []manifestSeal{}}
	for _, o := range m.Folders {
		f.Folders = append(f.Folders, manifestFolder{o.Kind, o.Of})
	}
	for _, s := range m.Seals {
		ms := manifestSeal{Topic: s.Topic, Partitions: []manifestPartition{}}
		for _, p := range s.Partitions {
			ms.Partitions = append(ms.Partitions, manifestPartition{p.Partition, p.Start, p.End, p.Records})
		}
		f.Seals = append(f.Seals, ms)
	}
	return f
}

// folder is the manifest of one folder of the period.
func (f *manifestFile) folder(o pinflow.Folder) *manifestFile {
	part := *f
	part.Kind, part.Of, part.Folders = o.Kind, o.Of, nil
	part.Parts, part.Before, part.Counts = []pinflow.Part{}, nil, []pinflow.ModelCount{}
	for _, p := range f.Parts {
		if p.Kind == o.Kind && p.Of == o.Of {
			part.Parts = append(part.Parts, p)
		}
	}
	for _, c := range f.Counts {
		if c.Model == o.Of {
			part.Counts = append(part.Counts, c)
		}
	}
	if before, ok := f.Before[o.Of]; ok && o.Kind == pinflow.LatestPart {
		part.Before = map[string][]pinflow.Part{o.Of: before}
	}
	return &part
}

func (d *DerivedArea) parseManifest(generation string, p pinflow.Period, text []byte) (pinflow.Manifest, error) {
	m := pinflow.Manifest{Generation: generation, Period: p}
	var f manifestFile
	if err := json.Unmarshal(text, &f); err != nil {
		return m, err
	}
	switch {
	case f.Version != formatVersion:
		return m, fmt.Errorf("the format's version is %d, not %d", f.Version, formatVersion)
	case f.Generation != generation || f.Period != d.length.Name(p):
		return m, fmt.Errorf("it tells of the period %s of the generation %q", f.Period, f.Generation)
	}
	m.Parts, m.Before, m.Counts = f.Parts, f.Before, f.Counts
	for _, o := range f.Folders {
		m.Folders = append(m.Folders, pinflow.Folder{Kind: o.Kind, Of: o.Of})
	}
	for _, ms := range f.Seals {
		s := pinflow.Seal{Topic: ms.Topic, Period: p}
		for _, sp := range ms.Partitions {
			s.Partitions = append(s.Partitions, pinflow.SealedPartition{Partition: sp.Partition, Start: sp.Start, End: sp.End, Records: sp.Records})
		}
		m.Seals = append(m.Seals, s)
	}
	return m, nil
}
