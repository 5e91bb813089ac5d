package audit

import (
	"cmp"
	"context"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/pinflow/pinflow"
)

// compareDerived holds the stored Parquet's rows beside those computed, order aside.
func (d *deep) compareDerived(ctx context.Context, p pinflow.Period, m *pinflow.Manifest, parts []pinflow.Part) error {
	type group struct {
		kind pinflow.PartKind
		of   string
	}
	groups := map[group][2][]pinflow.Part{}
	for i, side := range [][]pinflow.Part{m.Parts, parts} {
		for _, part := range side {
			if part.Kind == pinflow.SnapshotPart || part.Kind == pinflow.ReportPart {
				continue
			}
			g := groups[group{part.Kind, part.Of}]
			g[i] = append(g[i], part)
			groups[group{part.Kind, part.Of}] = g
		}
	}
	order := slices.SortedFunc(maps.Keys(groups), func(a, b group) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.of, b.of)) })
	for _, g := range order {
		if err := d.compareGroup(ctx, p, groups[g][0], groups[g][1]); err != nil {
			return err
		}
	}
	return nil
}

func (d *deep) compareGroup(ctx context.Context, p pinflow.Period, stored, computed []pinflow.Part) error {
	staged, release, err := d.stageQuietly(ctx, stored)
	defer release()
	if err != nil {
		return err
	}
	one := append(slices.Clone(staged), computed...)
	if len(one) == 0 {
		return nil
	}
	t := d.tableOf(one[0])
	if t == nil {
		return nil
	}
	c, err := d.same(ctx, staged, computed, t)
	folder := d.name(p) + " " + string(one[0].Kind) + "/" + one[0].Of
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		d.findings.add(pinflow.Finding{Kind: pinflow.FindDerived, Where: folder, What: "the stored Parquet cannot be compared", Found: err.Error(), Do: installAgain})
	case c.Differing > 0:
		f := tableFinding(pinflow.FindDerived, d.name(p), "the stored Parquet's rows are not those that follow from the lake's records", c, installAgain)
		f.Where = folder
		d.findings.add(f)
	}
	return nil
}

// stageQuietly brings parts to this machine; those that are not there are findings already.
func (d *deep) stageQuietly(ctx context.Context, parts []pinflow.Part) (staged []pinflow.Part, release func(), err error) {
	var releases []func()
	release = func() {
		for _, f := range releases {
			f()
		}
	}
	for _, p := range parts {
		s, done, err := d.Derived.Stage(ctx, p)
		if damaged(err) {
			continue
		}
		if err != nil {
			return nil, release, err
		}
		releases = append(releases, done)
		if _, err := os.Stat(s.File); err == nil {
			staged = append(staged, s)
		}
	}
	return staged, release, nil
}

// compareTallies holds the manifest's counts beside those computed.
func (d *deep) compareTallies(p pinflow.Period, m *pinflow.Manifest, made made) {
	type of struct {
		model string
		pinflow.TopicPartition
	}
	tallies := map[of]pinflow.Tally{}
	for _, c := range m.Counts {
		tallies[of{c.Model, c.TopicPartition}] = pinflow.Tally{Accepted: c.Accepted, Rejected: c.Rejected, Erased: c.Erased}
	}
	for _, c := range made.Counts {
		if got, want := tallies[of{c.Model, c.TopicPartition}], (pinflow.Tally{Accepted: c.Accepted, Rejected: c.Rejected, Erased: c.Erased}); got != want {
			d.findings.add(pinflow.Finding{Kind: pinflow.FindDerived, Where: d.name(p) + " " + c.TopicPartition.String() + " " + c.Model, What: "the manifest's counts are not those that follow from the lake's records",
				Expected: tallyText(want), Found: tallyText(got), Do: installAgain})
		}
	}
}

func tallyText(t pinflow.Tally) string {
	return strconv.FormatInt(t.Accepted, 10) + " accepted, " + strconv.FormatInt(t.Rejected, 10) + " rejected, " + strconv.FormatInt(t.Erased, 10) + " erased"
}
