package refine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/pinflow/pinflow"
)

// reuse takes what an earlier run, which was killed before the install, has put into the lake. That is what this one would make: the
// same records, cleaned under the same definition (the generation), on top of the same state; and its files are as they were put.
func (b *batch) reuse(ctx context.Context, m *made, before map[string][]pinflow.Part) (bool, error) {
	have, err := b.Derived.Manifest(ctx, b.Plan.Generation, m.period)
	if pinflow.KindOf(err) == pinflow.NotFound && err != nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !sameSeals(have.Seals, m.seals) || !sameState(&have, before) || !b.intact(ctx, have.Parts) {
		return false, ctx.Err()
	}
	m.manifest = have
	b.meter.note(func(p *Progress) { p.ObjectsDone += m.objects() })
	return true, nil
}

func sameSeals(a, b []pinflow.Seal) bool {
	return slices.EqualFunc(a, b, func(a, b pinflow.Seal) bool {
		return a.Topic == b.Topic && a.Period == b.Period && slices.EqualFunc(a.Partitions, b.Partitions, func(a, b pinflow.SealedPartition) bool {
			return a.Partition == b.Partition && a.Start == b.Start && a.End == b.End && a.Records == b.Records
		})
	})
}

// sameState tells whether a manifest follows from a state. One with a snapshot names no files of the state before.
func sameState(m *pinflow.Manifest, before map[string][]pinflow.Part) bool {
	for table, parts := range before {
		if hasSnapshot(m.Parts, table) || !slices.EqualFunc(m.Before[table], parts, func(a, b pinflow.Part) bool { return a.Name == b.Name && a.SHA256 == b.SHA256 }) {
			return false
		}
	}
	return true
}

// intact tells whether parts are in the lake as they were put there.
func (b *batch) intact(ctx context.Context, parts []pinflow.Part) bool {
	for _, p := range parts {
		if err := b.verify(ctx, p); err != nil {
			b.Log.Info("batch: what an earlier run has made is made anew", "why", err)
			return false
		}
	}
	return true
}

func (b *batch) verify(ctx context.Context, p pinflow.Part) error {
	staged, release, err := b.Derived.Stage(ctx, p)
	if err != nil {
		return err
	}
	defer release()
	f, err := os.Open(staged.File)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != p.SHA256 {
		return &pinflow.Error{Op: "read part", On: p.Name, Err: errors.New("it is not as it was put")}
	}
	return nil
}
