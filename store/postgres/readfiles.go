package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
)

// inFiles tells where the rows of a view lie.
type inFiles struct {
	files []string
	rest  string // a condition for the rows that PostgreSQL is to give; "" for all that it has
	all   bool   // there are no others
}

// inFiles looks for the files of the lake that hold rows of a view, and gets them. Rows that PostgreSQL has as well are read there if a file is not at hand.
func (w *workspace) inFiles(ctx context.Context, snap *snapshot, v *view) (in inFiles, err error) {
	if v.rows == nil {
		return in, nil
	}
	all, err := installed(ctx, snap.conn, snap.shape.generation)
	if err != nil {
		return in, err
	}
	var ranges []pinflow.InstalledRange
	for _, i := range all {
		var parts []pinflow.Part
		for _, p := range i.Parts {
			if p.Kind == pinflow.CleanPart && p.Of == v.rows.Model {
				parts = append(parts, p)
			}
		}
		if !v.recentOnly() && (len(parts) == 0 || !w.tells(v)) {
			continue
		}
		files, err := w.stage(ctx, parts)
		if err != nil && (v.recentOnly() || ctx.Err() != nil) {
			return in, err
		}
		if err == nil {
			in.files, ranges = append(in.files, files...), append(ranges, i.Ranges...)
		}
	}
	if v.recentOnly() {
		return in, nil // PostgreSQL has no others
	}
	if len(ranges) > 0 {
		in.rest = outside(ranges, v.topic, snap.positions)
		in.all = in.rest == ""
	}
	return in, nil
}

// tells tells whether a view's rows say at which offset of which partition they are from.
func (w *workspace) tells(v *view) bool {
	has := func(name string) bool {
		return slices.ContainsFunc(v.Columns, func(c pinflow.Column) bool { return c.Name == name })
	}
	return v.topic != "" && has("_partition") && has("_offset")
}

// stage gets a period's parts as files.
func (w *workspace) stage(ctx context.Context, parts []pinflow.Part) ([]string, error) {
	var files []string
	for _, p := range parts {
		if p.Rows == 0 {
			continue
		}
		staged, release, err := w.s.o.Stage(ctx, p)
		if err != nil {
			return nil, err
		}
		w.release = append(w.release, release)
		files = append(files, staged.File)
	}
	return files, nil
}

// outside is the condition of the rows of a topic, up to some positions, that lie in none of the ranges; "" if there can be none. It
// names offsets from and to, never which not, so that an index on them serves.
func outside(ranges []pinflow.InstalledRange, topic string, positions map[pinflow.TopicPartition]pinflow.Progress) string {
	var arms []string
	for _, tp := range sorted(positions) {
		if tp.Topic != topic {
			continue
		}
		var own []pinflow.InstalledRange
		for _, r := range ranges {
			if r.TopicPartition == tp && r.Start < r.End {
				own = append(own, r)
			}
		}
		slices.SortFunc(own, func(a, b pinflow.InstalledRange) int { return cmp.Compare(a.Start, b.Start) })
		from := int64(0)
		for _, r := range own {
			if from < r.Start {
				arms = append(arms, fmt.Sprintf("_partition = %d AND _offset >= %d AND _offset < %d", tp.Partition, from, r.Start))
			}
			from = max(from, r.End)
		}
		if from < positions[tp].NextOffset {
			arms = append(arms, fmt.Sprintf("_partition = %d AND _offset >= %d", tp.Partition, from))
		}
	}
	if len(arms) == 0 {
		return ""
	}
	return "(" + strings.Join(arms, " OR ") + ")"
}
